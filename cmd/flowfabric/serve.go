package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/config"
)

func newServe() *cobra.Command {
	var checkOnly bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API, as configured by the environment",
		Long: `Serve the HTTP API. All configuration is in variables of the environment that begin with FF_; the
server says at its start what they came to. Without FF_API_TOKEN, FF_AUTH or FF_OIDC_ISSUER nobody needs
an authority, and it listens on loopback alone. With any of them, keys are good, too: flowfabric key create.

Metrics are at /metrics. Spans go to where OTEL_EXPORTER_OTLP_ENDPOINT and its like say, if they do.

SIGINT and SIGTERM stop it: it takes no more requests and finishes those under way, within
FF_SHUTDOWN_TIMEOUT_MS. A second signal ends it at once, with exit status 130.

Exit status: 0 a clean stop, 1 a configuration or a start that failed, 2 bad usage.

` + variables(),
		Example: `  FF_STORE_URL=sqlite:app.db flowfabric serve
  FF_STORE_URL_FILE=/run/secrets/db FF_API_TOKEN_FILE=/run/secrets/token flowfabric serve
  flowfabric serve --check-config`,
		Args: cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			err := runServe(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), checkOnly)
			if err != nil {
				return exitError{err, exitFailure}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&checkOnly, "check-config", false, "print what the configuration comes to, secrets masked, and start nothing")
	return cmd
}

// variables lists the variables of the configuration for people.
func variables() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range config.Variables() {
		help := v.Help
		if v.Default != "" {
			help += " (default " + v.Default + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\n", v.Name, help)
	}
	_ = w.Flush() // into memory
	return b.String()
}

func runServe(ctx context.Context, stdout, stderr io.Writer, checkOnly bool) error {
	cfg, warnings, err := config.Load(os.Environ())
	log := newLogger(stderr, cfg.LogFormat, cfg.LogLevel)
	for _, warning := range warnings {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	if err != nil {
		return fmt.Errorf("failed to load config: %w", err)
	}
	if checkOnly {
		return printConfig(stdout, &cfg)
	}
	logConfig(ctx, log, &cfg)
	return serve(ctx, &cfg, log, nil)
}

// serve starts a server, and stops it when ctx ends. ready, if not nil, is told where it listens.
func serve(ctx context.Context, cfg *config.Server, log *slog.Logger, ready func(url string) error) (err error) {
	b, err := start(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx, cfg.ShutdownTimeout.Duration())) }()
	if err := b.listen(ctx, cfg); err != nil {
		return err
	}
	if b.diagnostics != nil {
		log.InfoContext(ctx, "diagnostics listening", "addr", b.diagnostics.Addr().String())
	}
	log.InfoContext(ctx, "HTTP API listening", "addr", b.api.Addr().String(), "tls", cfg.TLSCert != "", "secured", cfg.Secured())
	if ready != nil {
		if err := ready("http://" + b.api.Addr().String()); err != nil {
			return err
		}
	}
	resting, stop := context.WithCancel(ctx)
	defer stop()
	var side sync.WaitGroup
	side.Go(func() { giveBack(resting, clock.Real(), freeMemory) })
	err = b.serve(ctx, cfg)
	stop()
	side.Wait()
	log.InfoContext(ctx, "stopped")
	return err
}

func newLogger(w io.Writer, format config.LogFormat, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func logConfig(ctx context.Context, log *slog.Logger, cfg *config.Server) {
	var attrs []slog.Attr
	for _, s := range cfg.Effective() {
		attrs = append(attrs, slog.String(s.Name, s.Value))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "configuration", attrs...)
}

func printConfig(out io.Writer, cfg *config.Server) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range cfg.Effective() {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Value)
	}
	return w.Flush()
}

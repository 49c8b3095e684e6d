package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/config"
	"github.com/flowfabric/flowfabric/worker"
)

// devLane is the lane whose work the server of dev does itself.
const devLane = "demo"

func newDev() *cobra.Command {
	var store, listen string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Serve the HTTP API on this machine, to try things out",
		Long: `Serve the HTTP API on this machine, on a store in memory or in a SQLite file, with nothing to configure.
A worker inside it does the work of kind echo on the lane demo, so that there is something to see.`,
		Example: "  flowfabric dev\n  flowfabric dev --store sqlite:app.db",
		Args:    cobra.NoArgs,
		RunE: begin(func(cmd *cobra.Command, _ []string) error {
			if !config.Loopback(listen) {
				return usageError{fmt.Errorf("--listen %s lets others in, and nobody needs a token: listen on 127.0.0.1, or use flowfabric serve", listen)}
			}
			return runDev(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), store, listen)
		}),
	}
	cmd.Flags().StringVar(&store, "store", "memory:", "`URL` of the store: memory:, which is forgotten, or sqlite:PATH")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9090", "`ADDRESS` to listen on; port 0 takes any that is free")
	return cmd
}

func runDev(ctx context.Context, stdout, stderr io.Writer, store, listen string) error {
	cfg, _, err := config.Load([]string{"FF_STORE_URL=" + store, "FF_LISTEN_ADDR=" + listen, "FF_LANES=default," + devLane})
	if err != nil {
		return usageError{err}
	}
	log := newLogger(stderr, config.LogText, slog.LevelWarn)
	b, err := start(ctx, &cfg, log)
	if err != nil {
		return err
	}
	err = b.dev(ctx, &cfg, log, stdout)
	return errors.Join(err, b.close(ctx, cfg.ShutdownTimeout.Duration()))
}

// dev serves, and works, until ctx ends.
func (b *booted) dev(ctx context.Context, cfg *config.Server, log *slog.Logger, out io.Writer) error {
	if err := b.listen(ctx, cfg); err != nil {
		return err
	}
	fmt.Fprintf(out, devHelp, b.api.Addr(), backend.Redact(cfg.StoreURL.Reveal()), b.api.Addr())
	w := worker.New(b.engine, worker.Config{Lanes: []flowfabric.LaneID{devLane}, Logger: log})
	worker.Handle(w, "echo", func(_ context.Context, _ *worker.Task, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	worked := make(chan error, 1)
	go func() {
		worked <- w.Run(ctx)
		stop()
	}()
	err := b.serve(ctx, cfg)
	stop()
	if werr := <-worked; !errors.Is(werr, context.Canceled) {
		err = errors.Join(err, werr)
	}
	return err
}

const devHelp = `The API listens on http://%s, on the store %s. A worker inside does what is submitted
to the lane demo as kind echo. In another terminal:

  export FF_SERVER=http://%s
  flowfabric submit echo '{"hello":"world"}' --lane demo --wait 10s
  flowfabric submit send '{"to":"ada"}' --delay 1m
  flowfabric list
  flowfabric explain EXECUTION
  flowfabric watch

Ctrl-C stops it.
`

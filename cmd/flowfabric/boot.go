package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/config"
	"github.com/flowfabric/flowfabric/observe"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/server/oidc"
)

// booted is a server that was started. What is in it is closed in the reverse order.
type booted struct {
	closeStore  func() error
	spans       *spans           // nil for none
	metrics     *observe.Metrics // nil for none
	engine      *engine.Engine
	server      *server.Server
	api         net.Listener
	diagnostics net.Listener // nil for none
}

// start is the one way up, for every store: open it with its schema up to date, start the engine, see that there is a
// secret, set up lanes. The port opens only after all that: there is no traffic before the server is ready.
func start(ctx context.Context, cfg *config.Server, log *slog.Logger) (*booted, error) {
	url := cfg.StoreURL.Reveal()
	if err := migrateStore(ctx, url, log); err != nil {
		return nil, fmt.Errorf("migrate the store: %w", err)
	}
	st, closeStore, err := backend.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	b := &booted{closeStore: closeStore}
	if cfg.Metrics {
		b.metrics = observe.NewMetrics()
	}
	b.spans, err = newSpans(ctx, buildVersion().String())
	if err == nil {
		b.engine, err = engine.Open(ctx, st, engine.Config{Partitions: cfg.Partitions(), StreamReads: int(cfg.StreamOps), Metrics: b.metrics, Logger: log})
	}
	if err == nil {
		err = seedSecret(ctx, b.engine, cfg.Secret.Reveal(), log)
	}
	if err == nil {
		err = setUpLanes(ctx, b.engine, cfg.Lanes)
	}
	if err == nil {
		b.server, err = b.newServer(cfg, log)
	}
	if err != nil {
		return nil, errors.Join(backend.Explain(url, err), b.close(ctx, cfg.ShutdownTimeout.Duration()))
	}
	return b, nil
}

// migrateStore brings the schema up to date. Opening a SQLite file does that by itself.
func migrateStore(ctx context.Context, url string, log *slog.Logger) error {
	kind, err := backend.KindOf(url)
	if err != nil || kind != backend.Postgres {
		return err
	}
	from, to, err := backend.Migrate(ctx, url)
	if err == nil && from != to {
		log.InfoContext(ctx, "schema migrated", "from", from, "to", to)
	}
	return err
}

// firstKid is the name of the secret a deployment begins with.
const firstKid = "k1"

// seedSecret gives a deployment that has no secret its first: the configured one, or else a random one. A deployment that
// has secrets keeps them.
func seedSecret(ctx context.Context, svc flowfabric.Secrets, secret string, log *slog.Logger) error {
	have, err := svc.ListSecrets(ctx)
	if err != nil {
		return fmt.Errorf("list secrets: %w", err)
	}
	if rotated := len(have) > 0 && have[0].Kid != firstKid; rotated || len(have) > 1 || len(have) == 1 && secret == "" {
		return nil
	}
	configured := secret != ""
	if !configured {
		secret = randomSecret()
	}
	res, err := svc.SeedSecret(ctx, flowfabric.SeedSecret{Kid: firstKid, SecretHex: secret})
	switch {
	case err != nil:
		return fmt.Errorf("seed the secret: %w", err)
	case !res.AlreadySeeded:
		log.InfoContext(ctx, "secret seeded", "kid", res.Kid, "configured", configured)
	case configured && !res.SameSecret:
		log.WarnContext(ctx, "FF_WAITPOINT_HMAC_SECRET is not the secret of this store, which keeps its own; to change it: flowfabric secrets rotate", "kid", res.Kid)
	}
	return nil
}

// setUpLanes makes lanes that nobody has used yet known. Those that are keep their settings.
func setUpLanes(ctx context.Context, svc flowfabric.Lanes, lanes []flowfabric.LaneID) error {
	for _, id := range lanes {
		lane, err := svc.Lane(ctx, id)
		if err == nil && lane.RegisteredAt.IsZero() {
			_, err = svc.UpdateLane(ctx, flowfabric.UpdateLane{Lane: id, Reason: "configured", Actor: "server"})
		}
		if err != nil {
			return fmt.Errorf("set up lane %s: %w", id, err)
		}
	}
	return nil
}

// newServer returns the API over the engine.
func (b *booted) newServer(cfg *config.Server, log *slog.Logger) (*server.Server, error) {
	security, err := tlsConfig(cfg, clock.Real(), log)
	if err != nil {
		return nil, err
	}
	kind, err := backend.KindOf(cfg.StoreURL.Reveal())
	if err != nil {
		return nil, err
	}
	serving := server.Config{
		Partitions: cfg.Partitions(), Version: buildVersion().String(), Family: string(kind), Token: cfg.APIToken.Reveal(), TLS: security,
		RequireKey: bool(cfg.Auth), ShutdownTimeout: cfg.ShutdownTimeout.Duration(), Logger: log, Audit: slog.New(unfiltered{log.Handler()}),
		CORSOrigins: cfg.CORSOrigins, MaxStreamOps: int(cfg.StreamOps), SecretGrace: cmp.Or(cfg.SecretGrace.Duration(), -1), Metrics: b.metrics,
	}
	if b.spans != nil {
		serving.TracerProvider = b.spans.provider
	}
	if cfg.OIDCIssuer != "" {
		serving.Authenticator, err = oidc.New(oidc.Config{
			Issuer: cfg.OIDCIssuer, Audience: cfg.OIDCAudience, RoleClaim: cfg.OIDCRoleClaim, NamespaceClaim: cfg.OIDCNamespaceClaim,
			NameClaim: cfg.OIDCNameClaim,
		})
		if err != nil {
			return nil, err
		}
	}
	return server.New(b.engine, serving)
}

// unfiltered is a handler that takes lines of every level: nobody silences the audit log by FF_LOG_LEVEL.
type unfiltered struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (unfiltered) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (u unfiltered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return unfiltered{u.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (u unfiltered) WithGroup(name string) slog.Handler { return unfiltered{u.Handler.WithGroup(name)} }

// close stops the engine and closes the store; both within timeout.
func (b *booted) close(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	var err error
	if b.engine != nil {
		err = b.engine.Close(ctx)
	}
	return errors.Join(err, b.spans.close(ctx), b.closeStore())
}

package config

import (
	"log/slog"

	"github.com/flowfabric/flowfabric"
)

// Server is the configuration of a server. [Load] makes one that is valid.
type Server struct {
	// Listen is where the API is served. Default: 0.0.0.0:9090, or 127.0.0.1:9090 if callers need no authority, and then nothing
	// but loopback is allowed.
	Listen string `env:"FF_LISTEN_ADDR" help:"where the API is served; 0.0.0.0:9090 if callers need a token or a key, else 127.0.0.1:9090 and nothing but loopback"`
	// APIToken is what callers must present; empty: nothing.
	APIToken Secret `env:"FF_API_TOKEN" help:"token that callers may present, and do everything then (or FF_API_TOKEN_FILE)"`
	// Auth asks callers for a key, or another authority, even if there is no token.
	Auth Switch `env:"FF_AUTH" envDefault:"off" help:"on: callers must present a key even without FF_API_TOKEN and FF_OIDC_ISSUER"`
	// OIDCIssuer is whose tokens are good besides; Audience is required with it. The claims are as in package server/oidc.
	OIDCIssuer         string `env:"FF_OIDC_ISSUER" help:"URL of an OpenID Connect issuer whose tokens callers may present"`
	OIDCAudience       string `env:"FF_OIDC_AUDIENCE" help:"what these tokens must be made out to"`
	OIDCRoleClaim      string `env:"FF_OIDC_ROLE_CLAIM" envDefault:"roles" help:"claim with the roles: viewer, submitter, worker, operator, admin"`
	OIDCNamespaceClaim string `env:"FF_OIDC_NAMESPACE_CLAIM" help:"claim with the namespaces the caller is limited to; without, none is"`
	OIDCNameClaim      string `env:"FF_OIDC_NAME_CLAIM" envDefault:"sub" help:"claim with the name of the caller"`
	// CORSOrigins are the origins whose pages may call; * for any.
	CORSOrigins []string `env:"FF_CORS_ORIGINS" envDefault:"*" help:"origins whose pages may call, with commas"`

	// TLSCert and TLSKey are files in PEM form: both or none. Callers must present a certificate of TLSClientCA, if that is set.
	TLSCert     string `env:"FF_TLS_CERT_FILE" help:"certificate, in PEM form"`
	TLSKey      string `env:"FF_TLS_KEY_FILE" help:"its key"`
	TLSClientCA string `env:"FF_TLS_CLIENT_CA_FILE" help:"callers must present a certificate of these authorities"`

	// StoreURL names the store. Instead of it Backend may be given, with its parts; Load makes a URL of them.
	StoreURL         Secret `env:"FF_STORE_URL" help:"sqlite:PATH, postgres://user@host/database or memory: (or FF_STORE_URL_FILE)"`
	Backend          string `env:"FF_BACKEND" help:"instead of FF_STORE_URL: memory, sqlite or postgres, with its parts"` // memory, sqlite or postgres, in any case
	PostgresURL      Secret `env:"FF_POSTGRES_URL" help:"of backend postgres (or FF_POSTGRES_URL_FILE)"`
	PostgresPoolSize uint32 `env:"FF_POSTGRES_POOL_SIZE" envDefault:"10" help:"connections of backend postgres"`
	SQLitePath       string `env:"FF_SQLITE_PATH" envDefault:":memory:" help:"file of backend sqlite; :memory: is forgotten"`

	// Secret signs tokens and handles from the first start on; empty: one is made then. 64 hex digits.
	Secret Secret `env:"FF_WAITPOINT_HMAC_SECRET" help:"first signing secret, 64 hex digits (or FF_WAITPOINT_HMAC_SECRET_FILE); without, one is made"`
	// SecretGrace is how long a secret verifies after it was rotated away, where a rotation does not say.
	SecretGrace Millis `env:"FF_WAITPOINT_HMAC_GRACE_MS" envDefault:"86400000" help:"how long a secret verifies after it was rotated away, where a rotation does not say"`

	// Lanes are set up when the server starts. Others appear when they are used.
	Lanes []flowfabric.LaneID `env:"FF_LANES" envDefault:"default" help:"lanes to set up, with commas"`

	// The numbers of partitions must be the same for ever.
	FlowPartitions   uint16 `env:"FF_FLOW_PARTITIONS" envDefault:"256" help:"partitions of flows and executions: the same for ever"`
	BudgetPartitions uint16 `env:"FF_BUDGET_PARTITIONS" envDefault:"32" help:"partitions of budgets: the same for ever"`
	QuotaPartitions  uint16 `env:"FF_QUOTA_PARTITIONS" envDefault:"32" help:"partitions of quotas: the same for ever"`

	// StreamOps is how many reads of streams may be under way at once.
	StreamOps uint32 `env:"FF_MAX_CONCURRENT_STREAM_OPS" envDefault:"64" help:"reads of streams under way at once"`

	// ShutdownTimeout bounds the whole of a stop: requests under way, then the engine.
	ShutdownTimeout Millis `env:"FF_SHUTDOWN_TIMEOUT_MS" envDefault:"30000" help:"how long a stop may take in all"`

	// MetricsAddr, if set, is where metrics and profiles are served: loopback, for they need no token.
	MetricsAddr string `env:"FF_METRICS_ADDR" help:"loopback address for metrics and profiles; none if not set"`
	// Metrics says whether metrics are recorded, and served at /metrics, where they need no token.
	Metrics bool `env:"FF_METRICS" envDefault:"true" help:"true: metrics are recorded and served at /metrics, to everybody"`

	LogFormat LogFormat  `env:"FF_LOG_FORMAT" envDefault:"text" help:"text or json"`
	LogLevel  slog.Level `env:"FF_LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`
}

// Partitions returns the numbers of partitions.
func (s *Server) Partitions() flowfabric.PartitionConfig {
	return flowfabric.PartitionConfig{Flow: s.FlowPartitions, Budget: s.BudgetPartitions, Quota: s.QuotaPartitions}
}

// Open reports whether callers need no authority at all.
func (s *Server) Open() bool { return !s.Secured() && s.TLSClientCA == "" }

// Secured reports whether callers must present a token or a key.
func (s *Server) Secured() bool { return s.APIToken != "" || bool(s.Auth) || s.OIDCIssuer != "" }

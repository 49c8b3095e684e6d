package config_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/config"
)

const store = "FF_STORE_URL=memory:"

func TestLoad_DefaultsAreThoseOfTheSpecification(t *testing.T) {
	got, warnings, err := config.Load([]string{store})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("error %v, warnings %v", err, warnings)
	}
	want := config.Server{
		Listen: "127.0.0.1:9090", CORSOrigins: []string{"*"}, StoreURL: "memory:", PostgresPoolSize: 10, SQLitePath: ":memory:",
		SecretGrace: config.Millis(24 * time.Hour), Lanes: []flowfabric.LaneID{"default"},
		FlowPartitions: 256, BudgetPartitions: 32, QuotaPartitions: 32, StreamOps: 64,
		OIDCRoleClaim: "roles", OIDCNameClaim: "sub",
		ShutdownTimeout: config.Millis(30 * time.Second), Metrics: true, LogFormat: config.LogText, LogLevel: slog.LevelInfo,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const secret64 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func TestLoad_SaysWhichVariableIsNoGoodAndWhy(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"", "FF_STORE_URL: required: sqlite:PATH, postgres://user@host/database or memory:; or set FF_BACKEND"},
		{store + " FF_BACKEND=memory", "FF_BACKEND: FF_STORE_URL is set, too; set one of them"},
		{"FF_BACKEND=oracle", "FF_BACKEND: unknown backend 'oracle': expected 'postgres', 'sqlite' or 'memory'"},
		{"FF_BACKEND=Valkey", "FF_BACKEND: this server has no store 'valkey': expected 'postgres', 'sqlite' or 'memory'"},
		{"FF_BACKEND=postgres", "FF_POSTGRES_URL: FF_BACKEND=postgres requires FF_POSTGRES_URL"},
		{"FF_BACKEND=postgres FF_POSTGRES_URL=app:hunter2@host", "FF_POSTGRES_URL: want postgres://user@host/database"},
		{store + " FF_LISTEN_ADDR=0.0.0.0:9090", "FF_LISTEN_ADDR: '0.0.0.0:9090' lets others in, and nobody needs a token: set FF_API_TOKEN or FF_AUTH, or listen on 127.0.0.1"},
		{store + " FF_LISTEN_ADDR=:9090", "FF_LISTEN_ADDR: ':9090' lets others in, and nobody needs a token: set FF_API_TOKEN or FF_AUTH, or listen on 127.0.0.1"},
		{store + " FF_METRICS_ADDR=10.0.0.1:6060", "FF_METRICS_ADDR: '10.0.0.1:6060' lets others in, and profiles need no token: listen on 127.0.0.1"},
		{store + " FF_CORS_ORIGINS=", "FF_CORS_ORIGINS: must not be empty"},
		{store + " FF_CORS_ORIGINS=https://a.example,,https://b.example", "FF_CORS_ORIGINS: has an empty origin"},
		{store + " FF_WAITPOINT_HMAC_SECRET=", "FF_WAITPOINT_HMAC_SECRET: must not be empty"},
		{store + " FF_WAITPOINT_HMAC_SECRET=abc", "FF_WAITPOINT_HMAC_SECRET: must be an even-length hex string (0-9a-fA-F)"},
		{store + " FF_WAITPOINT_HMAC_SECRET=abcd", "FF_WAITPOINT_HMAC_SECRET: must have 64 hex digits"},
		{store + " FF_WAITPOINT_HMAC_GRACE_MS=1.5", "FF_WAITPOINT_HMAC_GRACE_MS: expected a number of milliseconds, got '1.5'"},
		{store + " FF_LANES=,", "FF_LANES: at least one non-empty lane name is required"},
		{store + " FF_LANES=a,a", "FF_LANES: duplicate lane 'a'"},
		{store + " FF_FLOW_PARTITIONS=0", "FF_FLOW_PARTITIONS: must be > 0 (used as divisor in partition math)"},
		{store + " FF_QUOTA_PARTITIONS=65536", "FF_QUOTA_PARTITIONS: expected u16, got '65536'"},
		{store + " FF_MAX_CONCURRENT_STREAM_OPS=0", "FF_MAX_CONCURRENT_STREAM_OPS: must be > 0 (semaphore size)"},
		{store + " FF_MAX_CONCURRENT_STREAM_OPS=-1", "FF_MAX_CONCURRENT_STREAM_OPS: expected u32, got '-1'"},
		{store + " FF_MAX_CONCURRENT_STREAM_OPS=100001", "FF_MAX_CONCURRENT_STREAM_OPS: must be at most 100000"},
		{store + " FF_POSTGRES_POOL_SIZE=0", "FF_POSTGRES_POOL_SIZE: must be > 0 (connections)"},
		{store + " FF_SHUTDOWN_TIMEOUT_MS=soon", "FF_SHUTDOWN_TIMEOUT_MS: expected a number of milliseconds, got 'soon'"},
		{store + " FF_TLS_CERT_FILE=a", "FF_TLS_KEY_FILE: required with FF_TLS_CERT_FILE"},
		{store + " FF_TLS_KEY_FILE=a", "FF_TLS_CERT_FILE: required with FF_TLS_KEY_FILE"},
		{store + " FF_TLS_CLIENT_CA_FILE=a", "FF_TLS_CERT_FILE: required with FF_TLS_CLIENT_CA_FILE"},
		{store + " FF_AUTH=yse", "FF_AUTH: expected on or off, got 'yse'"},
		{store + " FF_AUTH=off FF_LISTEN_ADDR=:9090", "FF_LISTEN_ADDR: ':9090' lets others in, and nobody needs a token: set FF_API_TOKEN or FF_AUTH, or listen on 127.0.0.1"},
		{store + " FF_OIDC_ISSUER=https://a.example", "FF_OIDC_AUDIENCE: required with FF_OIDC_ISSUER: without it, tokens for others would be good here"},
		{store + " FF_OIDC_AUDIENCE=a", "FF_OIDC_ISSUER: required with FF_OIDC_AUDIENCE"},
		{store + " FF_LOG_FORMAT=xml", "FF_LOG_FORMAT: unknown format 'xml': expected 'text' or 'json'"},
		{store + " FF_LOG_LEVEL=loud", "FF_LOG_LEVEL: unknown level 'loud': expected 'debug', 'info', 'warn' or 'error'"},
		{store + " FF_API_TOKEN=a FF_API_TOKEN_FILE=b", "FF_API_TOKEN_FILE: FF_API_TOKEN is set, too; set one of them"},
	} {
		t.Run(c.want, func(t *testing.T) {
			_, _, err := config.Load(strings.Fields(c.env))
			if want := "invalid value for " + c.want; err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

func TestLoad_StoreIsMadeOfItsParts(t *testing.T) {
	for env, want := range map[string]string{
		"FF_BACKEND=SQLite":                                      "memory:",
		"FF_BACKEND=sqlite FF_SQLITE_PATH=/tmp/a":                "sqlite:/tmp/a",
		"FF_STORE_URL=sqlite:b FF_SQLITE_PATH=/c":                "sqlite:b",
		"FF_BACKEND=postgres FF_POSTGRES_URL=postgres://u:p@h/d": "postgres://u:p@h/d?pool_max_conns=10",
		"FF_BACKEND=postgres FF_POSTGRES_POOL_SIZE=3 FF_POSTGRES_URL=postgres://h/d?pool_max_conns=5":  "postgres://h/d?pool_max_conns=5",
		"FF_BACKEND=postgres FF_POSTGRES_POOL_SIZE=3 FF_POSTGRES_URL=postgresql://h/d?sslmode=disable": "postgresql://h/d?pool_max_conns=3&sslmode=disable",
	} {
		cfg, _, err := config.Load(strings.Fields(env))
		if err != nil || cfg.StoreURL.Reveal() != want {
			t.Errorf("%s: store %q, %v; want %q", env, cfg.StoreURL.Reveal(), err, want)
		}
	}
}

func TestLoad_WithAnyAuthorityItListensToEveryone(t *testing.T) {
	for _, authority := range []string{"FF_AUTH=1", "FF_AUTH=TRUE", "FF_AUTH=yes", "FF_AUTH=On", "FF_OIDC_ISSUER=https://a.example FF_OIDC_AUDIENCE=b"} {
		cfg, _, err := config.Load(append(strings.Fields(authority), store))
		if err != nil || cfg.Listen != "0.0.0.0:9090" || !cfg.Secured() {
			t.Errorf("%s: listens on %q, %v", authority, cfg.Listen, err)
		}
	}
}

func TestLoad_WithATokenItListensToEveryone(t *testing.T) {
	cfg, _, err := config.Load([]string{store, "FF_API_TOKEN=t"})
	if err != nil || cfg.Listen != "0.0.0.0:9090" {
		t.Errorf("listens on %q, %v", cfg.Listen, err)
	}
	cfg, _, err = config.Load([]string{store, "FF_API_TOKEN=t", "FF_LISTEN_ADDR=[::1]:80"})
	if err != nil || cfg.Listen != "[::1]:80" {
		t.Errorf("listens on %q, %v", cfg.Listen, err)
	}
}

func TestLoad_SecretsAreReadFromFilesAndNeverShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("  "+secret64+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load([]string{store, "FF_WAITPOINT_HMAC_SECRET_FILE=" + file, "FF_API_TOKEN=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Secret.Reveal() != secret64 {
		t.Errorf("secret %q", cfg.Secret.Reveal())
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x", cfg, cfg, cfg, cfg.Secret, cfg.APIToken, cfg.APIToken) + fmt.Sprint(cfg.Effective())
	if strings.Contains(shown, "0011") || strings.Contains(shown, "hunter2") {
		t.Errorf("a secret is shown: %s", shown)
	}
}

func TestLoad_WarnsOfVariablesWithoutEffect(t *testing.T) {
	_, warnings, err := config.Load([]string{store, "FF_LANE=a", "FF_HOST=db", "FF_LEASE_EXPIRY_INTERVAL_MS=1", "FF_SERVER=x", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"FF_HOST has no effect on this server",
		"FF_LANE is unknown; is it misspelled?",
		"FF_LEASE_EXPIRY_INTERVAL_MS has no effect: one loop carries on what is due, when it is due",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestLoad_TheOldNameCountsUnlessTheNewOneIsSet(t *testing.T) {
	for env, want := range map[string]uint32{
		"FF_MAX_CONCURRENT_TAIL=7":                                7,
		"FF_MAX_CONCURRENT_TAIL=7 FF_MAX_CONCURRENT_STREAM_OPS=8": 8,
	} {
		cfg, _, err := config.Load(append(strings.Fields(env), store))
		if err != nil || cfg.StreamOps != want {
			t.Errorf("%s: %d, %v; want %d", env, cfg.StreamOps, err, want)
		}
	}
}

func TestEffective_ListsEverySetting(t *testing.T) {
	cfg, _, err := config.Load([]string{store, "FF_LANES=a, b"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range cfg.Effective() {
		got[s.Name] = s.Value
	}
	for name, want := range map[string]string{
		"FF_LANES": "a,b", "FF_STORE_URL": "****", "FF_API_TOKEN": "", "FF_SHUTDOWN_TIMEOUT_MS": "30000", "FF_LOG_LEVEL": "INFO",
		"FF_FLOW_PARTITIONS": "256",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

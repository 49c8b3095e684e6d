package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flowfabric/flowfabric"
)

// complete checks what one variable alone does not tell, and fills in what follows from others.
func (s *Server) complete() error {
	for _, check := range []func() error{s.checkNumbers, s.checkSecret, s.cleanLanes, s.cleanOrigins, s.chooseStore, s.checkTLS, s.checkIssuer, s.checkAddresses} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// maxStreamOps is the bound of the engine.
const maxStreamOps = 100_000

func (s *Server) checkNumbers() error {
	for _, n := range []struct {
		name  string
		value uint32
		use   string
	}{
		{"FF_FLOW_PARTITIONS", uint32(s.FlowPartitions), "used as divisor in partition math"},
		{"FF_BUDGET_PARTITIONS", uint32(s.BudgetPartitions), "used as divisor in partition math"},
		{"FF_QUOTA_PARTITIONS", uint32(s.QuotaPartitions), "used as divisor in partition math"},
		{streamOps, s.StreamOps, "semaphore size"},
		{"FF_POSTGRES_POOL_SIZE", s.PostgresPoolSize, "connections"},
	} {
		if n.value == 0 {
			return &Error{n.name, "must be > 0 (" + n.use + ")"}
		}
	}
	if s.StreamOps > maxStreamOps {
		return &Error{streamOps, fmt.Sprintf("must be at most %d", maxStreamOps)}
	}
	return nil
}

func (s *Server) checkSecret() error {
	if s.Secret == "" {
		return nil
	}
	secret, err := hex.DecodeString(s.Secret.Reveal())
	switch {
	case err != nil: // it would repeat a part of the secret
		return &Error{"FF_WAITPOINT_HMAC_SECRET", "must be an even-length hex string (0-9a-fA-F)"}
	case len(secret) != flowfabric.SeedSecretBytes:
		return &Error{"FF_WAITPOINT_HMAC_SECRET", fmt.Sprintf("must have %d hex digits", 2*flowfabric.SeedSecretBytes)}
	}
	return nil
}

func (s *Server) cleanLanes() error {
	var lanes []flowfabric.LaneID
	for _, lane := range s.Lanes {
		lane = flowfabric.LaneID(strings.TrimSpace(string(lane)))
		if lane == "" {
			continue
		}
		if err := lane.Validate(); err != nil {
			return &Error{"FF_LANES", err.Error()}
		}
		if slices.Contains(lanes, lane) {
			return &Error{"FF_LANES", fmt.Sprintf("duplicate lane '%s'", lane)}
		}
		lanes = append(lanes, lane)
	}
	if len(lanes) == 0 {
		return &Error{"FF_LANES", "at least one non-empty lane name is required"}
	}
	s.Lanes = lanes
	return nil
}

func (s *Server) cleanOrigins() error {
	for i, origin := range s.CORSOrigins {
		s.CORSOrigins[i] = strings.TrimSpace(origin)
		if s.CORSOrigins[i] == "" {
			return &Error{"FF_CORS_ORIGINS", "has an empty origin"}
		}
	}
	return nil
}

// chooseStore makes the URL of the store.
func (s *Server) chooseStore() error {
	if s.StoreURL != "" {
		if s.Backend != "" {
			return &Error{"FF_BACKEND", "FF_STORE_URL is set, too; set one of them"}
		}
		return nil
	}
	switch strings.ToLower(s.Backend) {
	case "":
		return &Error{"FF_STORE_URL", "required: sqlite:PATH, postgres://user@host/database or memory:; or set FF_BACKEND"}
	case "memory":
		s.StoreURL = "memory:"
	case "sqlite":
		s.StoreURL = Secret("sqlite:" + s.SQLitePath)
		if s.SQLitePath == ":memory:" {
			s.StoreURL = "memory:"
		}
	case "postgres":
		return s.choosePostgres()
	case "valkey":
		return &Error{"FF_BACKEND", "this server has no store 'valkey': expected 'postgres', 'sqlite' or 'memory'"}
	default:
		return &Error{"FF_BACKEND", fmt.Sprintf("unknown backend '%s': expected 'postgres', 'sqlite' or 'memory'", clip(s.Backend))}
	}
	return nil
}

func (s *Server) choosePostgres() error {
	if s.PostgresURL == "" {
		return &Error{"FF_POSTGRES_URL", "FF_BACKEND=postgres requires FF_POSTGRES_URL"}
	}
	u, err := url.Parse(s.PostgresURL.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" { // err would repeat the password
		return &Error{"FF_POSTGRES_URL", "want postgres://user@host/database"}
	}
	if q := u.Query(); !q.Has("pool_max_conns") {
		q.Set("pool_max_conns", strconv.FormatUint(uint64(s.PostgresPoolSize), 10))
		u.RawQuery = q.Encode()
	}
	s.StoreURL = Secret(u.String())
	return nil
}

func (s *Server) checkTLS() error {
	switch {
	case s.TLSCert != "" && s.TLSKey == "":
		return &Error{"FF_TLS_KEY_FILE", "required with FF_TLS_CERT_FILE"}
	case s.TLSCert == "" && s.TLSKey != "":
		return &Error{"FF_TLS_CERT_FILE", "required with FF_TLS_KEY_FILE"}
	case s.TLSCert == "" && s.TLSClientCA != "":
		return &Error{"FF_TLS_CERT_FILE", "required with FF_TLS_CLIENT_CA_FILE"}
	}
	return nil
}

func (s *Server) checkIssuer() error {
	switch {
	case s.OIDCIssuer != "" && s.OIDCAudience == "":
		return &Error{"FF_OIDC_AUDIENCE", "required with FF_OIDC_ISSUER: without it, tokens for others would be good here"}
	case s.OIDCIssuer == "" && s.OIDCAudience != "":
		return &Error{"FF_OIDC_ISSUER", "required with FF_OIDC_AUDIENCE"}
	}
	return nil
}

func (s *Server) checkAddresses() error {
	switch {
	case s.Listen == "" && s.Open():
		s.Listen = "127.0.0.1:9090"
	case s.Listen == "":
		s.Listen = "0.0.0.0:9090"
	case s.Open() && !Loopback(s.Listen):
		return &Error{"FF_LISTEN_ADDR", fmt.Sprintf("'%s' lets others in, and nobody needs a token: set FF_API_TOKEN or FF_AUTH, or listen on 127.0.0.1", clip(s.Listen))}
	}
	if s.MetricsAddr != "" && !Loopback(s.MetricsAddr) {
		return &Error{"FF_METRICS_ADDR", fmt.Sprintf("'%s' lets others in, and profiles need no token: listen on 127.0.0.1", clip(s.MetricsAddr))}
	}
	return nil
}

// Loopback reports whether an address can be reached from this machine alone. A name is not looked up.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

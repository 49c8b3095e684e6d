package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/flowfabric/flowfabric"
)

// cors says to browsers which pages may call (chapter 70, section 6). It is the outermost layer: a preflight needs no authority,
// and is answered for every path, and the answers of all others can be read by whoever may call. Credentials of a browser are
// never asked for; a token that a page sends is a header like any other.
type cors struct {
	any     bool
	origins []string
	// what a preflight is told
	methods, headers string
}

const (
	corsMethods = "GET,POST,PUT,PATCH,DELETE"
	corsHeaders = "content-type,last-event-id,traceparent,x-request-id"
	corsExposed = "retry-after,x-request-id"
	corsVary    = "origin, access-control-request-method, access-control-request-headers"
)

// noCORS are paths without: they are for programs, not for pages.
var noCORS = map[string]bool{"/metrics": true}

// newCORS reads origins. Those that are none are left out, which is logged; if that leaves none, it fails with
// [flowfabric.ErrInvalidInput]. guarded: callers need a token.
func newCORS(origins []string, guarded bool, log *slog.Logger) (*cors, error) {
	c := &cors{methods: corsMethods, headers: corsHeaders}
	if guarded {
		c.headers = "authorization," + corsHeaders
	}
	var bad []string
	for _, text := range origins {
		origin, err := parseOrigin(text)
		switch {
		case text == "*":
			c.any = true
		case err != nil:
			bad = append(bad, text)
			log.Warn("an origin is left out", "origin", text, "err", err)
		default:
			c.origins = append(c.origins, origin)
		}
	}
	if len(bad) > 0 && len(bad) == len(origins) {
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Op: "server.New",
			Detail: fmt.Sprintf("Config.CORSOrigins: all configured origins failed to parse: %q; want scheme://host or scheme://host:port", bad),
		}
	}
	if c.any && !guarded { // "*" does not cover the header of a token (H19)
		c.methods, c.headers = "*", "*"
	}
	return c, nil
}

// parseOrigin reads scheme://host:port, as browsers send it: in lower case, without the port that goes without saying.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("parse: %w", err)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if origin := u.Scheme + "://" + u.Host; u.Scheme == "" || u.Hostname() == "" || !strings.EqualFold(origin, text) {
		return "", fmt.Errorf("it is no scheme with a host")
	}
	if port := map[string]string{"http": "80", "https": "443"}[u.Scheme]; port != "" && u.Port() == port {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.Scheme + "://" + u.Host, nil
}

// handle adds what browsers want to know. It reports whether that was all of the answer.
func (c *cors) handle(w http.ResponseWriter, r *http.Request) bool {
	if noCORS[r.URL.Path] {
		return false
	}
	head, preflight := w.Header(), r.Method == http.MethodOptions
	if !c.any {
		head.Set("Vary", corsVary)
	}
	switch origin := r.Header.Get("Origin"); {
	case c.any:
		head.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(c.origins, origin):
		head.Set("Access-Control-Allow-Origin", origin)
	}
	switch {
	case preflight:
		head.Set("Access-Control-Allow-Methods", c.methods)
		head.Set("Access-Control-Allow-Headers", c.headers)
		w.WriteHeader(http.StatusOK)
	case c.any:
		head.Set("Access-Control-Expose-Headers", "*")
	default:
		head.Set("Access-Control-Expose-Headers", corsExposed)
	}
	return preflight
}

package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/flowfabric/flowfabric/internal/wire"
)

// open are the paths that need no token: what watches a server has none, and what describes the API is no secret.
var open = map[string]bool{
	"/healthz": true, "/livez": true, "/readyz": true, "/openapi.json": true, "/v1/openapi.json": true, "/docs": true,
}

// allowed reports whether a request presents the token, if there is one. Digests are compared, so that the time it takes tells
// neither the token nor its length.
func (s *Server) allowed(r *http.Request) bool {
	if s.cfg.Token == "" || open[r.URL.Path] {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.Token))
	return strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// refuse answers a request without the token, also where there is nothing (chapter 70, section 5.2).
func refuse(w http.ResponseWriter, r *http.Request) {
	writeBody(w, r, http.StatusUnauthorized, wire.ErrorBody{Error: "missing or invalid Authorization header", Code: "unauthorized"})
}

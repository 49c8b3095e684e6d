package server

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

func (s *Server) routeRefAdmin() {
	s.addRef(route{
		method: http.MethodPost, path: "/v1/admin/rotate-waitpoint-secret", op: wire.RotateSecret.Op, name: "rotate_waitpoint_secret", limit: control,
		class: wire.Waits, // for its time
		body:  reflect.TypeFor[rotation](), answers: ok[rotated](),
	}, s.refRotate)
}

// rotateTimeout bounds a rotation.
const rotateTimeout = 120 * time.Second

// rotation is the body of POST /v1/admin/rotate-waitpoint-secret.
type rotation struct {
	NewKid       string `json:"new_kid"`
	NewSecretHex string `json:"new_secret_hex"`
}

// rotated answers it. There is one key store, so one is what a rotation rotates, and none can fail alone.
type rotated struct {
	Rotated int      `json:"rotated"`
	Failed  []uint16 `json:"failed"`
	NewKid  string   `json:"new_kid"`
}

func (s *Server) refRotate(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	in, err := bodyOf[rotation](r)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case in.NewKid == "" || strings.Contains(in.NewKid, ":"):
		return 0, nil, refuseInput("new_kid", "new_kid must be non-empty and must not contain ':'")
	case !isHex(in.NewSecretHex):
		return 0, nil, refuseInput("new_secret_hex", "new_secret_hex must be a non-empty even-length hex string")
	case s.serving.Err() != nil:
		return 0, nil, &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: "admin_rotate", Detail: "the server stops"}
	}
	select {
	case s.rotating <- struct{}{}:
		defer func() { <-s.rotating }()
	default:
		again := true
		return 0, nil, &refusal{http.StatusTooManyRequests, wire.ErrorBody{
			Error: "too many concurrent admin_rotate calls (server max: 1); retry with backoff", Code: flowfabric.CodeResourceExhausted, Retryable: &again,
			RetryAfterMS: 1000,
		}}
	}
	ctx, cancel := context.WithTimeout(r.Context(), rotateTimeout)
	defer cancel()
	_, err = call(ctx, s, wire.RotateSecret, flowfabric.RotateSecret{NewKid: in.NewKid, NewSecretHex: in.NewSecretHex, Grace: s.cfg.SecretGrace})
	if errors.Is(err, flowfabric.ErrTimeout) {
		again := true
		err = &refusal{http.StatusGatewayTimeout, wire.ErrorBody{
			Error: "rotation exceeded 120s server-side timeout; retry is safe (per-partition rotation is idempotent on the same new_kid + secret_hex)",
			Code:  flowfabric.CodeTimeout, Retryable: &again,
		}}
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rotated{Rotated: 1, Failed: []uint16{}, NewKid: in.NewKid}, nil
}

// isHex reports whether a text is hex digits, two for each byte, and some.
func isHex(text string) bool {
	return text != "" && len(text)%2 == 0 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

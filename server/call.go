package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/flowfabric/flowfabric/internal/wire"
)

// maxBody bounds the body of a call: as much as one command may carry, in JSON.
const maxBody = 8 << 20

// routeCalls serves every operation below [wire.CallPath].
func (s *Server) routeCalls() {
	for name, op := range wire.Ops {
		s.mux.HandleFunc("POST "+wire.CallPath+name, func(w http.ResponseWriter, r *http.Request) {
			in := op.New()
			if err := read(w, r, in); err != nil {
				writeBad(w, err)
				return
			}
			out, err := op.Invoke(r.Context(), s.svc, in)
			if err != nil {
				writeError(w, err)
				return
			}
			write(w, http.StatusOK, out)
		})
	}
}

// read reads the command of a request.
func read(w http.ResponseWriter, r *http.Request, in any) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	return wire.Decode(text, in)
}

// writeBad answers a request that could not be read.
func writeBad(w http.ResponseWriter, err error) {
	status, body := http.StatusBadRequest, wire.ErrorBody{Error: "invalid JSON: Bad Request"}
	if bad, ok := errors.AsType[*wire.BadJSON](err); ok {
		body.Field, body.Detail = bad.Field, bad.Detail
		if !bad.Syntax {
			status, body.Error = http.StatusUnprocessableEntity, "invalid JSON: Unprocessable Entity"
		}
	}
	write(w, status, body)
}

func writeError(w http.ResponseWriter, err error) {
	write(w, wire.StatusOf(err), wire.BodyOf(err))
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	if err := wire.AppendTo(&b, body); err != nil {
		http.Error(w, `{"error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller has gone
}

package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// maxBody bounds the body of a call: as much as one command may carry, in JSON.
const maxBody = 8 << 20

// errMediaType is of a body that does not say it is JSON.
var errMediaType = errors.New("the content type must be application/json")

// routeCalls serves every operation below [wire.CallPath].
func (s *Server) routeCalls() {
	for name, op := range wire.Ops {
		s.add(route{
			method: http.MethodPost, path: wire.CallPath + name, op: op, body: op.In, answers: []answer{{status: http.StatusOK, body: op.Out}},
			handle: func(w http.ResponseWriter, r *http.Request) {
				in := op.New()
				if err := read(r, in); err != nil {
					writeBad(w, r, err)
					return
				}
				if op == wire.Heartbeat.Op {
					s.inStep(r)
				}
				s.reply(w, r, op, in)
			},
		})
	}
}

// reply makes a call and answers with what it came to.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, op *wire.Op, in any) {
	out, err := s.invoke(r.Context(), op, in)
	if err != nil {
		writeError(w, r, s.ended(op, err))
		return
	}
	write(w, http.StatusOK, out)
}

// ended tells who waited and was cut short because the server stops to ask again: another server, or this one when it is back.
func (s *Server) ended(op *wire.Op, err error) error {
	if op.Class == wire.Waits && s.serving.Err() != nil && errors.Is(err, flowfabric.ErrTimeout) {
		return &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op.Name, Detail: "the server stops", Err: err}
	}
	return err
}

// read reads the command of a request.
func read(r *http.Request, in any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !isJSON(media) {
		return errMediaType
	}
	var text bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		text.Grow(int(n) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(r.Body); err != nil {
		return err
	}
	return wire.Decode(text.Bytes(), in)
}

func isJSON(media string) bool {
	kind, found := strings.CutPrefix(media, "application/")
	return found && (kind == "json" || strings.HasSuffix(kind, "+json"))
}

// writeBad answers a request that could not be read (chapter 70, section 5.2).
func writeBad(w http.ResponseWriter, r *http.Request, err error) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		writeBody(w, r, http.StatusRequestEntityTooLarge, wire.ErrorBody{
			Error: "payload_too_large", Code: flowfabric.CodePayloadTooLarge, LimitBytes: large.Limit, Route: template(r),
		})
		return
	}
	status, body := http.StatusBadRequest, wire.ErrorBody{Code: flowfabric.CodeInvalidInput}
	bad, malformed := errors.AsType[*wire.BadJSON](err)
	switch {
	case errors.Is(err, errMediaType):
		status, body.Detail = http.StatusUnsupportedMediaType, err.Error()
	case malformed:
		body.Field, body.Detail = bad.Field, bad.Detail
		if !bad.Syntax {
			status = http.StatusUnprocessableEntity
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		writeBody(w, r, http.StatusRequestTimeout, wire.ErrorBody{Error: "the body came too slowly", Code: flowfabric.CodeTimeout})
		return
	case errors.Is(err, io.ErrUnexpectedEOF):
		body.Detail = "the body ended early"
	default:
		body.Detail = "the body could not be read"
	}
	body.Error = "invalid JSON: " + http.StatusText(status)
	writeBody(w, r, status, body)
}

// template is the path of the route that was taken.
func template(r *http.Request) string {
	_, path, _ := strings.Cut(r.Pattern, " ")
	return path
}

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	writeBody(w, r, wire.StatusOf(err), wire.BodyOf(err))
}

// writeBody answers with an error. Who may come again is told when.
func writeBody(w http.ResponseWriter, r *http.Request, status int, body wire.ErrorBody) {
	body.RequestID = requestID(r.Context())
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.FormatInt(max(1, (body.RetryAfterMS+999)/1000), 10))
	}
	write(w, status, body)
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	if err := wire.AppendTo(&b, body); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"error":"internal error","code":"bug","retryable":false}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller may have gone
}

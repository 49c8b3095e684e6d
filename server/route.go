package server

import (
	"context"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// route is one path of the API and all that is known of it: the mux, the bounds of a request and the OpenAPI document are made
// of the same list.
type route struct {
	method, path string // as [http.ServeMux] has them
	op           *wire.Op
	name         string       // unique; default: the name of op
	summary      string       // one line for people; default: of op
	about        string       // more than the line, if that is not enough
	class        wire.Class   // default: that of op
	limit        int64        // bytes of the body; default maxBody
	query        reflect.Type // struct whose members the query may have; nil for none
	body         reflect.Type // of the request; nil for none
	answers      []answer     // those of success
	many         bool         // the body is a [wire.Batch] of body, the answer [wire.BatchResults] of its body
	open         bool         // needs no authority, like /healthz
	fails        []int        // statuses of failures beside those of all such routes
	handle       http.HandlerFunc
}

// answer is one form of success.
type answer struct {
	status int
	body   reflect.Type // nil for none
	media  string       // default application/json
}

// live reports whether a request is answered for as long as the caller listens: if the route answers so, or also so and the
// caller asks for it.
func (r *route) live(req *http.Request) bool {
	return r.sends(eventStream) && (len(r.answers) == 1 || accepts(req, eventStream))
}

// sends reports whether an answer may be of a media type.
func (r *route) sends(media string) bool {
	return slices.ContainsFunc(r.answers, func(a answer) bool { return a.media == media })
}

// accepts reports whether a caller names a media type.
func accepts(req *http.Request, media string) bool {
	for part := range strings.SplitSeq(req.Header.Get("Accept"), ",") {
		if name, _, err := mime.ParseMediaType(part); err == nil && name == media {
			return true
		}
	}
	return false
}

// names are the parameters of a path.
func names(path string) []string {
	var all []string
	for segment := range strings.SplitSeq(path, "/") {
		if _, name, ok := strings.Cut(segment, "{"); ok {
			name, _, _ = strings.Cut(name, "}")
			all = append(all, strings.TrimSuffix(name, "..."))
		}
	}
	return all
}

// longestWait is what a command may ask to wait at most, of all operations.
const longestWait = flowfabric.MaxFlowWait

// add serves a route: as one of the requests its class bounds, and within its time.
func (s *Server) add(r route) {
	if r.op != nil {
		if r.name == "" {
			r.name = r.op.Name
		}
		if r.class == "" {
			r.class = r.op.Class
		}
	}
	if r.limit == 0 {
		r.limit = maxBody
	}
	if r.open || r.op != nil && r.op.Role == wire.Bearer {
		s.free[r.method+" "+r.path] = true
	}
	s.routes = append(s.routes, r)
	s.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { s.serve(w, req, &r) })
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request, r *route) {
	ctx := req.Context()
	if gate := s.gate[r.class]; gate != nil {
		select {
		case gate <- struct{}{}:
			defer func() { <-gate }()
		default:
			writeError(w, req, &flowfabric.Error{Code: flowfabric.CodeResourceExhausted, Attrs: map[string]string{
				"pool": string(r.class), "max": strconv.Itoa(cap(gate)), "retry_after_ms": "100",
			}})
			return
		}
		var cancel context.CancelFunc
		switch most := s.cfg.RequestTimeout; {
		case r.live(req):
			ctx, cancel = context.WithCancel(ctx)
		case r.class == wire.Waits:
			ctx, cancel = context.WithTimeout(ctx, most+longestWait)
		default:
			ctx, cancel = context.WithTimeout(ctx, most)
		}
		defer cancel()
		if r.class == wire.Waits {
			defer context.AfterFunc(s.serving, cancel)() // a wait ends when the server is to stop
		}
	}
	if req.Method == http.MethodHead && r.live(req) { // who asks for the head alone does not listen
		w.Header().Set("Content-Type", eventStream)
		return
	}
	if req.ContentLength > r.limit {
		writeBad(w, req, &http.MaxBytesError{Limit: r.limit})
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, r.limit)
	r.handle(w, req.WithContext(ctx))
}

// invoke makes a call on behalf of who asks. Every route makes its calls here.
func (s *Server) invoke(ctx context.Context, op *wire.Op, in any) (any, error) {
	role := roleOf(op, in)
	err := s.authorise(ctx, op, in, role)
	var out any
	if err == nil {
		out, err = op.Invoke(ctx, s.svc, in)
	}
	if role == wire.Operator || role == wire.Admin {
		s.audit(ctx, op, in, out, err)
	}
	if err == nil {
		s.found(ctx, out)
	} else {
		s.logFailure(ctx, op, err)
	}
	return out, err
}

// call is invoke for a command of a known type.
func call[In, Out any](ctx context.Context, s *Server, op wire.Call[In, Out], in In) (Out, error) {
	out, err := s.invoke(ctx, op.Op, &in)
	if err != nil {
		var none Out
		return none, err
	}
	return out.(Out), nil
}

package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// routeResources serves operations by the paths people expect.
func (s *Server) routeResources() {
	for _, res := range wire.Resources {
		inPath := names(res.Path)
		at := route{
			method: res.Method, path: res.Path, op: res.Op, name: res.Name(), answers: []answer{{status: http.StatusOK, body: res.Op.Out}},
			handle: func(w http.ResponseWriter, r *http.Request) { s.resource(w, r, res, inPath) },
		}
		if res.InQuery() {
			at.query = res.Op.In
		} else {
			at.body = res.Op.In
		}
		s.add(at)
	}
}

// resource reads a command from the body, or the query of a request without one, and from the path, which wins.
func (s *Server) resource(w http.ResponseWriter, r *http.Request, res wire.Resource, inPath []string) {
	in := res.Op.New()
	if !res.InQuery() {
		if err := read(r, in); err != nil {
			writeBad(w, r, err)
			return
		}
	}
	if fromAddress(w, r, res.Op, in, res.InQuery(), inPath) {
		s.reply(w, r, res.Op, in)
	}
}

// fromAddress gives a command what query and path say, or answers what is wrong with them.
func fromAddress(w http.ResponseWriter, r *http.Request, op *wire.Op, in any, query bool, inPath []string) bool {
	var wrong error
	if query {
		wrong = wire.SetQuery(in, r.URL.Query())
	}
	for _, name := range inPath {
		if wrong == nil {
			wrong = wire.Set(in, name, r.PathValue(name))
		}
	}
	bad, ok := errors.AsType[*wire.BadJSON](wrong)
	if ok {
		name := strings.TrimPrefix(bad.Field, "/")
		writeError(w, r, &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: op.Name, Detail: name + ": " + bad.Detail, Attrs: map[string]string{"field": name}})
	}
	return !ok
}

package server

import (
	"cmp"
	_ "embed" // the page
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/schema"
	"github.com/flowfabric/flowfabric/internal/wire"
)

//go:embed docs.html
var docsPage []byte

// docsPolicy lets the page do what it needs: run what is in it and read the document.
const docsPolicy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

// routeDocs serves the description of the API: a document for programs, and a page that shows it to people. Neither tells more
// than the source does, so neither needs authority.
func (s *Server) routeDocs() {
	document := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(s.document()) // the caller may have gone
	}
	for path, name := range map[string]string{"/openapi.json": "openapi", "/v1/openapi.json": "openapi_v1"} {
		s.add(route{
			method: http.MethodGet, path: path, name: name, summary: "Read this document", open: true, handle: document,
			answers: []answer{{status: http.StatusOK, body: reflect.TypeFor[map[string]any]()}},
		})
	}
	s.add(route{
		method: http.MethodGet, path: "/docs", name: "docs", summary: "Read the description of the API with a browser", open: true,
		answers: []answer{{status: http.StatusOK, media: "text/html"}},
		handle: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", docsPolicy)
			_, _ = w.Write(docsPage)
		},
	})
}

// Parts of an OpenAPI 3.1 document, as far as it needs them.
type (
	document struct {
		OpenAPI    string                          `json:"openapi"`
		Info       docInfo                         `json:"info"`
		Servers    []docServer                     `json:"servers"`
		Security   []map[string][]string           `json:"security"`
		Tags       []docTag                        `json:"tags"`
		Paths      map[string]map[string]operation `json:"paths"` // by path and method
		Components components                      `json:"components"`
	}
	docInfo struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	}
	docServer struct {
		URL string `json:"url"`
	}
	docTag struct {
		Name string `json:"name"`
	}
	components struct {
		Schemas         schema.Properties         `json:"schemas"`
		Responses       map[string]response       `json:"responses"`
		SecuritySchemes map[string]securityScheme `json:"securitySchemes"`
	}
	securityScheme struct {
		Type        string `json:"type"`
		Scheme      string `json:"scheme"`
		Description string `json:"description,omitzero"`
	}
	operation struct {
		ID          string                 `json:"operationId"`
		Summary     string                 `json:"summary"`
		Description string                 `json:"description,omitzero"`
		Tags        []string               `json:"tags"`
		Role        string                 `json:"x-role,omitzero"`
		Class       wire.Class             `json:"x-class,omitzero"`
		Repeatable  *bool                  `json:"x-repeatable,omitzero"`
		MaxBytes    int64                  `json:"x-max-bytes,omitzero"` // of the body
		Security    *[]map[string][]string `json:"security,omitzero"`
		Parameters  []parameter            `json:"parameters,omitzero"`
		Body        *requestBody           `json:"requestBody,omitzero"`
		Responses   map[string]response    `json:"responses"`
	}
	parameter struct {
		Name        string         `json:"name"`
		In          string         `json:"in"`
		Required    bool           `json:"required,omitzero"`
		Description string         `json:"description,omitzero"`
		Style       string         `json:"style,omitzero"`
		Explode     *bool          `json:"explode,omitzero"`
		Schema      *schema.Schema `json:"schema"`
	}
	requestBody struct {
		Content map[string]mediaType `json:"content"`
	}
	response struct {
		Ref         string               `json:"$ref,omitzero"`
		Description string               `json:"description,omitzero"`
		Headers     map[string]header    `json:"headers,omitzero"`
		Content     map[string]mediaType `json:"content,omitzero"`
	}
	header struct {
		Description string         `json:"description"`
		Schema      *schema.Schema `json:"schema"`
	}
	mediaType struct {
		Schema *schema.Schema `json:"schema"`
	}
)

const docDescription = `Durable executions over HTTP. Commands and answers are JSON: instants and spans are integers in milliseconds, ` +
	`bytes are base64, members that are zero are left out. Members of a command that are not known are refused; be ready for members ` +
	`of an answer that you do not know. Every failure has the form of ErrorBody: match its code. Operations with x-repeatable may be ` +
	`sent again when their outcome is not known; x-role is what the caller must be allowed to be.`

// describe makes the OpenAPI document of what the server serves.
func (s *Server) describe() []byte {
	d := describer{set: schema.NewSet("#/components/schemas/")}
	doc := document{
		OpenAPI: "3.1.0",
		Info:    docInfo{Title: "FlowFabric", Description: docDescription, Version: cmp.Or(s.cfg.Version, "unversioned")},
		Servers: []docServer{{"/"}}, Security: []map[string][]string{{"bearer": {}}},
		Paths: map[string]map[string]operation{},
	}
	routes := slices.Clone(s.routes)
	slices.SortFunc(routes, func(a, b route) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method)) })
	var tags []string
	for i := range routes {
		r := &routes[i]
		op := d.operation(r)
		tags = append(tags, op.Tags...)
		path := strings.ReplaceAll(r.path, "...}", "}")
		if doc.Paths[path] == nil {
			doc.Paths[path] = map[string]operation{}
		}
		doc.Paths[path][strings.ToLower(r.method)] = op
	}
	slices.Sort(tags)
	for _, tag := range slices.Compact(tags) {
		doc.Tags = append(doc.Tags, docTag{tag})
	}
	doc.Components = components{
		Responses: d.failures(),
		SecuritySchemes: map[string]securityScheme{"bearer": {
			Type: "http", Scheme: "bearer", Description: "A token or key. A server that listens on loopback alone may want none.",
		}},
		Schemas: d.set.Named(),
	}
	text, err := json.Marshal(doc, json.Deterministic(true), jsontext.WithIndent(" "))
	if err != nil {
		panic(err) // these types can be written
	}
	return text
}

// describer collects the schemas that the operations refer to.
type describer struct{ set *schema.Set }

func (d *describer) operation(r *route) operation {
	op := operation{
		ID: r.name, Summary: r.summary, Description: r.about, Tags: []string{"server"}, Class: r.class,
		Parameters: d.parameters(r), Responses: map[string]response{},
	}
	if r.op != nil {
		op.Summary, op.Tags, op.Repeatable = cmp.Or(r.summary, r.op.Summary), []string{r.op.Tag}, &r.op.Repeatable
		op.Role = cmp.Or(string(r.op.Role), "any")
	}
	switch {
	case r.open:
		op.Security = &[]map[string][]string{}
	case r.op != nil && r.op.Role == wire.Bearer:
		op.Security = &[]map[string][]string{{}, {"bearer": {}}}
	}
	if r.body != nil {
		body := d.set.Of(r.body, true)
		if r.many {
			body = list("items", body)
		}
		op.MaxBytes = r.limit
		op.Body = &requestBody{Content: map[string]mediaType{"application/json": {body}}}
	}
	for _, a := range r.answers {
		status, next := strconv.Itoa(a.status), d.answer(r, a)
		if before, ok := op.Responses[status]; ok {
			next = before.or(next)
		}
		op.Responses[status] = next
	}
	for _, status := range failuresOf(r) {
		op.Responses[strconv.Itoa(status)] = response{Ref: "#/components/responses/" + failureName(status)}
	}
	return op
}

// parameters are those of the path and of the query.
func (d *describer) parameters(r *route) []parameter {
	known := map[string]*schema.Schema{}
	if r.op != nil {
		for _, p := range d.set.Params(r.op.In) {
			known[p.Name] = p.Schema
		}
	}
	var all []parameter
	inPath := map[string]bool{}
	for _, name := range names(r.path) {
		inPath[name] = true
		of := cmp.Or(known[name], &schema.Schema{Type: "string"})
		all = append(all, parameter{Name: name, In: "path", Required: true, Description: of.Description, Schema: of})
	}
	if r.sends(eventStream) {
		all = append(all, parameter{
			Name: "Last-Event-ID", In: "header", Description: "the id of the last event that was seen; it counts before the query",
			Schema: &schema.Schema{Type: "string"},
		})
	}
	if r.query == nil {
		return all
	}
	for _, p := range d.set.Params(r.query) {
		if inPath[p.Name] {
			continue
		}
		q := parameter{Name: p.Name, In: "query", Description: p.Schema.Description, Schema: p.Schema}
		if p.Schema.Type == "array" {
			q.Style, q.Explode = "form", new(bool)
		}
		all = append(all, q)
	}
	return all
}

func (d *describer) answer(r *route, a answer) response {
	res := response{Description: http.StatusText(a.status), Headers: requestIDHeader}
	if a.status == http.StatusNoContent {
		return res
	}
	media, of := cmp.Or(a.media, "application/json"), &schema.Schema{Type: "string"}
	if a.body != nil {
		of = d.set.Of(a.body, false)
	}
	if r.many {
		of = list("results", &schema.Schema{Type: "object", Properties: schema.Properties{
			{Name: "value", Schema: of}, {Name: "error", Schema: d.failure()},
		}})
	}
	res.Content = map[string]mediaType{media: {of}}
	return res
}

// or is a response that is one of two, of the same status.
func (r response) or(other response) response {
	for media, of := range other.Content {
		if before, ok := r.Content[media]; ok {
			of = mediaType{&schema.Schema{AnyOf: []*schema.Schema{before.Schema, of.Schema}}}
		}
		r.Content[media] = of
	}
	return r
}

// list is an object with a list, which is never missing.
func list(name string, of *schema.Schema) *schema.Schema {
	return &schema.Schema{
		Type: "object", Required: []string{name},
		Properties: schema.Properties{{Name: name, Schema: &schema.Schema{Type: "array", Items: of, MaxItems: wire.MaxBatch}}},
	}
}

var requestIDHeader = map[string]header{"X-Request-Id": {"of the caller, or one that was made", &schema.Schema{Type: "string"}}}

// beforeCall are the codes of failures that no operation is reached with, by status.
var beforeCall = map[int][]flowfabric.Code{
	http.StatusUnauthorized: {"unauthorized"}, http.StatusForbidden: {"forbidden"}, http.StatusNotFound: {"not_found"},
	http.StatusRequestEntityTooLarge: {flowfabric.CodePayloadTooLarge}, http.StatusUnsupportedMediaType: {flowfabric.CodeInvalidInput},
	http.StatusUnprocessableEntity: {flowfabric.CodeInvalidInput}, http.StatusRequestTimeout: {flowfabric.CodeTimeout},
}

// failuresOf are the statuses of failures a route may answer with.
func failuresOf(r *route) []int {
	all := []int{http.StatusInternalServerError}
	if !r.open {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden)
	}
	if r.class != "" {
		all = append(all, http.StatusTooManyRequests)
	}
	if r.body != nil {
		all = append(all, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	if r.op != nil {
		all = append(all, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		if r.op == wire.ReadEvents.Op || r.op == wire.AckEvents.Op {
			all = append(all, http.StatusGone)
		}
	}
	return append(all, r.fails...)
}

func failureName(status int) string { return "Error" + strconv.Itoa(status) }

func (d *describer) failure() *schema.Schema {
	return d.set.Of(reflect.TypeFor[wire.ErrorBody](), false)
}

// failures are the forms of failure by their names, each with the codes it may have.
func (d *describer) failures() map[string]response {
	codes := map[int][]flowfabric.Code{}
	for status, some := range beforeCall {
		codes[status] = slices.Clone(some)
	}
	for _, code := range schema.Codes() {
		status := code.Lookup().HTTP
		codes[status] = append(codes[status], code)
	}
	all := map[string]response{}
	for status, some := range codes {
		var text strings.Builder
		text.WriteString(http.StatusText(status) + ":")
		for _, code := range some {
			text.WriteString(" " + string(code))
		}
		headers := map[string]header{"X-Request-Id": requestIDHeader["X-Request-Id"]}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			headers["Retry-After"] = header{"when to come again, in seconds", &schema.Schema{Type: "integer"}}
		}
		all[failureName(status)] = response{Description: text.String(), Headers: headers, Content: map[string]mediaType{"application/json": {d.failure()}}}
	}
	return all
}

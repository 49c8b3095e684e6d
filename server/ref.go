package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Caps of bodies on the routes of the reference (chapter 70, section 3).
const (
	large   = 1 << 20
	medium  = 256 << 10
	control = 64 << 10
)

// routeReference serves the routes of the reference (chapter 70, section 4): its paths, JSON forms and status codes, by the
// operations of the service. What differs from the routes beside them: members of a body that nobody knows are passed over,
// unless the query has strict=true; what must be there is said by the type of the body (see [wire.DecodeMembers]); variants are
// told apart by a member's name, like {"Created":{…}}. The time a caller says it is must be there and is not used: the store's
// clock counts.
//
// Checks run in this order: the body, ids of the path, whether an id in the body is that of the path, then the rest.
func (s *Server) routeReference() {
	s.routeRefLists()
	s.routeRefExecutions()
	s.routeRefWaitpoints()
	s.routeRefStreams()
	s.routeRefClaims()
	s.routeRefFlows()
	s.routeRefLimits()
	s.routeRefAdmin()
}

// refHandler answers a request: status and body, which is written as JSON; a nil body is none. Status 0: it has written the
// answer itself.
type refHandler func(w http.ResponseWriter, r *http.Request) (status int, body any, err error)

// addRef adds a route of the reference.
func (s *Server) addRef(r route, handle refHandler) {
	r.handle = func(w http.ResponseWriter, req *http.Request) {
		status, body, err := handle(w, req)
		refused, pre := errors.AsType[*refusal](err)
		switch {
		case pre:
			writeBody(w, req, refused.status, refused.body)
		case errors.As(err, new(*badBody)):
			writeBad(w, req, errors.Unwrap(err))
		case err != nil:
			writeError(w, req, err)
		case status == 0:
		case body == nil:
			w.WriteHeader(status)
		default:
			write(w, status, body)
		}
	}
	s.add(r)
}

// refusal is an answer whose text the chapter says.
type refusal struct {
	status int
	body   wire.ErrorBody
}

// Error implements error.
func (e *refusal) Error() string { return e.body.Error }

// refuseInput is a 400 with a text of the chapter, which names the field.
func refuseInput(field, text string) error {
	body := wire.ErrorBody{Error: text, Code: flowfabric.CodeInvalidInput}
	if field != "" {
		body.Attrs = map[string]string{"field": field}
	}
	return &refusal{http.StatusBadRequest, body}
}

// refuseMissing is a 404 with a text of the chapter, and why.
func refuseMissing(text string, why flowfabric.Code) error {
	return &refusal{http.StatusNotFound, wire.ErrorBody{Error: text, Code: why}}
}

// badBody is why a body could not be read.
type badBody struct{ err error }

// Error implements error.
func (e *badBody) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *badBody) Unwrap() error { return e.err }

// bodyOf reads the body of a request.
func bodyOf[T any](r *http.Request) (*T, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !isJSON(media) {
		return nil, &badBody{errMediaType}
	}
	text, err := slurp(r)
	if err != nil {
		return nil, &badBody{err}
	}
	query, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	in := new(T)
	err = wire.DecodeMembers(text, in, isOn(query, "strict"))
	if _, bad := errors.AsType[*wire.BadJSON](err); bad {
		return nil, &badBody{err}
	}
	return in, err
}

// noBody passes over the body of a request that needs none. Only its size counts.
func noBody(r *http.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return &badBody{err}
	}
	return nil
}

// slurp reads the text of a body, which is bounded.
func slurp(r *http.Request) ([]byte, error) {
	var text bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		text.Grow(int(n) + bytes.MinRead)
	}
	_, err := text.ReadFrom(r.Body)
	return text.Bytes(), err
}

// missingMember says that a member is missing that the type of the body cannot ask for.
func missingMember(name, want string) error {
	return &badBody{&wire.BadJSON{Field: "/" + name, Detail: "is missing; want " + want}}
}

const badQuery = "Failed to deserialize query string: "

func queryOf(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuseInput("", badQuery+"it is not form-encoded")
	}
	return query, nil
}

// readQuery reads the parameters that the struct into points to knows.
func readQuery(r *http.Request, into any) error {
	query, err := queryOf(r)
	if err != nil {
		return err
	}
	if bad, ok := errors.AsType[*wire.BadJSON](wire.SetMembers(into, query)); ok {
		name := strings.TrimPrefix(bad.Field, "/")
		return refuseInput(name, badQuery+name+": "+bad.Detail)
	}
	return nil
}

// isOn reports whether a switch of a query is on: true and 1 are the only words for it, and the last one counts.
func isOn(query url.Values, name string) bool {
	words := query[name]
	return len(words) > 0 && (words[len(words)-1] == "true" || words[len(words)-1] == "1")
}

// executionOf reads the execution id of a path.
func executionOf(r *http.Request) (flowfabric.ExecutionID, error) {
	text := r.PathValue("id")
	id, err := parseExecution(text)
	if err != nil {
		return id, refuseInput("execution_id", "invalid execution_id: "+err.Error())
	}
	return id, nil
}

// parseExecution is [flowfabric.ParseExecutionID] with the texts of chapter 70, section 2.
func parseExecution(text string) (flowfabric.ExecutionID, error) {
	id, err := flowfabric.ParseExecutionID(text)
	coded, ok := errors.AsType[*flowfabric.Error](err)
	if !ok {
		if id.IsZero() { // which stands for an unset id elsewhere
			return id, errors.New("execution_id UUID suffix is not a valid UUID: it is nil")
		}
		return id, nil
	}
	problem := "execution_id is missing the `{fp:N}:` hash-tag prefix"
	switch flowfabric.ErrorReason(coded.Attrs["reason"]) {
	case flowfabric.ReasonInvalidPartitionIndex:
		problem = "execution_id partition index is not a valid u16"
	case flowfabric.ReasonInvalidUUID:
		problem = "execution_id UUID suffix is not a valid UUID"
	case flowfabric.ReasonMissingTag:
	}
	return id, errors.New(problem + ": " + clipped(text))
}

// clipped is text of a caller as it may stand in an answer to it.
func clipped(text string) string {
	const most = 128
	if !utf8.ValidString(text) {
		return "it is not UTF-8"
	}
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// lenient is an id that is read in the hyphenated, the plain, the braced and the urn:uuid: form, and written in the first. The
// nil UUID is refused: it stands for an unset id elsewhere.
type lenient[ID ~[16]byte] struct{ id ID }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *lenient[ID]) UnmarshalText(text []byte) error {
	id, err := parseLenient[ID](string(text))
	if err == nil {
		l.id = id
	}
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (l lenient[ID]) MarshalText() ([]byte, error) { return uuid.UUID(l.id).MarshalText() }

const wantUUID = wire.Want("a UUID in the hyphenated form")

func parseLenient[ID ~[16]byte](text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil || len(text) == 38 && (text[0] != '{' || text[37] != '}') {
		return ID{}, wantUUID
	}
	return ID(id), nil
}

// pathUUID reads an id of a path that is called what in the answer.
func pathUUID[ID ~[16]byte](r *http.Request, name, what string) (ID, error) {
	text := r.PathValue(name)
	id, err := parseLenient[ID](text)
	if err != nil {
		return id, refuseInput(strings.TrimPrefix(what, "invalid "), what+": "+clipped(text)+" is not a UUID")
	}
	return id, nil
}

// sameID refuses a body whose id is another than that of the path.
func sameID[ID comparable](name string, path, body ID) error {
	if path != body {
		return refuseInput(name, "path "+name+" does not match body "+name)
	}
	return nil
}

// there reports whether this deployment has the partition of an execution; no execution is on one that it does not have (H02).
func (s *Server) there(id flowfabric.ExecutionID) bool {
	return id.Partition().Index < s.cfg.Partitions.Flow
}

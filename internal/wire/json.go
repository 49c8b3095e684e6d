package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
)

// The JSON form: members have the names of the struct tags and are left out when zero; instants and spans are integers in
// milliseconds, bytes are base64, ids and cursors are strings, errors have the form of [ErrorBody].
var (
	marshalers = json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, d time.Duration) error {
			return enc.WriteToken(jsontext.Int(milliseconds(d)))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, err error) error {
			return json.MarshalEncode(enc, BodyOf(err))
		}),
	))
	unmarshalers = json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(func(dec *jsontext.Decoder, d *time.Duration) error {
			var ms int64
			if err := json.UnmarshalDecode(dec, &ms); err != nil {
				return err
			}
			if ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond) {
				return errors.New("a span of more than 292 years")
			}
			*d = time.Duration(ms) * time.Millisecond
			return nil
		}),
		json.UnmarshalFromFunc(func(dec *jsontext.Decoder, err *error) error {
			var body ErrorBody
			if e := json.UnmarshalDecode(dec, &body); e != nil {
				return e
			}
			*err = body.Err()
			return nil
		}),
	))
	lenient = json.JoinOptions(unmarshalers, jsontext.AllowInvalidUTF8(false))
	strict  = json.JoinOptions(lenient, json.RejectUnknownMembers(true))
)

// milliseconds rounds away from zero, so that no span becomes none on its way.
func milliseconds(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	switch rest := d % time.Millisecond; {
	case rest > 0:
		return ms + 1
	case rest < 0:
		return ms - 1
	}
	return ms
}

// Marshal returns the JSON form.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, marshalers) }

// AppendTo writes the JSON form behind what is in b.
func AppendTo(b *bytes.Buffer, v any) error { return json.MarshalWrite(b, v, marshalers) }

// Unmarshal reads the JSON form of an answer. Members it does not know are passed over: a newer server sends them.
func Unmarshal(text []byte, into any) error { return json.Unmarshal(text, into, lenient) }

// BadJSON is why a command could not be read. Nothing of the text is repeated in it.
type BadJSON struct {
	Syntax bool   // it is no JSON at all
	Field  string // JSON pointer to the member; empty for the whole
	Detail string
}

// Error implements error.
func (e *BadJSON) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Decode reads a command. Members that are not known are refused, since somebody means something by them. Its error is a
// [*BadJSON].
func Decode(text []byte, into any) error {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	err := json.Unmarshal(text, into, strict)
	if err == nil {
		return nil
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &BadJSON{Syntax: true, Detail: "the body is not valid JSON, at byte " + strconv.FormatInt(syntax.ByteOffset, 10)}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return &BadJSON{Detail: "the body does not have the form of the command"}
	}
	bad := &BadJSON{Field: string(semantic.JSONPointer), Detail: "has the wrong type"}
	var coded *flowfabric.Error
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		bad.Detail = "unknown field"
	case errors.As(semantic.Err, &coded):
		bad.Detail = "is not valid"
	case semantic.GoType != nil:
		bad.Detail = fmt.Sprintf("want %s, not a JSON %s", kindOf(semantic.GoType), semantic.JSONKind)
	}
	return bad
}

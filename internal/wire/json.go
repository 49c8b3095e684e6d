package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
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
			return enc.WriteValue(milliseconds(d))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, err error) error {
			return json.MarshalEncode(enc, BodyOf(err))
		}),
	))
	unmarshalers = json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(func(dec *jsontext.Decoder, d *time.Duration) error {
			text, err := dec.ReadValue()
			if err != nil {
				return err
			}
			if text.Kind() != '0' {
				return &json.SemanticError{JSONPointer: dec.StackPointer(), JSONKind: text.Kind(), GoType: spanType}
			}
			*d, err = spanOf(string(text))
			if err != nil {
				return err
			}
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

// milliseconds writes a span, with a fraction only if it has one.
func milliseconds(d time.Duration) jsontext.Value {
	ms, rest := d/time.Millisecond, d%time.Millisecond
	text := strconv.AppendInt(nil, int64(ms), 10)
	if rest == 0 {
		return text
	}
	if d < 0 {
		text, rest = strconv.AppendInt([]byte{'-'}, -int64(ms), 10), -rest
	}
	return bytes.TrimRight(fmt.Appendf(text, ".%06d", rest), "0")
}

// spanOf reads milliseconds. What is beyond a nanosecond counts for one.
func spanOf(text string) (time.Duration, error) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if n, err := strconv.Atoi(text[i+1:]); err != nil || max(n, -n) > 30 {
			return 0, errNoSpan // and nobody computes the power
		}
	}
	ms, ok := new(big.Rat).SetString(text)
	if !ok || len(text) > 60 || strings.Contains(text, "/") {
		return 0, errNoSpan
	}
	ns := ms.Mul(ms, big.NewRat(int64(time.Millisecond), 1))
	whole, rest := new(big.Int).QuoRem(ns.Num(), ns.Denom(), new(big.Int))
	whole.Add(whole, big.NewInt(int64(rest.Sign())))
	if !whole.IsInt64() { // more than 292 years
		return 0, errNoSpan
	}
	return time.Duration(whole.Int64()), nil
}

var errNoSpan = errors.New("not a span in milliseconds")

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
	switch string(bytes.TrimSpace(text)) {
	case "":
		text = []byte("{}")
	case "null":
		return &BadJSON{Detail: "want an object, not a JSON null"}
	}
	if err := json.Unmarshal(text, into, strict); err != nil {
		return badJSON(err, "")
	}
	return nil
}

// Want is the error of a text form that does not say what it should: what is wanted instead.
type Want string

// Error implements error.
func (w Want) Error() string { return "want " + string(w) }

// badJSON says why a value could not be read. at is the JSON pointer to it.
func badJSON(err error, at string) *BadJSON {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &BadJSON{Syntax: true, Detail: "the body is not valid JSON, at byte " + strconv.FormatInt(syntax.ByteOffset, 10)}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return &BadJSON{Field: at, Detail: "the body does not have the form of the command"}
	}
	bad := &BadJSON{Field: at + string(semantic.JSONPointer), Detail: "has the wrong type"}
	var coded *flowfabric.Error
	var want Want
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		bad.Detail = "unknown field"
	case errors.As(semantic.Err, &want):
		bad.Detail = want.Error()
	case errors.As(semantic.Err, &coded):
		bad.Detail = "is not valid"
	case semantic.GoType != nil && semantic.JSONKind == jsontext.KindInvalid:
		bad.Detail = "want " + kindOf(semantic.GoType) + ", that is valid"
	case semantic.GoType != nil:
		bad.Detail = fmt.Sprintf("want %s, not a JSON %s", kindOf(semantic.GoType), semantic.JSONKind)
	}
	return bad
}

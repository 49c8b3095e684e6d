package server

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// octets are bytes as the reference writes them: an array of integers from 0 to 255.
type octets []byte

const wantOctets = wire.Want("an array of integers from 0 to 255")

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (o *octets) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return wantOctets
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*o = octets{}
	for dec.PeekKind() != ']' {
		text, err := dec.ReadValue()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(text), 10, 8)
		if err != nil {
			return wantOctets
		}
		*o = append(*o, byte(n))
	}
	_, err := dec.ReadToken()
	return err
}

// payloadOf is what two members say of which one may be given: an array, or base64 (H24).
func payloadOf(name string, array *octets, base64 *[]byte) ([]byte, error) {
	switch {
	case array != nil && base64 != nil:
		return nil, &flowfabric.Error{
			Code: flowfabric.CodeInvalidInput, Detail: name + " and " + name + "_b64 are both given; give one", Attrs: map[string]string{"field": name},
		}
	case base64 != nil:
		return *base64, nil
	case array != nil:
		return *array, nil
	default:
		return nil, nil
	}
}

// laneText is the name of a lane in a body that is refused as a whole if it is not one.
type laneText string

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *laneText) UnmarshalText(text []byte) error {
	*l = laneText(text)
	return flowfabric.LaneID(text).Validate()
}

// MarshalText implements [encoding.TextMarshaler].
func (l laneText) MarshalText() ([]byte, error) { return []byte(l), nil }

package worker

import (
	"encoding/json"
	"fmt"
)

// Encodings a typed handler gives its result. No result has none.
const (
	encodingJSON = "json"
	encodingRaw  = "raw"
)

// decode reads a payload into In: []byte and json.RawMessage take it as it is, struct{} ignores it, anything else is
// JSON.
func decode[In any](payload []byte) (In, error) {
	var in In
	switch p := any(&in).(type) {
	case *[]byte:
		*p = payload
	case *json.RawMessage:
		*p = payload
	case *struct{}:
	default:
		if err := json.Unmarshal(payload, p); err != nil {
			return in, fmt.Errorf("decode payload of %d bytes as %T: %w", len(payload), in, err)
		}
	}
	return in, nil
}

// encode writes a result of at most so many bytes, the inverse of decode, and names its encoding.
func encode[Out any](out Out, most int) (result []byte, encoding string, err error) {
	switch v := any(&out).(type) {
	case *[]byte:
		result, encoding = *v, encodingRaw
	case *json.RawMessage:
		result, encoding = *v, encodingJSON
	case *struct{}:
		return nil, "", nil
	default:
		encoding = encodingJSON
		if result, err = json.Marshal(out); err != nil {
			return nil, "", fmt.Errorf("encode result %T: %w", out, err)
		}
	}
	if len(result) > most {
		return nil, "", fmt.Errorf("result has %d bytes; at most %d are allowed", len(result), most)
	}
	return result, encoding, nil
}

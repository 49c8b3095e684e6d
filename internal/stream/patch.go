package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// Bounds of patches (chapter 50, section 3.1). Objects count below the root of the patch; what is nested in any way is
// bounded by the depth to which the sentinel is found, so that none is ever left (J9).
const (
	maxPatchObjects = 16
	maxPatchDepth   = 32
	nullSentinel    = "__ff_null__"
)

// summing is a summary that patches are applied to.
type summing struct {
	stored  *record.Summary // nil for none
	doc     map[string]any
	patches int64
}

// open reads a stored summary; nil is an empty one.
func open(stored *record.Summary) (*summing, error) {
	s := &summing{stored: stored, doc: map[string]any{}}
	if stored == nil {
		return s, nil
	}
	v, err := parse(stored.Document)
	doc, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, &ff.Error{Code: ff.CodeCorruption, Detail: "the stored summary is not a JSON object", Err: err}
	}
	s.doc, s.patches = doc, stored.Patches
	return s, nil
}

// apply merges a patch into the document (RFC 7396).
func (s *summing) apply(data []byte) error {
	v, err := parse(data)
	if err != nil {
		return &ff.Error{Code: ff.CodeInvalidInput, Detail: "patch payload is not valid JSON", Err: err}
	}
	patch, ok := v.(map[string]any)
	if !ok {
		return &ff.Error{Code: ff.CodeInvalidInput, Detail: "patch must be a JSON object"}
	}
	if !nestsWithin(patch, maxPatchObjects, maxPatchDepth) {
		return &ff.Error{Code: ff.CodePatchDepthExceeded, Detail: fmt.Sprintf(
			"objects may be nested %d levels below the root of a patch, objects and arrays together %d", maxPatchObjects, maxPatchDepth)}
	}
	s.doc, _ = restoreNulls(merge(s.doc, patch)).(map[string]any) // an object merged with an object
	s.patches++
	return nil
}

// close makes the record of the document.
func (s *summing) close(key record.SummaryKey, now ff.Timestamp) (*record.Summary, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s.doc); err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	doc := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(doc) > ff.MaxSummaryBytes {
		return nil, &ff.Error{Code: ff.CodeRetentionLimitExceeded, Detail: fmt.Sprintf(
			"the summary would have %d bytes; at most %d are allowed: set keys to null that are not needed any more", len(doc), ff.MaxSummaryBytes)}
	}
	n := &record.Summary{SummaryKey: key, FirstAt: now}
	if s.stored != nil {
		*n = *s.stored
	}
	n.Document, n.Patches, n.UpdatedAt = doc, s.patches, max(now, n.UpdatedAt)
	return n, nil
}

// parse reads one JSON value, whose numbers stay as they are written.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// merge is MergePatch of RFC 7396, section 2. It may change and keep what it is given.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = make(map[string]any, len(changes))
	}
	for key, v := range changes {
		if v == nil {
			delete(object, key)
		} else {
			object[key] = merge(object[key], v)
		}
	}
	return object
}

// nestsWithin reports whether the values in v nest at most so many objects, and so many objects and arrays, below v.
func nestsWithin(v any, objects, depth int) bool {
	inside := func(v any) bool {
		switch v.(type) {
		case map[string]any:
			return objects > 0 && depth > 0 && nestsWithin(v, objects-1, depth-1)
		case []any:
			return depth > 0 && nestsWithin(v, objects, depth-1)
		default:
			return true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, of := range v {
			if !inside(of) {
				return false
			}
		}
	case []any:
		for _, of := range v {
			if !inside(of) {
				return false
			}
		}
	}
	return true
}

// restoreNulls turns the sentinel into null wherever it is a value. A patch cannot say null, which removes.
func restoreNulls(v any) any {
	switch v := v.(type) {
	case string:
		if v == nullSentinel {
			return nil
		}
	case map[string]any:
		for key, of := range v {
			v[key] = restoreNulls(of)
		}
	case []any:
		for i, of := range v {
			v[i] = restoreNulls(of)
		}
	}
	return v
}

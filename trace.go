package flowfabric

// TraceParentBytes is the length of a [TraceParent].
const TraceParentBytes = 55

// TraceParent names a span of a distributed trace, in the form of W3C Trace Context, version 00:
// 00-<32 hex digits of the trace>-<16 of the span>-<2 of flags>. Empty: none.
type TraceParent string

// Validate fails with [ErrInvalidInput] unless p is empty or well-formed, in lower case, with ids that are not all zero.
func (p TraceParent) Validate() error {
	if p == "" {
		return nil
	}
	if len(p) == TraceParentBytes && p[:3] == "00-" && p[35] == '-' && p[52] == '-' &&
		hexDigits(p[3:35]) && hexDigits(p[36:52]) && hexDigits(p[53:]) && !zeros(p[3:35]) && !zeros(p[36:52]) {
		return nil
	}
	return &Error{
		Code: CodeInvalidInput, Detail: "trace_parent must have the form 00-<32 hex digits>-<16>-<2>, in lower case, and ids that are not zero",
		Attrs: map[string]string{"field": "trace_parent"},
	}
}

func hexDigits(s TraceParent) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(s TraceParent) bool {
	for _, c := range []byte(s) {
		if c != '0' {
			return false
		}
	}
	return true
}

package tokens

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// streamOptions is what a request for a stream lacks. It goes right behind the brace that opens the request, which is not
// empty, so that all the caller wrote stays as it is.
const streamOptions = `"stream_options":{"include_usage":true},`

// mayLackUsage tells whether a request is worth reading. The path tells chat completions from other APIs that stream: the
// messages API looks much the same and refuses members it does not know.
func mayLackUsage(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/completions") &&
		req.Body != nil && req.Body != http.NoBody && req.ContentLength <= MaxJSON &&
		mediaType(req.Header) == "application/json" && plain(req.Header)
}

// includeUsage returns the request to send in place of req, which it does not change but for reading its body. It fails
// when that cannot be read.
func includeUsage(req *http.Request) (*http.Request, error) {
	text, err := io.ReadAll(io.LimitReader(req.Body, MaxJSON+1))
	if err != nil {
		closeBody(req)
		return nil, fmt.Errorf("read the request to ask for its usage: %w", err)
	}
	sent := req.WithContext(req.Context())
	if len(text) > MaxJSON { // of unknown length, and too long
		sent.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), req.Body), req.Body}
		return sent, nil
	}
	closeBody(req)
	text = withUsage(text)
	sent.ContentLength = int64(len(text))
	sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	sent.Body = io.NopCloser(bytes.NewReader(text))
	return sent, nil
}

// withUsage returns the text of a request, with the option if it is for a stream and says nothing of options.
func withUsage(text []byte) []byte {
	var asked struct {
		Stream  bool            `json:"stream"`
		Options json.RawMessage `json:"stream_options"`
	}
	if json.Unmarshal(text, &asked) != nil || !asked.Stream || asked.Options != nil {
		return text
	}
	behind := bytes.IndexByte(text, '{') + 1
	return append(append(append(make([]byte, 0, len(text)+len(streamOptions)), text[:behind]...), streamOptions...), text[behind:]...)
}

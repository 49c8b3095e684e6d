package tokens

import (
	"context"
	"errors"
	"mime"
	"net/http"
)

// MaxJSON is how many bytes of JSON are held to be looked at: one document, or the data of one event of a stream. What is
// larger is passed on and not counted. An event may be about as large as a document: one of the responses API repeats it.
const MaxJSON = 8 << 20

// Transport is an [http.RoundTripper] that reports the tokens that responses of model providers say they used. The package
// comment tells which are counted. It is safe for concurrent use, starts no goroutine, and must not be changed while in use.
type Transport struct {
	// Base makes the requests. Default: http.DefaultTransport.
	Base http.RoundTripper

	// Report takes the usage of one response, with the context of its request, which may have ended. It is called at most
	// once for a response, by whoever reads or closes the body: as soon as the last event of a stream has been read, at the
	// end of the body, at an error of the body, or at Close. It must not read or close that body. Its error is wrapped
	// and returned by Read in place of io.EOF, and by Close. Required; must be safe for concurrent use.
	Report func(ctx context.Context, u Usage) error

	// IncludeUsage adds "stream_options":{"include_usage":true} to requests for a streamed chat completion, or completion,
	// without which the provider does not tell what the stream used. These are POSTs of JSON to a path that ends in
	// /completions, with "stream":true and no stream_options of their own, of at most [MaxJSON] bytes, which are held in
	// memory; others are sent as they are. The stream then has a last chunk without choices, which the caller must
	// stand. Default: requests are not looked at.
	IncludeUsage bool
}

var errNoReport = errors.New("tokens: Transport.Report is nil: set it to the function that takes the usage")

// RoundTrip makes the request and returns its response with a body that reports.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Report == nil {
		closeBody(req)
		return nil, errNoReport
	}
	if t.IncludeUsage && mayLackUsage(req) {
		var err error
		if req, err = includeUsage(req); err != nil {
			return nil, err
		}
	}
	resp, err := t.base().RoundTrip(req)
	if err != nil {
		return resp, err // the caller expects the base's own
	}
	if m := meterFor(req, resp); m != nil {
		ctx := req.Context()
		resp.Body = &body{ReadCloser: resp.Body, meter: m, report: func(u Usage) error { return t.Report(ctx, u) }}
	}
	return resp, nil
}

// CloseIdleConnections closes those of Base, if it has any. [http.Client] calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// meterFor returns the meter for a response, or nil if it is to pass unread.
func meterFor(req *http.Request, resp *http.Response) meter {
	if req.Method != http.MethodPost || resp.StatusCode < 200 || resp.StatusCode > 299 ||
		resp.Body == nil || resp.Body == http.NoBody || !plain(resp.Header) {
		return nil
	}
	switch mediaType(resp.Header) {
	case "application/json":
		return &document{limit: MaxJSON}
	case "text/event-stream":
		return newStream(MaxJSON)
	default:
		return nil
	}
}

// mediaType returns the media type alone, in lower case; parameters that are malformed do not hide it.
func mediaType(h http.Header) string {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return media
}

// plain tells whether a body is as its media type says, rather than compressed.
func plain(h http.Header) bool {
	encoding := h.Get("Content-Encoding")
	return encoding == "" || encoding == "identity"
}

// closeBody does what a RoundTripper owes a request it does not send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was read or sent: nothing depends on it
	}
}

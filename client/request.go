package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/tracing"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Pauses between tries double from the first; maxAnswer bounds what an answer may have.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	maxAnswer  = 64 << 20
)

// request is one request, however often it is tried.
type request struct {
	op         string
	method     string // default POST
	path       string
	body       []byte
	again      []byte        // the body of all tries but the first; nil: the same
	wait       time.Duration // how long the command asks to wait
	repeatable bool
}

// failure is why a try failed.
type failure struct {
	err   error
	after time.Duration // what the server asks to wait
	again bool          // the server has done nothing
	lost  bool          // nobody knows what the server has done
}

// send makes a request and returns the body of its answer.
func (c *Client) send(ctx context.Context, r request) ([]byte, error) {
	pause := firstPause
	lost := false // of a try so far nobody knows what the server has done
	for try := 1; ; try++ {
		body, failed := c.try(ctx, r)
		if failed == nil {
			return body, nil
		}
		lost = lost || failed.lost
		again := failed.again || failed.lost && r.repeatable
		if try >= c.cfg.Tries || ctx.Err() != nil || !again {
			return nil, verdict(r.op, failed, lost)
		}
		wait := max(failed.after, time.Duration(rand.Int64N(int64(pause))))
		pause = min(2*pause, maxPause)
		timer := c.clock.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, verdict(r.op, failed, lost)
		}
		if r.again != nil {
			r.body = r.again
		}
	}
}

// verdict is the error of a request: that of its last try, unless that says that nothing was done and an earlier one may have
// done it.
func verdict(op string, last *failure, lost bool) error {
	if !lost || !last.again {
		return last.err
	}
	return &flowfabric.Error{
		Code: flowfabric.CodeTimeout, Op: op, Detail: "an earlier try was lost, and what became of it is not known; the last was not carried out", Err: last.err,
	}
}

// try makes a request once.
func (c *Client) try(ctx context.Context, r request) ([]byte, *failure) {
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	timed, cancel := context.WithTimeout(ctx, c.cfg.Timeout+r.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(timed, method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, &failure{err: fmt.Errorf("call %s: %w", r.op, err)}
	}
	req.Header.Set("Content-Type", "application/json")
	if within := tracing.ParentOf(ctx); within != "" {
		req.Header.Set(tracing.Header, string(within))
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, c.lost(ctx, r.op, err)
	}
	defer func() { _ = res.Body.Close() }() // it was read, or is of no use
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, c.lost(ctx, r.op, err)
	}
	if res.StatusCode/100 == 2 {
		return body, nil
	}
	return nil, refused(r.op, res, body)
}

// lost is a request without an answer.
func (c *Client) lost(ctx context.Context, op string, err error) *failure {
	if ctx.Err() != nil {
		return &failure{err: &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: op, Detail: "the call ended before the server answered", Err: context.Cause(ctx)}}
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return &failure{again: true, err: &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op, Detail: "the server cannot be reached", Err: err}}
	}
	return &failure{lost: true, err: &flowfabric.Error{Code: flowfabric.CodeTimeout, Op: op, Detail: "the connection was lost: what became of the call is not known", Err: err}}
}

// refused is an answer that is an error.
func refused(op string, res *http.Response, text []byte) *failure {
	f := &failure{}
	var body wire.ErrorBody
	if err := wire.Unmarshal(text, &body); err != nil || body.Code == "" {
		code := flowfabric.CodeUnavailable
		switch status := res.StatusCode; {
		case status == http.StatusBadGateway || status == http.StatusGatewayTimeout: // a proxy has lost the server's answer
			code, f.lost = flowfabric.CodeTimeout, true
		case status < http.StatusInternalServerError && status != http.StatusTooManyRequests:
			code = flowfabric.CodeInvalidInput
		}
		body = wire.ErrorBody{Code: code, Op: op, Detail: "the server answers " + res.Status + ", without an error of this API"}
	}
	f.err = body.Err()
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		f.again = true
		f.after = time.Duration(body.RetryAfterMS) * time.Millisecond
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && f.after == 0 {
			f.after = time.Duration(s) * time.Second
		}
	}
	return f
}

// unencodable is a command that JSON cannot carry: text that is not UTF-8, or what its type refuses.
func unencodable(op string, err error) error {
	if coded, ok := errors.AsType[*flowfabric.Error](err); ok {
		return &flowfabric.Error{Code: coded.Code, Op: op, Detail: coded.Detail, Attrs: coded.Attrs}
	}
	return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: op, Detail: "the command has no JSON form", Err: err}
}

func unreadable(op string, err error) error {
	return &flowfabric.Error{Code: flowfabric.CodeBug, Op: op, Detail: "the answer of the server cannot be read; is it of this version?", Err: err}
}

package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// Config configures a [Client]. Zero fields mean the defaults.
type Config struct {
	// HTTP makes the requests. Default: a client of its own, with a pool of connections.
	HTTP *http.Client
	// Token is sent as bearer token; empty for none.
	Token string
}

// Client calls a server. Its methods are safe for concurrent use.
type Client struct {
	base string
	cfg  Config
}

// New returns a client of the server at base, for example "https://flows.example.com".
func New(base string, cfg Config) (*Client, error) {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	return &Client{base: strings.TrimSuffix(base, "/"), cfg: cfg}, nil
}

// call makes a call of an operation.
func call[In, Out any](ctx context.Context, c *Client, op wire.Call[In, Out], in In) (Out, error) {
	var out Out
	body, err := wire.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("encode %s: %w", op.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+wire.CallPath+op.Name, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("call %s: %w", op.Name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return out, &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op.Name, Err: err}
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return out, &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op.Name, Err: err}
	}
	if res.StatusCode != http.StatusOK {
		var e wire.ErrorBody
		if err := wire.Unmarshal(text, &e); err != nil {
			return out, &flowfabric.Error{Code: flowfabric.CodeUnavailable, Op: op.Name, Detail: "the answer is no error of this API: " + res.Status}
		}
		return out, e.Err()
	}
	if err := wire.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("decode the answer of %s: %w", op.Name, err)
	}
	return out, nil
}

// Submit implements [flowfabric.Executions].
func (c *Client) Submit(ctx context.Context, cmd flowfabric.Submit) (flowfabric.SubmitResult, error) {
	return call(ctx, c, wire.Submit, cmd)
}

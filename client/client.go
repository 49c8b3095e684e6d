package client

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/wire"
)

// idleTimeout is how long a connection is kept that nobody uses. A worker that waits for work has one for its claim; a second, for
// its sign of life every 20 s, is not worth what it would cost the server.
const idleTimeout = 2 * time.Second

// Config configures a [Client]. Zero fields mean the defaults.
type Config struct {
	// HTTP makes the requests. Its own timeout should be 0. Default: one with up to 256 idle connections,
	// which it closes after 2 s.
	HTTP *http.Client
	// Token is sent as bearer token; empty for none.
	Token string
	// Timeout bounds one try of a request beside what its command asks to wait: 100 ms to 10 minutes. Default 30 s.
	Timeout time.Duration
	// Tries is how often a request is made at most that may be made again: 1 to 100. Default 4.
	Tries int
}

// Client calls a server. Its methods are those of [flowfabric.Service], safe for concurrent use.
//
// A request that did not come to an answer is made again, after a pause that doubles from 100 ms and heeds what the server asks
// for, where that is safe: the command says by its ids, fence or key what it is a repeat of, or the server has told that it did
// nothing. Ids are therefore minted here. A call of which nobody can say what became of it fails with
// [flowfabric.ErrTimeout], one that was not made with [flowfabric.ErrUnavailable].
//
// What workers report for each execution goes together while a request is under way; see [wire.Batch].
type Client struct {
	base  string
	cfg   Config
	clock clock.Clock

	complete *batcher[flowfabric.Complete, wire.Nothing]
	fail     *batcher[flowfabric.Fail, flowfabric.FailResult]
	renew    *batcher[flowfabric.Renew, wire.Instant]
	progress *batcher[flowfabric.UpdateProgress, wire.Nothing]
	delay    *batcher[flowfabric.Delay, wire.Instant]
	release  *batcher[flowfabric.Release, wire.Nothing]
	suspend  *batcher[flowfabric.Suspend, flowfabric.Suspended]
	step     *batcher[flowfabric.RecordStep, flowfabric.StepMemo]
	frames   *batcher[flowfabric.AppendFrames, flowfabric.Appended]
	usage    *batcher[flowfabric.ReportUsage, flowfabric.UsageResult]

	late sync.WaitGroup // calls that clean up behind others

	mu struct {
		sync.Mutex
		partitions flowfabric.PartitionConfig // zero until the server was asked
	}
}

var _ flowfabric.Service = (*Client)(nil)

// New returns a client of the server at base, for example "https://flows.example.com". It makes no request. It fails with
// [flowfabric.ErrInvalidInput].
func New(base string, cfg Config) (*Client, error) {
	bad := func(what string) error {
		return &flowfabric.Error{Code: flowfabric.CodeInvalidInput, Op: "client.New", Detail: what}
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return nil, bad("the URL of the server must be http or https with a host and no query")
	case cfg.Timeout != 0 && (cfg.Timeout < 100*time.Millisecond || cfg.Timeout > 10*time.Minute):
		return nil, bad("Config.Timeout must be between 100ms and 10m")
	case cfg.Tries < 0 || cfg.Tries > 100:
		return nil, bad("Config.Tries must be between 1 and 100")
	}
	cfg.Timeout, cfg.Tries = cmp.Or(cfg.Timeout, 30*time.Second), cmp.Or(cfg.Tries, 4)
	if cfg.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.IdleConnTimeout = 256, 256, idleTimeout
		cfg.HTTP = &http.Client{Transport: transport}
	}
	c := &Client{base: strings.TrimSuffix(base, "/"), cfg: cfg, clock: clock.Real()}
	c.complete = newBatcher(c, wire.Complete, nil)
	c.fail = newBatcher(c, wire.Fail, nil)
	c.renew = newBatcher(c, wire.Renew, nil)
	c.progress = newBatcher(c, wire.Progress, nil)
	c.delay = newBatcher(c, wire.Delay, nil)
	c.release = newBatcher(c, wire.Release, nil)
	c.suspend = newBatcher(c, wire.Suspend, nil)
	c.step = newBatcher(c, wire.RecordStep, nil)
	c.frames = newBatcher(c, wire.AppendFrames, numbered)
	c.usage = newBatcher(c, wire.ReportUsage, func(r *flowfabric.ReportUsage) bool { return r.DedupKey != "" })
	return c, nil
}

// numbered reports whether a repeat of an append adds nothing.
func numbered(cmd *flowfabric.AppendFrames) bool {
	for i := range cmd.Frames {
		if cmd.Frames[i].Seq == 0 {
			return false
		}
	}
	return true
}

// Close waits for what is still to be said of calls whose answer was lost, [Config.Timeout] at most, and closes connections that
// are not in use.
func (c *Client) Close() {
	c.late.Wait()
	c.cfg.HTTP.CloseIdleConnections()
}

// call makes a call of an operation.
func call[In, Out any](ctx context.Context, c *Client, op wire.Call[In, Out], in In) (Out, error) {
	return callFor(ctx, c, op, in, 0, op.Repeatable)
}

// callFor is call that lets the server wait besides, and says whether the call may be repeated.
func callFor[In, Out any](ctx context.Context, c *Client, op wire.Call[In, Out], in In, wait time.Duration, repeatable bool) (Out, error) {
	return callAgain(ctx, c, op, in, nil, wait, repeatable)
}

// callAgain is callFor whose repeats send again, unless it is nil.
func callAgain[In, Out any](ctx context.Context, c *Client, op wire.Call[In, Out], in In, again *In, wait time.Duration, repeatable bool) (Out, error) {
	var out Out
	body, err := wire.Marshal(in)
	if err != nil {
		return out, unencodable(op.Name, err)
	}
	r := request{op: op.Name, path: wire.CallPath + op.Name, body: body, wait: max(wait, 0), repeatable: repeatable}
	if again != nil {
		if r.again, err = wire.Marshal(again); err != nil {
			return out, unencodable(op.Name, err)
		}
	}
	text, err := c.send(ctx, r)
	if err != nil {
		return out, err
	}
	if err := wire.Unmarshal(text, &out); err != nil {
		return out, unreadable(op.Name, err)
	}
	return out, nil
}

// minted returns the partitions of the deployment, for ids that are made here.
func (c *Client) minted(ctx context.Context) (flowfabric.PartitionConfig, error) {
	c.mu.Lock()
	known := c.mu.partitions
	c.mu.Unlock()
	if known.Flow != 0 {
		return known, nil
	}
	text, err := c.send(ctx, request{op: "capabilities", method: http.MethodGet, path: wire.CapabilitiesPath, repeatable: true})
	if err != nil {
		return known, err
	}
	var caps wire.Capabilities
	if err := wire.Unmarshal(text, &caps); err != nil || caps.Partitions.Flow == 0 {
		return known, unreadable("capabilities", err)
	}
	known = flowfabric.PartitionConfig{Flow: caps.Partitions.Flow, Budget: caps.Partitions.Budget, Quota: caps.Partitions.Quota}
	c.mu.Lock()
	c.mu.partitions = known
	c.mu.Unlock()
	return known, nil
}

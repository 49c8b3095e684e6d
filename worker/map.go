package worker

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
)

// MapOption says how [Map] works.
type MapOption func(*mapOptions)

type mapOptions struct{ parallel int }

// maxParallel bounds [Parallel].
const maxParallel = 1000

// Parallel lets up to n calls run at once: 1, the default, to 1,000.
func Parallel(n int) MapOption { return func(o *mapOptions) { o.parallel = n } }

// Map calls fn for each element of in, each call a [Step], and returns the results in their order. A later run of the handler
// does only what is left; steps are told apart by the position of their element, so in must be the same then.
//
// After an error no more calls begin; when those that run have ended, Map returns the error of the first element that has one.
// A panic of fn is passed on in the caller's goroutine. Map fails like Step, and with [flowfabric.ErrInvalidInput] if Parallel
// is out of bounds.
func Map[In, Out any](ctx context.Context, name string, in []In, fn func(ctx context.Context, in In) (Out, error), opts ...MapOption) ([]Out, error) {
	o := mapOptions{parallel: 1}
	for _, set := range opts {
		set(&o)
	}
	c, err := begin(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	if o.parallel < 1 || o.parallel > maxParallel {
		return nil, Permanent(fmt.Errorf("map %q: %w", name, outOfBounds("Parallel", o.parallel, 1, maxParallel)))
	}
	out := make([]Out, len(in))
	err = forEach(len(in), o.parallel, func(i int) (err error) {
		item := call{c.memos, stepID{name, c.id.key + "/" + strconv.Itoa(i)}}
		out[i], err = step(ctx, item, func(ctx context.Context) (Out, error) { return fn(ctx, in[i]) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// forEach calls do for 0 to n-1, up to atOnce at a time, until one fails, and returns the error of the lowest that has one.
func forEach(n, atOnce int, do func(i int) error) error {
	if atOnce == 1 {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	c := crowd{n: n, failed: n, do: do}
	var group sync.WaitGroup
	for range min(atOnce, n) {
		group.Go(c.work)
	}
	group.Wait()
	switch {
	case c.panicked != nil:
		panic(c.panicked)
	case c.exited:
		runtime.Goexit()
	}
	return c.err
}

// crowd is goroutines that share the calls of a forEach.
type crowd struct {
	n  int
	do func(i int) error

	mu       sync.Mutex
	next     int
	failed   int // the lowest that failed; n for none
	err      error
	panicked *passedOn
	exited   bool // a call has ended its goroutine
}

// passedOn is a panic of another goroutine.
type passedOn struct {
	value any
	stack []byte
}

func (p *passedOn) String() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

func (c *crowd) work() {
	returned := false
	defer func() {
		v := recover()
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case v != nil && c.panicked == nil:
			c.panicked = &passedOn{v, debug.Stack()}
		case v == nil && !returned:
			c.exited = true
		}
	}()
	for i := c.take(); i < c.n; i = c.take() {
		if err := c.do(i); err != nil {
			c.fail(i, err)
		}
	}
	returned = true
}

// take returns the next to call; n: no more.
func (c *crowd) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed < c.n || c.panicked != nil || c.exited {
		return c.n
	}
	i := min(c.next, c.n)
	c.next++
	return i
}

func (c *crowd) fail(i int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < c.failed {
		c.failed, c.err = i, err
	}
}

package crashtest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
)

// process is a node that was spawned, and what it has reported so far.
type process struct {
	node
	cmd   *exec.Cmd
	stdin io.WriteCloser
	read  chan struct{} // closed when it has said its last
	mu    struct {
		sync.Mutex
		ready     bool
		submitted []ack
		completed []ack
		said      map[string][]ack // what was said of steps and of usage, by its first word
		counted   int
		refused   []refusal
	}
	killed time.Time // zero: it was not
}

// ack is an acknowledgement and when it was read.
type ack struct {
	id string
	at time.Time
}

// refusal is a call that failed.
type refusal struct {
	op        string
	code      flowfabric.Code
	retryable bool
}

// spawn starts a node. It is killed when the test ends, if it has not ended by then.
func spawn(t *testing.T, n node) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{node: n, cmd: exec.CommandContext(t.Context(), exe), read: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envNode+"="+string(told))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return // what has no line end was not said whole
			}
			if err := p.hear(strings.Fields(line)); err != nil {
				fmt.Fprintf(os.Stderr, "node %s said %q: %v\n", n.Name, line, err)
			}
		}
	}()
	return p
}

// hear takes note of a line.
func (p *process) hear(words []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := wall.Now()
	switch what := cmp.Or(strings.Join(words[:min(1, len(words))], ""), "nothing"); {
	case what == ackReady:
		p.mu.ready = true
	case what == ackSubmitted && len(words) == 2:
		p.mu.submitted = append(p.mu.submitted, ack{words[1], at})
	case what == ackCompleted && len(words) == 2:
		p.mu.completed = append(p.mu.completed, ack{words[1], at})
	case (what == ackBegan || what == ackRecorded || what == ackSpent) && len(words) == 2:
		if p.mu.said == nil {
			p.mu.said = make(map[string][]ack)
		}
		p.mu.said[what] = append(p.mu.said[what], ack{words[1], at})
	case what == ackCount && len(words) == 2:
		n, err := strconv.Atoi(words[1])
		p.mu.counted += n
		return err
	case what == ackRefused && len(words) == 4:
		p.mu.refused = append(p.mu.refused, refusal{words[1], flowfabric.Code(words[2]), words[3] == "true"})
	default:
		return fmt.Errorf("%d words that mean nothing", len(words))
	}
	return nil
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.killed = wall.Now()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.read
	_ = p.cmd.Wait() // it was killed: that is no news
}

// stop lets the process end by itself.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s did not end cleanly: %v", p.Name, err)
	}
}

func (p *process) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.ready
}

func (p *process) submitted() []ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.mu.submitted)
}

func (p *process) completed() []ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.mu.completed)
}

// heard is what was said of steps or of usage with a word.
func (p *process) heard(word string) []ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.mu.said[word])
}

func (p *process) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.counted
}

func (p *process) refused() []refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.mu.refused)
}

// fleet is all processes of a test, dead ones included.
type fleet struct {
	url     string
	all     []*process
	running []*process
}

// add spawns a node on the fleet's store under a name of its own.
func (f *fleet) add(t *testing.T, n node) *process {
	t.Helper()
	n.Store, n.Name = f.url, fmt.Sprintf("node-%d", len(f.all)+1)
	p := spawn(t, n)
	f.all, f.running = append(f.all, p), append(f.running, p)
	return p
}

// awaitReady waits until every running node has opened its engine.
func (f *fleet) awaitReady(t *testing.T) {
	t.Helper()
	until(t, time.Minute, "all nodes are ready", func() bool {
		for _, p := range f.running {
			if !p.ready() {
				return false
			}
		}
		return true
	})
}

// replace kills a running node and spawns another like it.
func (f *fleet) replace(t *testing.T, i int) {
	t.Helper()
	victim := f.running[i]
	victim.kill(t)
	n := victim.node
	n.Store, n.Name = f.url, fmt.Sprintf("node-%d", len(f.all)+1)
	f.running[i] = spawn(t, n)
	f.all = append(f.all, f.running[i])
}

// stop ends the running nodes that match.
func (f *fleet) stop(t *testing.T, match func(*process) bool) {
	t.Helper()
	var left []*process
	for _, p := range f.running {
		if match(p) {
			p.stop(t)
		} else {
			left = append(left, p)
		}
	}
	f.running = left
}

// totals are the acknowledged submissions and completions of all nodes so far.
func (f *fleet) totals() (submitted, completed int) {
	for _, p := range f.all {
		submitted += len(p.submitted())
		completed += len(p.completed()) + p.counted()
	}
	return submitted, completed
}

// awaitProgress waits until n more were submitted and n more completed.
func (f *fleet) awaitProgress(t *testing.T, limit time.Duration, n int) {
	t.Helper()
	submitted, completed := f.totals()
	until(t, limit, fmt.Sprintf("%d more were submitted and completed", n), func() bool {
		s, c := f.totals()
		return s >= submitted+n && c >= completed+n
	})
}

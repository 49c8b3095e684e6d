package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/store/sqlite"
)

// Config of a run.
type Config struct {
	Dir string
	// DB is where the SQLite file is made and left; it must not exist. Default: a temporary one, removed in the end.
	DB string
	// Processes is the number of worker processes: [MinProcesses] to [MaxProcesses].
	Processes int
	// Spawn returns the command, not yet started, of a worker process that calls [Work].
	Spawn func(WorkerConfig) *exec.Cmd
	// Watcher hears how the run goes.
	Watcher Watcher
}

// Bounds of Config.Processes: when one is killed another must be left.
const (
	MinProcesses = 2
	MaxProcesses = 16
)

// Watcher hears how a run goes. Its methods are called one at a time.
type Watcher interface {
	// Note tells of something worth a line.
	Note(text string)
	// Progress tells how many files are done.
	Progress(done, total int)
}

const (
	leaseTTL = 1500 * time.Millisecond
	slots    = 8 // of each process
	// The run is paced to take about this long, and a file no longer than slowest.
	length  = 4 * time.Second
	slowest = 400 * time.Millisecond
	// Where files are few they are not fetched ahead, so that all processes get some.
	few = 1000
)

// Run demonstrates. The report says what was done and, in Problems, what the check found wrong; an error means that the
// run could not be carried through.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Processes < MinProcesses || cfg.Processes > MaxProcesses {
		return nil, fmt.Errorf("%d worker processes; want %d to %d", cfg.Processes, MinProcesses, MaxProcesses)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	found, err := scan(dir)
	if err != nil {
		return nil, err
	}
	if cfg.DB != "" {
		if _, err := os.Lstat(cfg.DB); err == nil {
			return nil, fmt.Errorf("%s: %w", cfg.DB, os.ErrExist)
		}
		return newDemonstration(cfg, dir, found).run(ctx)
	}
	folder, err := os.MkdirTemp("", "flowfabric-demo-")
	if err != nil {
		return nil, err
	}
	cfg.DB = filepath.Join(folder, "demo.db")
	rep, err := newDemonstration(cfg, dir, found).run(ctx)
	return rep, errors.Join(err, os.RemoveAll(folder))
}

// demonstration is a run under way.
type demonstration struct {
	cfg   Config
	dir   string
	found *scanned
	clock clock.Clock
	pace  time.Duration

	st    *sqlite.Store
	eng   *engine.Engine
	ids   []flowfabric.ExecutionID // of found.files, in their order
	ended map[flowfabric.ExecutionID]bool

	fleet    *fleet
	victim   *process
	killedAt flowfabric.Timestamp
	held     int // what the victim was known to hold
}

func newDemonstration(cfg Config, dir string, found *scanned) *demonstration {
	return &demonstration{cfg: cfg, dir: dir, found: found, clock: clock.Real(), ended: make(map[flowfabric.ExecutionID]bool)}
}

func (d *demonstration) run(ctx context.Context) (rep *Report, err error) {
	if d.st, err = sqlite.Open(ctx, d.cfg.DB, nil); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.st.Close()) }()
	if d.eng, err = engine.Open(ctx, d.st, engine.Config{}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.eng.Close(context.WithoutCancel(ctx))) }()
	if err := d.submit(ctx); err != nil {
		return nil, err
	}
	if err := d.work(ctx); err != nil {
		return nil, err
	}
	return d.check(ctx)
}

// submit creates one execution for every file.
func (d *demonstration) submit(ctx context.Context) error {
	const bulk = 1000
	policy := flowfabric.Retry(3, flowfabric.FixedBackoff(200*time.Millisecond))
	for rest := d.found.files; len(rest) > 0; rest = rest[min(bulk, len(rest)):] {
		cmds := make([]flowfabric.Submit, min(bulk, len(rest)))
		for i := range cmds {
			payload, err := json.Marshal(counting{Path: rest[i].Path})
			if err != nil {
				return err
			}
			cmds[i] = flowfabric.Submit{Lane: lane, Kind: kind, Payload: payload, Policy: policy}
		}
		results, err := d.eng.SubmitMany(ctx, cmds)
		if err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		for i, res := range results {
			if res.Err != nil {
				return fmt.Errorf("submit %s: %w", rest[i].Path, res.Err)
			}
			d.ids = append(d.ids, res.ID)
		}
	}
	return nil
}

// work runs the worker processes until every execution has ended.
func (d *demonstration) work(ctx context.Context) (err error) {
	n := len(d.ids)
	d.pace = min(slowest, length*time.Duration(d.cfg.Processes*slots)/time.Duration(n))
	prefetch := 0
	if n < few {
		prefetch = -1
	}
	d.fleet = newFleet()
	defer func() { err = errors.Join(err, d.fleet.stop(ctx)) }()
	for i := range d.cfg.Processes {
		name := fmt.Sprintf("w%d", i+1)
		cmd := d.cfg.Spawn(WorkerConfig{
			Name: name, DB: d.cfg.DB, Dir: d.dir, Slots: slots, Prefetch: prefetch, LeaseTTL: leaseTTL, Pace: d.pace,
		})
		if err := d.fleet.start(name, cmd); err != nil {
			return err
		}
	}
	d.cfg.Watcher.Note(fmt.Sprintf("%d files, %d worker processes of %d slots; counting a file is slowed to about %s, so that there is something to watch",
		n, d.cfg.Processes, slots, d.pace.Round(time.Millisecond)))
	return d.supervise(ctx)
}

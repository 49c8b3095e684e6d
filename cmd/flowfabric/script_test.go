package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/internal/backend"
)

// TestScript runs the scripts of testdata/script, which read as a manual of the commands. Besides the commands of testscript
// they have
//
//	work LANE OUTCOME [ID]   do the next execution of the lane in app.db, as a worker: OUTCOME is done, fail, write (frames,
//	                         then done), hold (keep the lease), or wait (suspend for a signal "approved")
//	server                   serve app.db, configured by FF_ variables, until the script ends, and set FF_SERVER
//	id NAME FILE             set the variable NAME to the first word of FILE, without the blanks around it
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DB", "sqlite:"+filepath.Join(env.WorkDir, "app.db"))
			env.Setenv("USER", "ada")
			env.Setenv(asProgram, "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"flowfabric": flowfabricCommand, "work": work, "id": setID, "server": startServer,
		},
	})
}

// flowfabricCommand runs a command line: flowfabric [CODE] ARG... CODE is the exit status it must have, 0 by default.
func flowfabricCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("say the exit status instead: flowfabric 3 get …")
	}
	want := 0
	if len(args) > 0 && len(args[0]) == 1 && strings.Contains("12345", args[0]) {
		want, args = int(args[0][0]-'0'), args[1:]
	}
	self, err := os.Executable()
	ts.Check(err)
	code := 0
	if err := ts.Exec(self, args...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run flowfabric: %v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit status %d, want %d", code, want)
	}
}

func startServer(ts *testscript.TestScript, _ bool, _ []string) {
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.CommandContext(context.Background(), self, "serve")
	for _, name := range []string{"FF_AUTH", "FF_API_TOKEN"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, asProgram+"=1", "FF_STORE_URL="+ts.Getenv("DB"), "FF_LISTEN_ADDR=127.0.0.1:0", "FF_LOG_FORMAT=json")
	logs, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	ts.Defer(func() {
		ts.Check(cmd.Process.Signal(os.Interrupt))
		<-ended
		ts.Check(cmd.Wait())
	})
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		var line struct{ Msg, Addr string }
		if err := json.Unmarshal(lines.Bytes(), &line); err == nil && line.Msg == "HTTP API listening" {
			ts.Setenv("FF_SERVER", "http://"+line.Addr)
			break
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, logs) // until it ends
		close(ended)
	}()
}

func setID(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: id NAME FILE")
	}
	words := strings.Fields(ts.ReadFile(args[1]))
	if len(words) == 0 {
		ts.Fatalf("%s is empty", args[1])
	}
	ts.Setenv(args[0], words[0])
}

func work(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: work LANE OUTCOME")
	}
	ctx := context.Background()
	st, closeStore, err := backend.Open(ctx, ts.Getenv("DB"))
	ts.Check(err)
	defer func() { ts.Check(closeStore()) }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	ts.Check(err)
	defer func() { ts.Check(eng.Close(ctx)) }()
	ts.Check(workOne(ctx, eng, flowfabric.LaneID(args[0]), args[1]))
}

// workOne claims an execution and brings it to an outcome.
func workOne(ctx context.Context, eng flowfabric.Service, lane flowfabric.LaneID, outcome string) error {
	claimed, err := eng.Claim(ctx, flowfabric.Claim{
		Lanes: []flowfabric.LaneID{lane}, WorkerID: "script", WorkerInstanceID: "script-1", Wait: 20 * time.Second, LeaseTTL: time.Hour,
	})
	if err != nil {
		return err
	}
	if len(claimed) != 1 {
		return fmt.Errorf("claimed %d executions of lane %s", len(claimed), lane)
	}
	c := claimed[0]
	switch outcome {
	case "hold":
		return nil
	case "fail":
		_, err := eng.Fail(ctx, flowfabric.Fail{ExecutionID: c.ExecutionID, Fence: c.Fence, Reason: "the disk is full", Category: flowfabric.FailurePermanent})
		return err
	case "wait":
		_, err := eng.Suspend(ctx, flowfabric.Suspend{
			ExecutionID: c.ExecutionID, Fence: c.Fence, Condition: flowfabric.OnNamed("review", "approved"),
			Waitpoints: []flowfabric.WaitpointBinding{{Key: "review"}}, Reason: flowfabric.WaitForApproval,
		})
		return err
	case "write":
		_, err := eng.AppendFrames(ctx, flowfabric.AppendFrames{
			ExecutionID: c.ExecutionID, Fence: c.Fence,
			Frames: []flowfabric.Frame{{Payload: []byte("first line")}, {Payload: []byte("second line\n")}},
		})
		if err != nil {
			return err
		}
	}
	return eng.Complete(ctx, flowfabric.Complete{ExecutionID: c.ExecutionID, Fence: c.Fence, Result: []byte(`{"sent":true}`)})
}

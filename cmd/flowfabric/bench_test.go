package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/bench"
)

func TestBench_JSONIsOneObjectForEachScenario(t *testing.T) {
	got := execute(t, "bench", "--store", "memory:", "--scenario", "submit,throughput", "--executions", "200", "--json")
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var scenarios []bench.Scenario
	for line := range strings.Lines(got.stdout) {
		var res bench.Result
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if res.Executions != 200 || res.SubmitPerS <= 0 || res.Version == "" {
			t.Errorf("result = %+v", res)
		}
		scenarios = append(scenarios, res.Scenario)
	}
	if diff := cmp.Diff([]bench.Scenario{"submit", "throughput"}, scenarios); diff != "" {
		t.Error(diff)
	}
}

func TestBench_TableNamesTheFiguresOfTheScenario(t *testing.T) {
	got := execute(t, "bench", "--store", "memory:", "--scenario", "throughput", "--executions", "200", "--workers", "8")
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	for _, want := range []string{"throughput", "  executions ", "  workers ", "  end to end /s ", "  NOT DURABLE "} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout, "  ratio ") {
		t.Errorf("a figure that was not measured is in\n%s", got.stdout)
	}
}

func TestBench_ServesTheStoreInAnotherProcess(t *testing.T) {
	t.Setenv(asProgram, "1")
	got := execute(t, "bench", "--store", "sqlite:", "--unsafe", "--serve", "--scenario", "remote,idle", "--executions", "400", "--workers", "20", "--duration", "50ms", "--json")
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var remote, idle bench.Result
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &remote) != nil || json.Unmarshal([]byte(lines[1]), &idle) != nil {
		t.Fatalf("stdout = %s; want two results", got.stdout)
	}
	if remote.EmbeddedPerS <= 0 || remote.EndToEndPerS <= 0 || math.Abs(remote.RemoteRatio-remote.EndToEndPerS/remote.EmbeddedPerS) > .001 {
		t.Errorf("result = %+v", remote)
	}
	if !remote.Served || !idle.Served || runtime.GOOS == "linux" && idle.ServerRSSBytes < 1e6 {
		t.Errorf("results = %+v, %+v; want figures of the server", remote, idle)
	}
}

func TestBench_AServerThatDoesNotStartSaysWhy(t *testing.T) {
	t.Setenv(asProgram, "1")
	t.Setenv("FF_SHUTDOWN_TIMEOUT_MS", "soon")
	got := execute(t, "bench", "--store", "sqlite:", "--unsafe", "--serve", "--scenario", "submit")
	if got.code != 1 || !strings.Contains(got.stderr, "the server did not start") || !strings.Contains(got.stderr, "FF_SHUTDOWN_TIMEOUT_MS") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestBench_WritesAProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpu.out")
	got := execute(t, "bench", "--store", "memory:", "--scenario", "submit", "--executions", "10", "--profile", path)
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("stat = %v, %v; want a profile", info, err)
	}
}

func TestMigrate_TellsTheVersions(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "app.db")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--status"}, " is at version 0\n"},
		{nil, " migrated from version 0 to "},
		{nil, ": nothing to do\n"},
	} {
		got := execute(t, append([]string{"migrate", "--store", url}, c.args...)...)
		if got.code != 0 || !strings.HasPrefix(got.stdout, url) || !strings.Contains(got.stdout, c.want) {
			t.Errorf("exit code %d, stdout %q; want %q in it; stderr %q", got.code, got.stdout, c.want, got.stderr)
		}
	}
}

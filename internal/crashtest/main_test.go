package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric/internal/clock"
	"github.com/flowfabric/flowfabric/internal/loop"
)

// envNode carries what a spawned process is told: this test binary runs itself again as the nodes of its tests.
const envNode = "FF_CRASHTEST_NODE"

func TestMain(m *testing.M) {
	if told := os.Getenv(envNode); told != "" {
		var n node
		err := json.Unmarshal([]byte(told), &n)
		if err == nil {
			err = n.run()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "node %s: %v\n", n.Name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// soaking tells whether the long form of the tests was asked for.
func soaking() bool { return os.Getenv("FF_SOAK") == "1" }

// either returns short, or long when soaking.
func either[T any](short, long T) T {
	if soaking() {
		return long
	}
	return short
}

// beside lets the short form of a test run beside others. The long one measures, or loads the machine.
func beside(t *testing.T) {
	t.Helper()
	if !soaking() {
		t.Parallel()
	}
}

// wall is the clock of the machine. Throwaway servers run on this machine, so it is theirs, too.
var wall = clock.Real()

// until waits for a condition, looking every 20 ms.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for !ok() {
		if !loop.Sleep(ctx, wall, 20*time.Millisecond, nil) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// let lets time pass.
func let(t *testing.T, d time.Duration) {
	t.Helper()
	if !loop.Sleep(t.Context(), wall, d, nil) {
		t.Fatal("the test ended")
	}
}

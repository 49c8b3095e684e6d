package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/memory"
)

// viewers opens n live tails of one attempt over sockets, and returns what each holds in memory, both ends of it, and a way to
// hear them all.
func viewers(tb testing.TB, n int) (each int, hear func(text string)) {
	tb.Helper()
	eng, err := engine.Open(tb.Context(), memory.New(memory.Config{}), engine.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = eng.Close(context.Background()) })
	srv, err := server.New(eng, server.Config{MaxWaits: n})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	if _, err := eng.Submit(tb.Context(), flowfabric.Submit{Lane: "l", Kind: "k"}); err != nil {
		tb.Fatal(err)
	}
	list, err := eng.Claim(tb.Context(), flowfabric.Claim{Lanes: []flowfabric.LaneID{"l"}, WorkerID: "w", WorkerInstanceID: "w1", Max: 1, LeaseTTL: time.Hour})
	if err != nil || len(list) != 1 {
		tb.Fatal(list, err)
	}
	c := list[0]

	before := inUse()
	conns := make([]net.Conn, n)
	text := make([]byte, 4<<10)
	for i := range conns {
		if conns[i], err = new(net.Dialer).DialContext(tb.Context(), "tcp", l.Addr().String()); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conns[i].Close() })
		if _, err := io.WriteString(conns[i], "GET "+tailOf(&c)+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadAtLeast(conns[i], text, 1); err != nil { // it is served
			tb.Fatal(err)
		}
	}
	each = (inUse() - before) / n
	return each, func(text string) {
		if _, err := eng.AppendFrames(tb.Context(), flowfabric.AppendFrames{
			ExecutionID: c.ExecutionID, Fence: c.Fence, Frames: []flowfabric.Frame{{Payload: []byte(text)}},
		}); err != nil {
			tb.Fatal(err)
		}
		for _, conn := range conns {
			lines := bufio.NewReaderSize(conn, 512)
			for line := ""; line != "event: frame\r\n" && line != "event: frame\n"; {
				if line, err = lines.ReadString('\n'); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
}

// inUse is the memory of objects and stacks.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestLive_AViewerThatWaitsHoldsLittle: 10,000 of them are a matter of half a gigabyte at most.
func TestLive_AViewerThatWaitsHoldsLittle(t *testing.T) {
	each, hear := viewers(t, 400)
	if each > 50<<10 {
		t.Errorf("a viewer holds %d bytes", each)
	}
	hear("all of them hear it")
}

// BenchmarkTails opens almost 10,000 live tails, as many as 20,000 files allow; each iteration is a frame that all of them get.
func BenchmarkTails(b *testing.B) {
	each, hear := viewers(b, 9_900)
	for b.Loop() {
		hear("x")
	}
	b.ReportMetric(float64(each), "B/viewer")
}

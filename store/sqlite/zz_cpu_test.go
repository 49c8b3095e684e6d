package sqlite

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(0, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
func BenchmarkCPU(b *testing.B) {
	size := 100
	if v, err := strconv.Atoi(os.Getenv("SZ")); err == nil {
		size = v
	}
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), &Config{Synchronous: Full})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	done := 0
	start := cpu()
	var a, c, d time.Duration
	for b.Loop() {
		t0 := cpu()
		held := submitBatch(b, s, size)
		t1 := cpu()
		held = claimBatch(b, s, held)
		t2 := cpu()
		completeBatch(b, s, held, os.Getenv("ASSUME") != "")
		t3 := cpu()
		a += t1 - t0
		c += t2 - t1
		d += t3 - t2
		done += size
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(done), "cpu-us/lc")
	b.ReportMetric(float64((a).Microseconds())/float64(done), "submit")
	b.ReportMetric(float64((c).Microseconds())/float64(done), "claim")
	b.ReportMetric(float64((d).Microseconds())/float64(done), "complete")
	b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "lifecycles/s")
}
func init() {
	if v, err := strconv.Atoi(os.Getenv("PAY")); err == nil {
		benchPayload = make([]byte, v)
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// buildProgram builds the program, because a demonstration runs it several times.
func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "flowfabric")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

func TestDemo_KilledProcessLosesNothing(t *testing.T) {
	program, dir, temp := buildProgram(t), t.TempDir(), t.TempDir()
	for i := range 60 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d", i)), []byte("some words\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(t.TempDir(), "demo.db")
	cmd := exec.CommandContext(t.Context(), program, "demo", "--keep", kept, dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s\n%s", err, stdout.String(), stderr.String())
	}
	for _, want := range []string{
		`files +60\n`, `words +120\n`, `lines +60\n`, `bytes +660\n`, `killed +w\d \(pid \d+\), in the middle of [1-9]`,
		`reclaimed +[1-9]\d* executions`, `check +ok`,
	} {
		if !regexp.MustCompile(want).Match(stdout.Bytes()) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	if !strings.Contains(stderr.String(), "with SIGKILL") || !strings.Contains(stderr.String(), "60 of 60 files") {
		t.Errorf("stderr = %q", stderr.String())
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("the database was not kept: %v", err)
	}
	if left, _ := filepath.Glob(temp + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	again := exec.CommandContext(t.Context(), program, "demo", "--keep", kept, dir)
	if err := again.Run(); again.ProcessState.ExitCode() != exitUsage {
		t.Errorf("demo over a database that exists: %v; want exit code %d", err, exitUsage)
	}
}

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asProgram, in the environment, makes the binary of the tests the program itself, for scripts.
const asProgram = "FLOWFABRIC_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// outcome is how a command line ended.
type outcome struct {
	code           int
	stdout, stderr string
}

func execute(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return outcome{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func TestRun_ExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string // part of it
	}{
		"help":                     {[]string{"--help"}, 0, ""},
		"help of a command":        {[]string{"bench", "--help"}, 0, ""},
		"version":                  {[]string{"version"}, 0, ""},
		"unknown command":          {[]string{"sing"}, 2, `unknown command "sing"`},
		"unknown flag":             {[]string{"bench", "--loud"}, 2, "unknown flag: --loud"},
		"flag of the wrong type":   {[]string{"bench", "--workers", "many"}, 2, "invalid argument"},
		"argument too many":        {[]string{"version", "now"}, 2, `unknown command "now"`},
		"unknown store":            {[]string{"bench", "--store", "mysql:"}, 2, `the scheme "mysql" is unknown; want sqlite:PATH`},
		"unknown scenario":         {[]string{"bench", "--store", "memory:", "--scenario", "speed"}, 2, `"speed" is unknown`},
		"option out of bounds":     {[]string{"bench", "--store", "memory:", "--workers", "-1"}, 2, "Workers is -1"},
		"migrate without a store":  {[]string{"migrate"}, 2, "--store is required"},
		"migrate without a schema": {[]string{"migrate", "--store", "memory:"}, 2, "needs no migration"},
		"server that is not there": {[]string{"migrate", "--store", "postgres://127.0.0.1:1/app"}, 1, "is the server running"},
		"folder that is not there": {[]string{"demo", t.TempDir() + "/no"}, 2, "not a folder"},
		"folder without files":     {[]string{"demo", t.TempDir()}, 2, "no regular file"},
		"processes out of bounds":  {[]string{"demo", "--processes", "1"}, 2, "--processes is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := execute(t, c.args...)
			if got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("exit code %d, want %d; stderr %q, want %q in it", got.code, c.code, got.stderr, c.stderr)
			}
			if sayWhere := strings.Contains(got.stderr, "--help"); sayWhere != (c.code == exitUsage) {
				t.Errorf("stderr = %q; it names --help: %v", got.stderr, sayWhere)
			}
		})
	}
}

func TestVersion_NamesGo(t *testing.T) {
	if got := execute(t, "version"); !strings.Contains(got.stdout, "\ngo         go1.") {
		t.Errorf("stdout = %q", got.stdout)
	}
}

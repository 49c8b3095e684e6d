package server_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/flowfabric/flowfabric/server"
)

// snippets returns the code of a language in the guide.
func snippets(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, part := range strings.Split(string(text), "```"+language+"\n")[1:] {
		code, _, _ := strings.Cut(part, "```")
		all.WriteString(code)
	}
	return all.String()
}

// TestGuide_WorksAsItIsWritten runs what docs/http.md shows.
func TestGuide_WorksAsItIsWritten(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "python3", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("it takes %s: %v", tool, err)
		}
	}
	listening := httptest.NewServer(serving(t, server.Config{Token: "the token"}))
	defer listening.Close()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "FF_SERVER="+listening.URL, "FF_TOKEN=the token", "ONCE=yes")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
		return string(out)
	}
	// A refusal is shown once: curl fails then, and jq judges. A stream that is left fails, too.
	run("bash", "-eu", "-c", snippets(t, "sh"))
	if out := run("bash", "-eu", "-c", `curl -sS --fail -H "Authorization: Bearer $FF_TOKEN" -H "Content-Type: application/json" "$FF_SERVER/v1/calls/submit" `+
		`-d '{"lane":"mail","kind":"send","payload":"eyJ0byI6ImJlbiJ9"}' | jq -r .id`); out == "" {
		t.Fatal("nothing was submitted")
	} else {
		run("python3", "-c", snippets(t, "python"))
		id := strings.TrimSpace(out)
		if result := run("bash", "-eu", "-c", `curl -sS -g -H "Authorization: Bearer $FF_TOKEN" "$FF_SERVER/v1/executions/`+id+`/wait" | jq -r .payload | base64 -d`); result != `{"sent": "ben"}` {
			t.Errorf("the worker in Python made %q", result)
		}
	}
}

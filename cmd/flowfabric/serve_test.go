package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowfabric/flowfabric/internal/config"
)

// served is a server under test.
type served struct {
	api  string // its URL
	logs []map[string]any
	stop context.CancelFunc
	code chan int
}

// serveAs starts flowfabric serve in an environment and returns when it listens.
func serveAs(t *testing.T, environ map[string]string) *served {
	t.Helper()
	t.Setenv("FF_LISTEN_ADDR", "127.0.0.1:0")
	t.Setenv("FF_LOG_FORMAT", "json")
	for name, value := range environ {
		t.Setenv(name, value)
	}
	ctx, stop := context.WithCancel(t.Context())
	logs, w := io.Pipe()
	s := &served{stop: stop, code: make(chan int, 1)}
	go func() {
		s.code <- run(ctx, []string{"serve"}, strings.NewReader(""), io.Discard, w)
		_ = w.Close()
	}()
	t.Cleanup(stop)
	lines := bufio.NewScanner(logs)
	for s.api == "" && lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("a line that is no JSON: %s", lines.Text())
		}
		s.logs = append(s.logs, line)
		if line["msg"] == "HTTP API listening" {
			s.api = "http://" + line["addr"].(string)
		}
	}
	if s.api == "" {
		t.Fatalf("it ended with exit status %d", <-s.code)
	}
	go func() { _, _ = io.Copy(io.Discard, logs) }() // until it ends
	return s
}

// end stops the server as a signal does, and checks that it ends well.
func (s *served) end(t *testing.T) {
	t.Helper()
	s.stop()
	if code := <-s.code; code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func (s *served) post(t *testing.T, op, token, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api+"/v1/calls/"+op, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestServe_AnswersOnceItListensAndKeepsWhatItStored(t *testing.T) {
	environ := map[string]string{"FF_STORE_URL": "sqlite:" + filepath.Join(t.TempDir(), "app.db"), "FF_LANES": "mail"}
	s := serveAs(t, environ)
	if status, text := s.post(t, "submit", "", `{"lane":"mail","kind":"send"}`); status != http.StatusOK {
		t.Errorf("submit: %d %s", status, text)
	}
	_, secrets := s.post(t, "list_secrets", "", `{}`)
	if !strings.Contains(secrets, `"kid":"k1","current":true`) {
		t.Errorf("secrets %s", secrets)
	}
	s.end(t)

	s = serveAs(t, environ)
	if _, again := s.post(t, "list_secrets", "", `{}`); again != secrets {
		t.Errorf("secrets %s, want those of the first start %s", again, secrets)
	}
	if _, counts := s.post(t, "lane_counts", "", `{"lane_id":"mail"}`); !strings.Contains(counts, `"waiting":1`) {
		t.Errorf("counts %s", counts)
	}
	s.end(t)
}

func TestServe_RefusesCallersWithoutTheToken(t *testing.T) {
	s := serveAs(t, map[string]string{"FF_STORE_URL": "memory:", "FF_API_TOKEN": "hunter2"})
	for token, want := range map[string]int{"": 401, "hunter": 401, "hunter22": 401, "hunter2": 200} {
		if status, _ := s.post(t, "list_lanes", token, `{}`); status != want {
			t.Errorf("token %q: status %d, want %d", token, status, want)
		}
	}
	s.end(t)
	for _, line := range s.logs {
		if text, _ := json.Marshal(line); strings.Contains(string(text), "hunter2") {
			t.Errorf("the token is logged: %s", text)
		}
	}
}

func TestServe_TakesTokensOfAnIssuerAndStartsWithoutIt(t *testing.T) {
	s := serveAs(t, map[string]string{"FF_STORE_URL": "memory:", "FF_OIDC_ISSUER": "http://127.0.0.1:1", "FF_OIDC_AUDIENCE": "a"})
	for token, want := range map[string]int{"": 401, "no token": 401, "a.b.c": 503} {
		if status, answer := s.post(t, "list_lanes", token, `{}`); status != want {
			t.Errorf("token %q: status %d, want %d: %s", token, status, want, answer)
		}
	}
	s.end(t)
}

func TestServe_TheAuditLogIsNotFilteredByLevel(t *testing.T) {
	var out strings.Builder
	log := newLogger(&out, config.LogText, slog.LevelError)
	log.Info("told to nobody")
	slog.New(unfiltered{log.Handler()}).With("a", 1).WithGroup("g").Info("audit", "b", 2)
	if got := out.String(); !strings.Contains(got, "msg=audit a=1 g.b=2") || strings.Contains(got, "nobody") {
		t.Errorf("log: %s", got)
	}
}

func TestServe_WarnsWhenTheConfiguredSecretIsNotThatOfTheStore(t *testing.T) {
	environ := map[string]string{"FF_STORE_URL": "sqlite:" + filepath.Join(t.TempDir(), "app.db"), "FF_WAITPOINT_HMAC_SECRET": strings.Repeat("0a", 32)}
	s := serveAs(t, environ)
	s.end(t)
	environ["FF_WAITPOINT_HMAC_SECRET"] = strings.Repeat("0b", 32)
	s = serveAs(t, environ)
	s.end(t)
	warned := false
	for _, line := range s.logs {
		msg, _ := line["msg"].(string)
		warned = warned || line["level"] == "WARN" && strings.Contains(msg, "is not the secret of this store")
	}
	if !warned {
		t.Errorf("no warning in %v", s.logs)
	}
}

func TestServe_StopsWhileACallIsUnderWay(t *testing.T) {
	s := serveAs(t, map[string]string{"FF_STORE_URL": "memory:", "FF_SHUTDOWN_TIMEOUT_MS": "5000"})
	var status int
	answered := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		body := &announced{Reader: strings.NewReader(`{"lanes":["a"],"worker_id":"w","worker_instance_id":"w","wait_ms":60000}`), begun: begun}
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, s.api+"/v1/calls/claim", body)
		if err == nil {
			var res *http.Response
			req.Header.Set("Expect", "100-continue") // so that the body is read when the call is under way
			req.Header.Set("Content-Type", "application/json")
			if res, err = http.DefaultClient.Do(req); err == nil {
				status, err = res.StatusCode, res.Body.Close()
			}
		}
		answered <- err
	}()
	<-begun
	s.end(t)
	if err := <-answered; err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("the claim is answered %d, %v; want that it is to be asked again", status, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// announced tells when somebody reads it to its end.
type announced struct {
	io.Reader
	begun chan struct{}
}

func (a *announced) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err != nil {
		close(a.begun)
	}
	return n, err
}

func TestServe_BadConfigurationIsExitStatus1(t *testing.T) {
	for name, c := range map[string]struct{ variable, value, want string }{
		"open to others": {"FF_LISTEN_ADDR", "0.0.0.0:0", "failed to load config: invalid value for FF_LISTEN_ADDR"},
		"no store":       {"FF_STORE_URL", "mysql:x", "the scheme \"mysql\" is unknown"},
		"no certificate": {"FF_TLS_CERT_FILE", "missing.pem", "FF_TLS_KEY_FILE: required"},
		"port in use":    {"FF_LISTEN_ADDR", "127.0.0.1:99999", "FF_LISTEN_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FF_STORE_URL", "memory:")
			t.Setenv(c.variable, c.value)
			got := execute(t, "serve")
			if got.code != 1 || !strings.Contains(got.stderr, c.want) {
				t.Errorf("exit status %d, stderr %s", got.code, got.stderr)
			}
		})
	}
}

func TestServe_CheckConfigPrintsItAndStartsNothing(t *testing.T) {
	t.Setenv("FF_STORE_URL", "postgres://app:hunter2@127.0.0.1:1/none")
	t.Setenv("FF_LISTN_ADDR", "x")
	got := execute(t, "serve", "--check-config")
	if got.code != 0 || !strings.Contains(got.stdout, "FF_LISTEN_ADDR                127.0.0.1:9090\n") {
		t.Errorf("exit status %d, stdout %s", got.code, got.stdout)
	}
	if strings.Contains(got.stdout+got.stderr, "hunter2") {
		t.Errorf("the password is shown: %s %s", got.stdout, got.stderr)
	}
	if !strings.Contains(got.stderr, "FF_LISTN_ADDR is unknown") {
		t.Errorf("stderr %s", got.stderr)
	}
}

func TestDev_ServesAndWorks(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	help, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"dev", "--listen", "127.0.0.1:0"}, strings.NewReader(""), w, io.Discard)
		_ = w.Close()
	}()
	words := bufio.NewScanner(help)
	words.Split(bufio.ScanWords)
	s := &served{}
	for s.api == "" && words.Scan() {
		if url := strings.TrimSuffix(words.Text(), ","); strings.HasPrefix(url, "http://") {
			s.api = url
		}
	}
	go func() { _, _ = io.Copy(io.Discard, help) }() // until it ends
	_, text := s.post(t, "submit", "", `{"lane":"demo","kind":"echo","payload":"eyJhIjoxfQ=="}`)
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	_, text = s.post(t, "wait", "", `{"execution_id":"`+made.ID+`","timeout_ms":20000}`)
	if !strings.Contains(text, `"outcome":"success","payload":"eyJhIjoxfQ=="`) {
		t.Errorf("result %s", text)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit status %d", got)
	}
}

func TestDev_IsNotOpenedToOthers(t *testing.T) {
	got := execute(t, "dev", "--listen", ":9090")
	if got.code != 2 || !strings.Contains(got.stderr, "lets others in") {
		t.Errorf("exit status %d, stderr %s", got.code, got.stderr)
	}
}

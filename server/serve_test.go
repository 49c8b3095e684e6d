package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/server"
)

// pipes is a listener whose connections are in memory, so that they are of the time of a bubble. They keep nothing: who writes
// waits for who reads.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func listenPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

// run serves over pipes until the test ends, or stop is called, which waits.
func run(t *testing.T, svc flowfabric.Service, cfg server.Config) (p *pipes, stop func()) {
	t.Helper()
	p = listenPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := over(t, svc, cfg).Serve(ctx, p); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return p, stop
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// answer reads an answer with its body.
func answer(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// untilCut reads until the server closes the connection, and returns what it said, and after how long.
func untilCut(t *testing.T, c net.Conn) (said string, after time.Duration) {
	t.Helper()
	start := time.Now() //nolint:forbidigo // of the bubble
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), time.Since(start) //nolint:forbidigo // of the bubble
}

const head = "POST /v1/calls/wait HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"

func TestServe_CutsOffWhoIsSlow(t *testing.T) {
	for _, c := range []struct {
		name string
		sent []string // every 9 s
		cut  time.Duration
		said string
	}{
		{"says nothing", nil, 10 * time.Second, ""},
		{"sends a head a few bytes at a time", []string{"GET /", "livez", " HTTP/1", ".1\r\n", "Host: "}, 10 * time.Second, "HTTP/1.1 400 Bad Request"},
		{"sends no body", []string{head + "\r\n"}, 30 * time.Second, "HTTP/1.1 408 Request Timeout"},
		{"sends a body a few bytes at a time", []string{head + "\r\n", "", "{"}, 30 * time.Second, "HTTP/1.1 408 Request Timeout"},
		{"sends no body where there is nothing", []string{"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"}, 30 * time.Second, "HTTP/1.1 404 Not Found"},
		{"asks no more", []string{"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"}, 2 * time.Minute, "HTTP/1.1 200 OK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := run(t, &ailing{}, server.Config{WriteTimeout: time.Minute})
				conn := p.dial(t)
				var sending sync.WaitGroup
				defer sending.Wait()
				sending.Go(func() {
					for i, text := range c.sent {
						if i > 0 {
							time.Sleep(9 * time.Second) //nolint:forbidigo // of the bubble
						}
						if _, err := io.WriteString(conn, text); err != nil {
							return // cut off, as it should be
						}
					}
				})
				said, after := untilCut(t, conn)
				line, _, _ := strings.Cut(said, "\r\n")
				if line != c.said || after < c.cut || after > c.cut+time.Second {
					t.Errorf("cut off after %s, with %q; want %s, %q", after, line, c.cut, c.said)
				}
			})
		})
	}
}

// TestServe_AWaitMayLastLongerThanABody: the bounds of reading a request do not bound what it waits for.
func TestServe_AWaitMayLastLongerThanABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &blocking{entered: make(chan struct{}), hold: make(chan struct{})}
		p, _ := run(t, svc, server.Config{})
		conn := p.dial(t)
		send(t, conn, head+"\r\n{}")
		<-svc.entered
		time.Sleep(5 * time.Minute) //nolint:forbidigo // of the bubble
		close(svc.hold)
		if status, body := answer(t, conn); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		send(t, conn, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
		if status, body := answer(t, conn); status != http.StatusOK {
			t.Errorf("and the next request of the connection: %d %s", status, body)
		}
	})
}

// TestServe_AWaitEndsWithItsConnection: nobody is left to hear the answer.
func TestServe_AWaitEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &blocking{entered: make(chan struct{}), hold: make(chan struct{})}
		p, stop := run(t, svc, server.Config{})
		conn := p.dial(t)
		send(t, conn, head+"\r\n{}")
		<-svc.entered
		_ = conn.Close()
		synctest.Wait()     // the wait has ended: a stop finds nothing under way
		start := time.Now() //nolint:forbidigo // of the bubble
		stop()
		if took := time.Since(start); took > time.Second { //nolint:forbidigo // of the bubble
			t.Errorf("the stop took %s", took)
		}
	})
}

func TestServe_CutsOffWhoDoesNotReadTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := run(t, &ailing{}, server.Config{})
		conn := p.dial(t)
		send(t, conn, "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(31 * time.Second) //nolint:forbidigo // of the bubble
		synctest.Wait()
		start := time.Now() //nolint:forbidigo // of the bubble
		stop()
		if took := time.Since(start); took > time.Second { //nolint:forbidigo // of the bubble
			t.Errorf("the stop took %s: the answer is under way still", took)
		}
	})
}

func TestServe_AHeadMayHave64Kibibytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := run(t, &ailing{}, server.Config{})
		conn := p.dial(t)
		go func() {
			_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: h\r\nX-Long: "+strings.Repeat("x", 70<<10)+"\r\n\r\n") // it may be refused before its end
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it ends with the connection
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v, %v", res, err)
		}
	})
}

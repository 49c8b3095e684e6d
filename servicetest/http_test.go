package servicetest

import (
	"net/http/httptest"
	"testing"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/internal/apicheck"
	ffserver "github.com/flowfabric/flowfabric/server"
)

// TestHTTP is the suite through a client and a server, each request and answer held against the OpenAPI document.
func TestHTTP(t *testing.T) {
	h := inMemory(1)
	h.Through = throughHTTP
	Run(t, h)
}

func throughHTTP(t testing.TB, eng ff.Service) ff.Service {
	t.Helper()
	srv, err := ffserver.New(eng, ffserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(apicheck.Checked(t, srv))
	t.Cleanup(listening.Close)
	c, err := client.New(listening.URL, client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

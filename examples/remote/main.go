// Remote runs an engine behind HTTP, and a worker and a producer that know nothing but its address: package client is the same
// service as an embedded engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/client"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/server"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

func main() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	address, stopServer, err := serve(ctx)
	if err != nil {
		return err
	}
	defer stopServer()
	c, err := client.New(address, client.Config{})
	if err != nil {
		return err
	}
	defer c.Close()

	w := worker.New(c, worker.Config{Lanes: []flowfabric.LaneID{"mail"}})
	worker.Handle(w, "greet", func(_ context.Context, _ *worker.Task, name string) (string, error) {
		return "Hello, " + name, nil
	})
	working, stopWorker := context.WithCancel(ctx)
	defer stopWorker()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	res, err := c.Submit(ctx, flowfabric.Submit{Lane: "mail", Kind: "greet", Payload: []byte(`"Ada"`)})
	if err != nil {
		return err
	}
	result, err := c.Wait(ctx, res.ID, 30*time.Second)
	if err != nil {
		return err
	}
	fmt.Println(string(result.Payload))
	stopWorker()
	return <-ended
}

// serve opens an engine on a database of its own and serves it on a port of this machine.
func serve(ctx context.Context) (address string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "flowfabric-remote")
	if err != nil {
		return "", nil, err
	}
	st, err := sqlite.Open(ctx, filepath.Join(dir, "flows.db"), nil)
	if err != nil {
		return "", nil, err
	}
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return "", nil, err
	}
	srv, err := server.New(eng, server.Config{Family: "sqlite"})
	if err != nil {
		return "", nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	serving, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(serving, l) }()
	return "http://" + l.Addr().String(), func() {
		end()
		if err := errors.Join(<-ended, eng.Close(context.WithoutCancel(ctx)), st.Close(), os.RemoveAll(dir)); err != nil {
			log.Print(err)
		}
	}, nil
}

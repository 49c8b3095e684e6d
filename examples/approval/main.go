// Approval is a deploy gate: two of three people must agree before a release goes out. Each gets a link of her own, by
// e-mail in real life; here they are printed, and the program follows two of them itself. While it waits for them the
// execution takes no worker.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/engine"
	"github.com/flowfabric/flowfabric/store/sqlite"
	"github.com/flowfabric/flowfabric/worker"
)

var approvers = []string{"ada", "grace", "hedy"}

// Release is what is to be deployed.
type Release struct {
	Version string `json:"version"`
}

// Receipt says what was deployed, and who agreed.
type Receipt struct {
	Deployed   string   `json:"deployed"`
	ApprovedBy []string `json:"approved_by"`
}

// gate is the handler and what it needs of the world.
type gate struct {
	mail   func(to, link string)
	deploy func(version, key string) error
}

func (g gate) run(ctx context.Context, _ *worker.Task, r Release) (Receipt, error) {
	signals, err := worker.WaitSignals(ctx, "approval",
		worker.Named("approved"), worker.FromDistinct(2), worker.Within(72*time.Hour), worker.For(flowfabric.WaitForApproval),
		worker.Announce(func(ctx context.Context, w worker.Waiting) error {
			for _, who := range approvers {
				link, err := w.Link(ctx, "approved", who)
				if err != nil {
					return err
				}
				g.mail(who, "https://deploy.example/approve?link="+link.Reveal())
			}
			return nil
		}))
	if err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{Deployed: r.Version}
	for _, s := range signals {
		receipt.ApprovedBy = append(receipt.ApprovedBy, s.SourceIdentity)
	}
	_, err = worker.Step(ctx, "deploy", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, g.deploy(r.Version, worker.StepKey(ctx))
	})
	return receipt, err
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "approval")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(ctx, filepath.Join(dir, "approval.db"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	eng, err := engine.Open(ctx, st, engine.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(ctx) }()

	links := make(chan string, len(approvers))
	g := gate{
		mail: func(to, link string) {
			fmt.Printf("to %s: %s…\n", to, link[:60])
			links <- link
		},
		deploy: func(version, _ string) error {
			fmt.Println("deploying", version)
			return nil
		},
	}
	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"deploy"}})
	worker.Handle(w, "release", g.run)
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()

	id, err := eng.Submit(ctx, flowfabric.Submit{Lane: "deploy", Kind: "release", Payload: []byte(`{"version":"1.2.3"}`)})
	if err != nil {
		return err
	}
	for range 2 { // two people click
		link := <-links
		res, err := eng.SignalByLink(ctx, flowfabric.SignalByLink{Link: flowfabric.SignalLink(link[len("https://deploy.example/approve?link="):])})
		if err != nil {
			return err
		}
		fmt.Println("approved:", res.Effect)
	}
	r, err := eng.Wait(ctx, id.ID, 30*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", r.Outcome, r.Payload)
	stop()
	return <-ended
}

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/tokens"
	"github.com/flowfabric/flowfabric/worker"
)

// A handler writes, and somebody follows it over a retry to the end.
func ExampleStream() {
	eng := openEngine()
	defer eng.Close(context.Background())
	ctx, stop := context.WithCancel(context.Background())

	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "build", func(ctx context.Context, t *worker.Task, _ struct{}) (string, error) {
		out := worker.Stream(ctx)
		fmt.Fprintf(out, "attempt %d begins", t.Attempt())
		if t.Attempt() == 0 {
			return "", errors.New("the disk is full")
		}
		return "built", out.JSON("artifact", map[string]string{"file": "app.tar"})
	})
	sub, err := eng.Submit(ctx, ff.Submit{Lane: "mail", Kind: "build", Policy: ff.Retry(1, ff.FixedBackoff(0))})
	if err != nil {
		fmt.Println(err)
	}
	go func() {
		defer stop()
		for item, err := range ff.Follow(ctx, eng, ff.FollowStream{ExecutionID: sub.ID}) {
			switch {
			case err != nil:
				fmt.Println(err)
			case item.Kind == ff.StreamFrames:
				fmt.Printf("%s: %s\n", item.Frame.Type, item.Frame.Payload)
			case item.Kind == ff.StreamEnds:
				fmt.Println(item.ClosedReason)
			}
		}
	}()
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// text_chunk: attempt 0 begins
	// attempt_failure
	// text_chunk: attempt 1 begins
	// artifact: {"file":"app.tar"}
	// attempt_success
}

// An agent that would ask for ever is stopped by the budget of its tenant. The model is a server that uses 40 tokens a call.
func ExampleReportTokens() {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"model":"m","usage":{"prompt_tokens":30,"completion_tokens":10,"total_tokens":40}}`)
	}))
	defer model.Close()
	eng := openEngine()
	defer eng.Close(context.Background())
	ctx, stop := context.WithCancel(context.Background())
	budget, _, err := eng.CreateBudget(ctx, ff.CreateBudget{
		Scope: ff.Scope{Type: ff.ScopeTenant, ID: "acme"}, Hard: ff.Amounts{ff.DimensionTokens: 100}, OnHardLimit: ff.LimitFails,
	})
	if err != nil {
		fmt.Println(err)
	}

	models := &http.Client{Transport: &tokens.Transport{Base: &http.Transport{}, Report: worker.ReportTokens}}
	defer models.CloseIdleConnections()
	w := worker.New(eng, worker.Config{Lanes: []ff.LaneID{"mail"}})
	worker.Handle(w, "ask", func(ctx context.Context, _ *worker.Task, _ struct{}) (string, error) {
		for {
			fmt.Println("ask")
			if err := ask(ctx, models, model.URL); err != nil {
				return "", err
			}
		}
	})
	sub, err := eng.Submit(ctx, ff.Submit{Lane: "mail", Kind: "ask", Namespace: "acme"})
	if err != nil {
		fmt.Println(err)
	}
	go func() {
		defer stop()
		r, err := eng.Wait(ctx, sub.ID, 30*time.Second)
		fmt.Println(r.Outcome, r.FailureCategory, err)
	}()
	if err := w.Run(ctx); err != nil {
		fmt.Println(err)
	}
	status, err := eng.DescribeBudget(context.Background(), budget)
	fmt.Println(status.Usage[ff.DimensionTokens], "tokens,", status.Usage[ff.DimensionInputTokens], "of them read", err)
	// Output:
	// ask
	// ask
	// ask
	// failed budget_exceeded <nil>
	// 120 tokens, 90 of them read <nil>
}

// ask makes one call of a model and reads all of the answer.
func ask(ctx context.Context, models *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	resp, err := models.Do(req)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close())
}

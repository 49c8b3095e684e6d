package main

import (
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
)

func TestAnswer_IsWatchedFromAnyPlaceOverARetry(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		flowfabrictest.Handle(env, "ask", scripted(time.Second, 6).answer)
		id := env.SubmitCommand(flowfabric.Submit{
			Kind: "ask", Payload: []byte(`"?"`), Policy: flowfabric.Retry(1, flowfabric.FixedBackoff(time.Minute)),
		})
		env.Advance(time.Hour)
		var whole viewer
		if err := whole.watch(t.Context(), env.Engine, id, func() bool { return false }); err != nil {
			t.Fatal(err)
		}
		if len(whole.seen) != 2 || whole.seen[0] != "A stream is what an attempt " || whole.seen[1] != said {
			t.Errorf("seen %q", whole.seen)
		}
		for n := 1; n < 20; n++ { // connections that break ever later
			var v viewer
			for items := 0; items < n; items++ {
				if err := v.watch(t.Context(), env.Engine, id, func() bool { return true }); err != nil {
					t.Fatal(err)
				}
			}
			if err := v.watch(t.Context(), env.Engine, id, func() bool { return false }); err != nil {
				t.Fatal(err)
			}
			if len(v.seen) != 2 || v.seen[1] != said || v.seen[0] != whole.seen[0] {
				t.Errorf("after %d items and a new connection: %q", n, v.seen)
			}
		}
	})
}

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/flowfabrictest"
)

// testGate is a gate that keeps what it mails and deploys.
type testGate struct {
	gate
	links    map[string]flowfabric.SignalLink
	deployed []string // keys
}

func newGate() *testGate {
	g := &testGate{links: make(map[string]flowfabric.SignalLink)}
	g.mail = func(to, link string) {
		_, text, _ := strings.Cut(link, "?link=")
		g.links[to] = flowfabric.SignalLink(text)
	}
	g.deploy = func(_, key string) error {
		g.deployed = append(g.deployed, key)
		return nil
	}
	return g
}

func TestGate_TwoOfThreeOpenIt(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		g := newGate()
		flowfabrictest.Handle(env, "release", g.run)
		id := env.Submit("release", Release{Version: "1.2.3"})
		env.RunUntilIdle()
		env.Advance(48 * time.Hour)
		follow := func(who string, want flowfabric.SignalResult) {
			t.Helper()
			got, err := env.Engine.SignalByLink(t.Context(), flowfabric.SignalByLink{Link: g.links[who]})
			if got.Effect != want.Effect || got.Duplicate != want.Duplicate || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", who, got, err, want)
			}
		}
		follow("ada", flowfabric.SignalResult{Effect: flowfabric.EffectAppended})
		follow("ada", flowfabric.SignalResult{Duplicate: true})
		if s := env.State(id); s != flowfabric.PublicSuspended {
			t.Errorf("after one approval it is %s", s)
		}
		follow("hedy", flowfabric.SignalResult{Effect: flowfabric.EffectResumed})
		var out Receipt
		env.Result(id, &out)
		if out.Deployed != "1.2.3" || !slices.Equal(out.ApprovedBy, []string{"ada", "hedy"}) || len(g.deployed) != 1 {
			t.Errorf("%+v, deployed %d times", out, len(g.deployed))
		}
	})
}

func TestGate_NobodyAnswersWithinThreeDays(t *testing.T) {
	flowfabrictest.Run(t, func(t *testing.T, env *flowfabrictest.Env) {
		g := newGate()
		flowfabrictest.Handle(env, "release", g.run)
		id := env.Submit("release", Release{Version: "1.2.3"})
		env.Advance(73 * time.Hour)
		if s := env.State(id); s != flowfabric.PublicFailed || len(g.deployed) != 0 {
			t.Errorf("it is %s, deployed %d times", s, len(g.deployed))
		}
	})
}

func TestGate_ACrashAnywhereChangesNothing(t *testing.T) {
	g := newGate()
	o := flowfabrictest.ReplayAllCrashPoints(t, Release{Version: "1.2.3"}, g.run, func(env *flowfabrictest.Env, id flowfabric.ExecutionID) {
		env.SignalFrom(id, "approval", "approved", "ada", nil)
		env.SignalFrom(id, "approval", "approved", "grace", nil)
	})
	if want := `{"deployed":"1.2.3","approved_by":["ada","grace"]}`; o.Result != want {
		t.Errorf("result %s, want %s", o.Result, want)
	}
}

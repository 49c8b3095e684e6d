package postgres_test

import (
	"context"
	"testing"

	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/postgres"
)

func watch(t *testing.T, s store.Store) <-chan store.Wake {
	t.Helper()
	wakes, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return wakes
}

// listening waits until a session listens for wakes.
func listening(t *testing.T, url string) {
	t.Helper()
	p := pool(t, url, 1)
	for n := 0; n == 0; {
		err := p.QueryRow(t.Context(), `SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity
			WHERE datname = current_database() AND query = 'LISTEN ff_wake' AND state = 'idle'`).Scan(&n, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatch_TellsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	here, there := open(t, url, nil), open(t, url, nil)
	wakes := watch(t, here)
	listening(t, url)
	submit(t, there)
	if got := <-wakes; got != (store.Wake{Lane: "default"}) {
		t.Errorf("got %+v, want a wake for the lane", got)
	}
}

func TestWatch_IsSilentOnOwnCommits(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	here, there := open(t, url, nil), open(t, url, nil)
	wakes := watch(t, here)
	listening(t, url)
	submit(t, here)
	run(t, url, `SELECT pg_notify('ff_wake', 'end')`) // may overtake the notifier, but then the next wake is wrong
	submit(t, there)
	var got []store.Wake
	for range 2 {
		got = append(got, <-wakes)
	}
	if got[0].Lane != "end" || got[1].Lane != "default" {
		t.Errorf("got %v, want the two of others", got)
	}
}

func TestWatch_LostConnectionWakesAllLanes(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), nil)
	wakes := watch(t, s)
	listening(t, urlOf(s))
	terminate(t, urlOf(s), "query = 'LISTEN ff_wake'")
	if got := <-wakes; got != (store.Wake{}) {
		t.Errorf("got %+v, want a wake for any lane", got)
	}
}

func TestWatch_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]*postgres.Config{"listening": nil, "not listening": {NoListen: true}} {
		s := open(t, migrated(t), cfg)
		ctx, cancel := context.WithCancel(t.Context())
		wakes, err := s.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if w, more := <-wakes; more {
			t.Errorf("%s: got %+v, want a closed channel", name, w)
		}
	}
}

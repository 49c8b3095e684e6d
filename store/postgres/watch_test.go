package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

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
	run(t, url, `SELECT pg_notify('ff_wake', 'other end')`) // may overtake the notifier, but then the next wake is wrong
	submit(t, there)
	var got []store.Wake
	for range 2 {
		got = append(got, <-wakes)
	}
	if got[0].Lane != "end" || got[1].Lane != "default" {
		t.Errorf("got %v, want the two of others", got)
	}
}

// TestWatch_ProcessThatIsAloneSendsNothing: a wake costs a transaction.
func TestWatch_ProcessThatIsAloneSendsNothing(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	here := open(t, url, nil)
	watch(t, here)
	listening(t, url)
	heard := listen(t, url, "ff_wake") // a listener that does not say that it is there
	for told := true; told; {          // for a second the process waits for others to answer
		submit(t, here)
		run(t, url, `SELECT pg_notify('ff_wake', 'other end')`)
		if told = heard() != "other end"; told {
			for heard() != "other end" {
			}
		}
	}
}

// TestWatch_NewcomerIsTold: two processes that listen find each other, whoever came first, and the newcomer looks for
// what was committed before it was known.
func TestWatch_NewcomerIsTold(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	first := open(t, url, nil)
	firstWakes := watch(t, first)
	listening(t, url)
	second := open(t, url, nil)
	secondWakes := watch(t, second)
	if got := <-secondWakes; got != (store.Wake{}) {
		t.Errorf("the newcomer got %+v, want a wake for any lane", got)
	}
	submit(t, first)
	if got := <-secondWakes; got != (store.Wake{Lane: "default"}) {
		t.Errorf("the newcomer got %+v, want a wake for the lane", got)
	}
	submit(t, second)
	if got := <-firstWakes; got != (store.Wake{Lane: "default"}) {
		t.Errorf("the first got %+v, want a wake for the lane", got)
	}
}

// listen returns a function that waits for the next notification on a channel and returns its payload.
func listen(t *testing.T, url, channel string) func() string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	if _, err := c.Exec(t.Context(), "LISTEN "+channel); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		n, err := c.WaitForNotification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n.Payload
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
	s := open(t, migrated(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	wakes, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if w, more := <-wakes; more {
		t.Errorf("got %+v, want a closed channel", w)
	}
}

func TestWatch_IsRefusedWhereNothingListens(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t), &postgres.Config{NoListen: true})
	if _, err := s.Watch(t.Context()); !errors.Is(err, store.ErrNoWatch) {
		t.Errorf("got %v, want ErrNoWatch", err)
	}
}

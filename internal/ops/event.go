package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store"
	"github.com/flowfabric/flowfabric/store/record"
)

const (
	maxEventTypes = 16
	// eventBatch is how many events are read at once.
	eventBatch = 500
)

// families are where the events of a family stand in the log: a completion may be the release of a lease, too.
var loggedFamilies = map[ff.EventFamily][]record.EventFamily{
	ff.EventsLease:      {record.FamilyLease, record.FamilyCompletion},
	ff.EventsCompletion: {record.FamilyCompletion},
	ff.EventsSignal:     {record.FamilySignal},
	ff.EventsOperator:   {record.FamilyOperator},
}

// instanceTagFamily is known, and served by nobody (chapter 50, section 7.4).
const instanceTagFamily ff.EventFamily = "instance_tags"

func checkEventFamily(f ff.EventFamily) error {
	switch {
	case f == instanceTagFamily:
		return &ff.Error{Code: ff.CodeUnavailable, Detail: "subscribe_instance_tags: tags leave no events"}
	case loggedFamilies[f] == nil:
		return invalid("family", "is not known; want lease_history, completion, signal_delivery or operator")
	}
	return nil
}

func checkEventFilter(f *ff.EventFilter) error {
	if len(f.Types) > maxEventTypes {
		return invalid("types", "must be at most 16")
	}
	return firstError(
		checkOptional(f.Lane, f.Lane.Validate), checkOptional(f.Namespace, f.Namespace.Validate),
		ff.ValidateText("kind", f.Kind, ff.MaxNameBytes), checkTagFilter(f.TagKey, f.TagValue),
	)
}

// ReadEvents returns a page of events. It does not wait.
func (r Rules) ReadEvents(ctx context.Context, st store.Store, q ff.ReadEvents) (ff.EventPage, error) {
	const name = "read events"
	q.Limit = cmp.Or(q.Limit, ff.DefaultPage)
	if err := firstError(
		checkEventFamily(q.Family), checkEventFilter(&q.Filter), checkLimit(q.Limit), checkSpan("wait", q.Wait, 0, ff.MaxClaimWait),
	); err != nil {
		return ff.EventPage{}, named(name, err)
	}
	f := feed{st: st, q: &q}
	page, err := f.read(ctx)
	return page, named(name, err)
}

// feed reads one page of a family.
type feed struct {
	st     store.Store
	q      *ff.ReadEvents
	at     []uint64 // how far each shard was read
	looked int
	page   ff.EventPage
}

func (f *feed) read(ctx context.Context) (ff.EventPage, error) {
	if err := f.start(ctx); err != nil {
		return ff.EventPage{}, err
	}
	if f.q.After != "" {
		// Each page begins with another shard, so that none waits for one that has very much.
		var sum uint64
		for _, place := range f.at {
			sum += place
		}
		for i := range f.at {
			if err := f.readShard(ctx, int((sum+uint64(i))%uint64(len(f.at)))); err != nil {
				return ff.EventPage{}, err
			}
		}
	}
	f.page.Next = f.cursor()
	return f.page, nil
}

func (f *feed) cursor() ff.EventCursor { return newEventCursor(f.st.Kind(), f.q.Family, f.at) }

// start finds the places to go on behind.
func (f *feed) start(ctx context.Context) (err error) {
	shards := len(f.st.Shards())
	switch {
	case shards > maxEventShards:
		return &ff.Error{Code: ff.CodeUnavailable, Detail: "the store has more shards than a cursor of events can hold"}
	case f.q.After == "":
		ends, err := f.st.EventEnds(ctx)
		if err != nil {
			return err
		}
		for _, end := range ends {
			f.at = append(f.at, end.Now)
		}
	case f.q.After == ff.EventsFromOldest:
		f.at = make([]uint64, shards)
	default:
		f.at, err = readEventCursor(f.q.After, f.st.Kind(), f.q.Family, shards)
	}
	return err
}

// readShard reads on until the page is full, or the end of the shard is reached.
func (f *feed) readShard(ctx context.Context, shard int) error {
	for {
		if len(f.page.Events) == f.q.Limit || f.looked >= ff.MaxEventScan {
			f.page.More = true
			return nil
		}
		found, err := f.st.Events(ctx, store.EventQuery{
			Shard: shard, After: f.at[shard], Families: loggedFamilies[f.q.Family], Limit: eventBatch, Scan: ff.MaxEventScan - f.looked,
		})
		if err != nil {
			return err
		}
		if err := f.checkGap(ctx, shard, &found); err != nil {
			return err
		}
		if err := f.take(ctx, shard, &found); err != nil {
			return err
		}
		if f.at[shard] < found.Next {
			f.page.More = true
			return nil
		}
		if !found.More {
			return nil
		}
	}
}

// checkGap fails when events behind the place were removed before they were read.
func (f *feed) checkGap(ctx context.Context, shard int, found *store.EventPage) error {
	detail := ""
	switch at := f.at[shard]; {
	case at > found.Last:
		detail = "the cursor is ahead of the log, which was set back to an older copy"
	case at < found.Gone && f.q.After != ff.EventsFromOldest:
		detail = "events behind the cursor are kept no longer"
	default:
		return nil
	}
	oldest := slices.Clone(f.at)
	for i := range oldest {
		page, err := f.st.Events(ctx, store.EventQuery{Shard: i, After: f.at[i], Families: loggedFamilies[f.q.Family], Limit: 1, Scan: 1})
		if err != nil {
			return err
		}
		oldest[i] = min(max(page.Gone, f.at[i]), page.Last)
	}
	return &ff.Error{
		Code: ff.CodeEventGap, Detail: detail + "; go on from the cursor that is attached, knowing that some are missing",
		Attrs: map[string]string{"oldest": string(newEventCursor(f.st.Kind(), f.q.Family, oldest))},
	}
}

// take adds the events that match, as far as the page goes, and moves the place on.
func (f *feed) take(ctx context.Context, shard int, found *store.EventPage) error {
	var list []record.Event
	for i := range found.Events {
		if e := &found.Events[i]; present(e, f.q.Family) && f.matches(e) {
			list = append(list, *e)
		}
	}
	wanted, err := f.wanted(ctx, list)
	if err != nil {
		return err
	}
	before := f.at[shard]
	f.at[shard] = found.Next
	for i := range list {
		if !wanted(&list[i]) {
			continue
		}
		if len(f.page.Events) == f.q.Limit {
			f.at[shard] = list[i].Place - 1
			break
		}
		f.at[shard] = list[i].Place
		f.page.Events = append(f.page.Events, f.tell(&list[i]))
		f.at[shard] = found.Next
	}
	f.looked += int(f.at[shard] - before)
	return nil
}

// matches says whether an event passes the filters on what it says itself.
func (f *feed) matches(e *record.Event) bool {
	w := &f.q.Filter
	switch {
	case w.Namespace != "" && e.Namespace != w.Namespace,
		!w.ExecutionID.IsZero() && e.ExecutionID != w.ExecutionID,
		!w.FlowID.IsZero() && e.FlowID != w.FlowID:
		return false
	}
	return len(w.Types) == 0 || slices.Contains(w.Types, typeOf(e, f.q.Family))
}

// wanted returns whether an event passes the filters on its execution, too, which it reads if there are any.
func (f *feed) wanted(ctx context.Context, list []record.Event) (func(*record.Event) bool, error) {
	w := &f.q.Filter
	if w.Lane == "" && w.Kind == "" && w.TagKey == "" || len(list) == 0 {
		return func(*record.Event) bool { return true }, nil
	}
	ids := make([]ff.ExecutionID, len(list))
	for i := range list {
		ids[i] = list[i].ExecutionID
	}
	tx, err := f.st.View(ctx, store.Reads{Executions: ids})
	if err != nil {
		return nil, err
	}
	return func(ev *record.Event) bool {
		e := tx.Execution(ev.ExecutionID)
		if e == nil || w.Lane != "" && e.Lane != w.Lane || w.Kind != "" && e.Kind != w.Kind {
			return false
		}
		value, tagged := e.Tags[w.TagKey]
		return w.TagKey == "" || tagged && value == w.TagValue
	}, nil
}

// present says whether an event of the log is one of a family.
func present(e *record.Event, family ff.EventFamily) bool {
	return family != ff.EventsLease || e.Family == record.FamilyLease || !e.LeaseID.IsZero()
}

// typeOf is the type of an event in a family.
func typeOf(e *record.Event, family ff.EventFamily) string {
	switch {
	case family == ff.EventsLease && e.Family == record.FamilyCompletion:
		return ff.LeaseReleased
	case e.Family != record.FamilySignal:
		return e.Type
	case e.Type == string(ff.EffectResumed):
		return ff.SignalSatisfied
	case e.Type == string(ff.EffectBuffered):
		return ff.SignalBuffered
	default:
		return e.Type
	}
}

// tell is an event as it is told; the place of its shard must be its own.
func (f *feed) tell(e *record.Event) ff.Event {
	told := ff.Event{
		Cursor: f.cursor(), Family: f.q.Family, Type: typeOf(e, f.q.Family), FlowID: e.FlowID, Namespace: e.Namespace, At: e.At,
		LeaseID: e.LeaseID, LeaseEpoch: e.Epoch, AttemptIndex: e.AttemptIndex, WorkerID: e.WorkerID,
		WorkerInstanceID: e.WorkerInstanceID, Reason: e.Reason, Details: e.Details,
	}
	// What is of a partition or a flow as a whole stands under an id that no execution has.
	if u := e.ExecutionID.UUID(); u != [16]byte{} && (e.FlowID.IsZero() || u != [16]byte(e.FlowID)) {
		told.ExecutionID = e.ExecutionID
	}
	return told
}

// adminEvent is the operator event of an act on no execution. details are text and numbers.
func adminEvent(home ff.Partition, kind string, now ff.Timestamp, details any) record.Event {
	text, _ := json.Marshal(details) // cannot fail
	return record.Event{Family: record.FamilyOperator, Type: kind, ExecutionID: record.NoExecution(home), At: now, Details: text}
}

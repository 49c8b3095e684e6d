// Package worker runs handlers for the executions of an engine: it claims them, keeps their leases, and reports what
// became of them.
//
//	w := worker.New(eng, worker.Config{Lanes: []flowfabric.LaneID{"mail"}})
//	worker.Handle(w, "send", func(ctx context.Context, t *worker.Task, in Mail) (Receipt, error) {
//		return smtp.Send(ctx, in)
//	})
//	err := w.Run(ctx)
//
// The engine is any [flowfabric.Service]: in this process or behind HTTP, the worker does not know.
//
// # Handlers
//
// A handler is registered for a kind with [Handle]. Its input is the decoded payload, its output becomes the result.
// [Task] tells the rest: id, attempt, tags, fence. A task runs at least once: when a worker dies, its lease runs out and
// the execution is claimed again. Of all who may run it at a time only the holder of the current lease can end it, so it
// ends once; effects outside the engine are the handler's to make repeatable.
//
// A kind without a handler here is sent away for about ten seconds, in the hope of a worker that knows it, as while a new
// version is rolled out. It is neither failed nor does it use up a retry.
//
// Config.Middleware wraps every handler in its raw form, [Handler]; [TaskFrom] finds the task in the context of what a
// handler calls.
//
// # Errors
//
// What a handler returns decides what happens to the execution. Errors are found however they are wrapped.
//
//	nil                            it completes with the result
//	Permanent(err)                 it fails, without a retry
//	FailWith(category, err)        the attempt fails; the retry policy decides by category
//	Delay(d)                       the same attempt continues after d
//	what Sleep, WaitSignal gave    likewise, when it is time, or when the signal has come
//	AwaitChildren(…)               likewise, when the children have ended
//	Cancel(reason)                 it is cancelled
//	what Budget(ctx).Report gave   as the budget says: it waits for room, fails or is cancelled
//	ctx.Err() after a shutdown     the same attempt continues on another worker
//	any other error                the attempt fails as transient; the retry policy decides
//	a panic                        likewise, as "panic", with the stack in the reason
//
// # Durable steps
//
// A handler that does several things can do each of them as a [Step]. What a step came to is recorded, and when the handler
// runs again, from its beginning, after a crash, a wait or a retry, the steps that are done return at once:
//
//	worker.Handle(w, "deploy", func(ctx context.Context, t *worker.Task, in Release) (Receipt, error) {
//		build, err := worker.Step(ctx, "build", func(ctx context.Context) (Build, error) { return ci.Build(ctx, in) })
//		if err != nil {
//			return Receipt{}, err
//		}
//		if _, err := worker.WaitSignal[Decision](ctx, "approval", worker.Within(72*time.Hour), worker.Announce(mail)); err != nil {
//			return Receipt{}, err
//		}
//		return worker.Step(ctx, "roll out", func(ctx context.Context) (Receipt, error) { return fleet.RollOut(ctx, build) })
//	})
//
// A step is known by its name and by a [Key]: by default the number of the call with that name in the run, "#1" for the first.
// Nothing else is asked of a handler. What happens between steps happens in every run; a step with a new name is simply done;
// one that is not called any more is forgotten. A step that runs when its worker dies is done again: that is at least once,
// and [StepKey] gives a key by which the outside world can recognize it. It is recorded exactly once, under the lease, so a
// worker that has lost its lease records nothing.
//
// [Sleep] and [WaitSignal] hold no slot and no lease, whether for seconds or for months. They end the run by an error that
// matches [ErrParked], and the handler runs again when there is something to do. So return errors; do not undo things for one
// that is ErrParked. [Map] makes a step of each element of a list, several at once if told.
//
// Each step costs one commit, which it shares with what else the engine commits at the moment, and no read before the first
// retry or resume. One read then brings all memos; results of up to 16 MiB in all are kept while the handler runs, others
// read when they are asked for. A replay keeps memos as [flowfabric.StepRetention] says.
//
// # Output and consumption
//
// [Stream] returns an [io.Writer] to the stream of the attempt, which anyone may follow while the handler runs
// ([flowfabric.Follow]): text, JSON, patches of a summary, and live frames for who is watching. What is written is sent in the
// background, together under load, and all of it before the engine hears how the handler ended.
//
// [Budget] reports what a task consumes on all budgets it is under, and [ReportTokens] does that for the calls of language models
// that [tokens.Transport] sees. When a hard limit is broken the report fails with an error that ends the handler as the budget
// says.
//
// # Leases
//
// Each lease is renewed when a third of its TTL has passed, all that are due in one call, until the engine has
// acknowledged what became of the task. That includes tasks that wait here for a slot. The worker counts the TTL by its
// own clock, from before the call that granted the lease, so that it gives a lease up no later than the engine does. A
// claim that waited for work does not say when it was granted: it counts from TTL/6 before its answer at the earliest, and
// its leases are renewed TTL/6 after.
//
// When the lease is gone, the handler's context ends with cause [ErrLeaseLost], or [ErrCancelled] if the execution was
// cancelled: at the latest TTL/3 after it happened, or when the TTL runs out while the engine cannot be reached. The
// handler should return; what it returns is dropped.
//
// [Task.Progress] and [Task.Heartbeat] never wait. The latest report travels with a renewal, which one that is unsent for
// a second brings forward.
//
// An engine in this process tells of leases it takes away, by a cancel for instance, and the context ends at once.
//
// # Presence
//
// A running worker is registered with the engine ([flowfabric.Registry]) and gives a sign of life, one call for all its
// tasks, three times within its liveness TTL of 2 × LeaseTTL, at least a second. When it has drained it signs off. If it
// leaves handlers behind it does not, so that nobody takes their leases for free.
//
// A handler that runs for longer than Config.StuckAfter, or goes on five seconds after its lease was lost, is logged and
// told to Config.OnStuck, again each time its run has doubled since.
//
// # Flow of work
//
// One loop claims tasks for free slots and, up to Config.Prefetch, ahead of them, in batches: it asks again when a
// quarter of the capacity is free or nothing waits. An idle worker has one claim waiting at the engine, which answers as
// soon as there is work. A claim that fails is repeated with growing pauses.
//
// A slot is free as soon as its handler has returned, while the result is on its way: many results then share one commit.
// At most Config.MaxUnacked are on their way; beyond that slots wait. A report that does not get through, or whose
// outcome is unknown, is repeated while the lease lasts, which is safe because the engine recognizes it.
//
// # Shutdown
//
// When its context ends, [Worker.Run] drains. It claims no more and gives back the tasks that wait. Handlers go on, their
// contexts alive, for up to Config.DrainTimeout; then their contexts end with cause [ErrShutdown]. A handler that returns
// its context's error gives its task back without using up the attempt. Whoever has not returned five seconds later is
// left behind: Run names the number in its error, and the leases run out by themselves.
//
// The exported names follow the stability note of package flowfabric.
package worker

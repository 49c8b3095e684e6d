package lifecycle

import (
	ff "github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/store/record"
)

// StepOf remembers a step for the holder of e's lease.
func StepOf(e *record.Execution, key record.StepKey, cmd *ff.RecordStep, now ff.Timestamp) *record.Step {
	s := &record.Step{
		StepKey: key, Position: cmd.Position, Result: cmd.Result, Encoding: cmd.Encoding, Error: cmd.Error, Category: cmd.Category,
		AttemptIndex: e.AttemptIndex, Epoch: e.Epoch, Retries: e.RetryCount, Replays: e.ReplayCount, RecordedAt: now,
	}
	if cmd.For > 0 {
		s.Until = now.Add(cmd.For)
	}
	return s
}

// StepCounts reports whether a step that is remembered need not be done again. A result counts for ever. An error counts
// while the run that met it goes on, over suspensions and lost workers: a handler that has dealt with it finds it again. A
// retry or a replay is there to try what failed once more, except where that is known to be useless.
func StepCounts(e *record.Execution, s *record.Step) bool {
	return s.Error == "" || s.Category == ff.FailurePermanent || s.Retries == e.RetryCount && s.Replays == e.ReplayCount
}

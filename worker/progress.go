package worker

import (
	"time"

	"github.com/flowfabric/flowfabric"
)

// report is what a task has to say and has not sent yet.
type report struct {
	unsent *flowfabric.Progress
	due    time.Time // when to send it at the latest; meaningful while unsent is set
}

// add puts newer fields over older ones.
func (r *report) add(newer flowfabric.Progress) {
	if r.unsent == nil {
		r.unsent = &newer
		return
	}
	if newer.Percent != nil {
		r.unsent.Percent = newer.Percent
	}
	if newer.Message != nil {
		r.unsent.Message = newer.Message
	}
	if newer.Details != nil {
		r.unsent.Details = newer.Details
	}
}

// take returns what is unsent, nil for nothing, and forgets it.
func (r *report) take() *flowfabric.Progress {
	p := r.unsent
	r.unsent = nil
	return p
}

// putBack returns what take gave and could not be sent, under what was reported since.
func (r *report) putBack(older *flowfabric.Progress, due time.Time) {
	if older == nil {
		return
	}
	newer := r.unsent
	r.unsent, r.due = older, due
	if newer != nil {
		r.add(*newer)
	}
}

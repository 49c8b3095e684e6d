package worker

import (
	"sync"
	"time"

	"github.com/flowfabric/flowfabric/internal/loop"
)

// queue is the slots in which handlers run, and the tasks that wait for one, oldest first. A task waits only while all
// slots are taken.
type queue struct {
	slots  int
	places int          // for tasks to wait in; autoPrefetch: as many as pace says
	hungry *loop.Wakeup // room for a claim may have come up

	mu       sync.Mutex
	running  int
	pace     time.Duration // moving average of how long a task takes a slot
	buffered []*Task
	head     int // of buffered; what lies before it has left
}

// lookAhead is how far ahead tasks are claimed, in time, and the pace that is assumed before any is known.
const lookAhead = 20 * time.Millisecond

func newQueue(slots, places int) *queue {
	return &queue{slots: slots, places: places, hungry: loop.NewWakeup(), pace: lookAhead}
}

// capacity is the slots and the places to wait. The lock is held.
func (q *queue) capacity() int {
	if q.places != autoPrefetch {
		return q.slots + q.places
	}
	return q.slots + int(min(maxPrefetch, int64(q.slots)*int64(lookAhead)/max(1, int64(q.pace))))
}

// push takes in claimed tasks and returns those that have a slot now, for the caller to start.
func (q *queue) push(tasks []*Task) (start []*Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(q.slots-q.running, len(tasks))
	q.running += n
	q.buffered = append(q.buffered, tasks[n:]...)
	return tasks[:n]
}

// next gives a slot that became free, after a task had taken it for so long, to the oldest task that waits; nil: there is
// none, and the slot stays free.
func (q *queue) next(took time.Duration) *Task {
	q.mu.Lock()
	q.pace += (took - q.pace) / 16
	var t *Task
	if q.head < len(q.buffered) {
		t = q.buffered[q.head]
		q.buffered[q.head] = nil
		q.head++
		if q.head == len(q.buffered) {
			q.buffered, q.head = q.buffered[:0], 0
		}
	} else {
		q.running--
	}
	hungry := q.room() > 0
	q.mu.Unlock()
	if hungry {
		q.hungry.Wake()
	}
	return t
}

// want returns how many tasks to claim; 0: it is not worth a call yet.
func (q *queue) want() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.room()
}

// room is want under q.mu: all that is free, once that is a quarter of the capacity or nothing waits. Claiming each place
// as it becomes free would cost a call per task.
func (q *queue) room() int {
	waiting := len(q.buffered) - q.head
	capacity := q.capacity()
	free := capacity - q.running - waiting
	if free <= 0 || waiting > 0 && 4*free < capacity {
		return 0
	}
	return free
}

// clear returns the tasks that wait, which then wait no more.
func (q *queue) clear() []*Task {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.buffered[q.head:]
	q.buffered, q.head = nil, 0
	return waiting
}

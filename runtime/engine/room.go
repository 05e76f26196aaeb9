package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
)

// room counts the items of for_each nodes that the executions which this process owns have in memory. An execution needs room for its items
// before it is read, and for those of a list before they are made. One for which there is none waits: in memory while something of it is in
// flight, else out of it, which makes room for others. It comes back when there is room for the list that it waits for too, so no two wait
// for each other.
type room struct {
	limit int

	mu      sync.Mutex
	held    int
	waiting map[string]time.Time // the executions for which there was none, and when they last asked
}

// take changes how many items an execution has. It returns false if there is no room for more. There is if others have few: an execution
// alone always goes on, and a large one does not wait until all small ones have ended. For few items there is a quarter more, so that small
// executions do not wait for large ones.
func (r *room) take(id string, has *int, want int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := r.held - *has
	few := want <= r.limit/64 && others+want <= r.limit+r.limit/4
	if want > *has && !few && others > r.limit/4 && others+want > r.limit {
		if r.waiting == nil {
			r.waiting = map[string]time.Time{}
		}
		r.waiting[id] = now
		return false
	}
	delete(r.waiting, id)
	r.held = others + want
	*has = want
	return true
}

// leave gives back the room of an execution that leaves memory.
func (r *room) leave(has *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held -= *has
	*has = 0
}

const (
	roomRecheck = 2 * time.Second       // how often an execution looks for room again, at most
	roomEach    = 50 * time.Millisecond // so much later for each that waits
	roomForgets = 10 * time.Minute      // after which an execution that has not asked again counts as gone
)

// again returns after how long an execution that waits looks for room again.
func (r *room) again() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(roomRecheck, time.Duration(len(r.waiting))*roomEach)
}

// load returns how many items are in memory, and how many executions wait.
func (r *room) load(now time.Time) (items, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, asked := range r.waiting {
		if now.Sub(asked) > roomForgets {
			delete(r.waiting, id)
		}
	}
	return r.held, len(r.waiting)
}

// errNoRoom is the error of an execution that is not read, as there is no room for its items: it is released, and due again soon.
var errNoRoom = errors.New("no room for the items of an execution")

// hasRoom reports whether an execution may be read. What it was read with before has its room: calls of it may be in flight. One that is ending
// or is to rest makes no items, and its children wait for it.
func (r *Engine) hasRoom(x *execution, h *journal.Head) bool {
	want := h.Items
	if x.folds > 0 {
		want = min(want, x.items)
	}
	switch ok := r.room.take(x.ID, &x.items, want, r.store.Now()); h.Status {
	case schemas.StatusCancelling, schemas.StatusCompensating, schemas.StatusSuspending:
		return true
	default:
		return ok
	}
}

// roomFor reports whether there is room for items in memory beside those that the execution has; if there is not, the node stays ready.
func (t *turn) roomFor(unit, items int) bool {
	a := t.x.allowance
	want := int(t.x.State.ItemsMade) + items
	if items == 0 || t.r.room.take(t.x.ID, &t.x.items, want, t.now) {
		if a.itemsOf == unit {
			a.items, a.roomless = 0, nil
		}
		return true
	}
	a.items, a.itemsOf = items, unit
	a.roomless = &schemas.WaitingFor{Reason: schemas.ReasonBudget, NodeID: t.x.State.Node(unit).ID, Since: t.now}
	return false
}

// itemsToHold returns how many items the execution needs room for when it is next read.
func (t *turn) itemsToHold() int {
	items := int(t.x.State.ItemsMade)
	if a := t.x.allowance; a.roomless != nil {
		items += a.items
	}
	return items
}

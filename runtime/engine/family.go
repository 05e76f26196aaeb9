package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// family is the companion of an execution that has children or a parent. It notices when children are to be created, cancelled, suspended
// or resumed, and when the parent is to be notified. What is then done to one child is in child.go and child_suspend.go.
type family struct {
	idle
	children map[int]string // those that the owner has ensured, by unit
	checked  time.Time      // when it last checked all of them
	folds    int            // execution.folds at that time

	creating atomic.Int64 // bytes of the inputs of children that are being created

	// Of the turn:
	started   []child
	bytes     int      // of their inputs
	held      bool     // another child is to be started once those exist
	abandoned []string // children that the execution no longer waits for
	sync      bool     // children are to be suspended or resumed
}

// childPoll is how often a parent checks its children, in case a notification was lost.
const childPoll = 30 * time.Second

func (f *family) begin(*turn) {
	f.started, f.bytes, f.held, f.abandoned, f.sync = nil, 0, false, nil, false
}

// start notes a child that the turn has named.
func (f *family) start(c child) {
	f.started = append(f.started, c)
	f.bytes += len(c.inputs)
}

// maxInputs limits the bytes of the inputs of an execution's children that do not exist yet; they are in memory.
const maxInputs = 4 << 20

// full reports whether no further child is to be started before those that were started exist.
func (f *family) full() bool {
	if int64(f.bytes)+f.creating.Load() < maxInputs {
		return false
	}
	f.held = true
	return true
}

// applying notes the children that the event abandons: the execution stops waiting for them before they have succeeded.
func (f *family) applying(t *turn, e *schemas.Event) func() {
	s := t.x.State
	if s.Children() == 0 {
		return nil
	}
	f.sync = f.sync || e.Type == schemas.EventSuspending || e.Type == schemas.EventResumed
	first, last := 0, len(s.Units)
	switch {
	case e.Type == schemas.EventNodeSucceeded, e.Type == schemas.EventRoundEnded:
		return nil
	case machine.AboutNode(e.Type):
		unit, ok := s.Unit(e.Node, e.Item)
		if !ok {
			return nil
		}
		first, last = unit, unit+1
	case e.Type != schemas.EventFinished && e.Type != schemas.EventCompensating:
		return nil
	}
	before := map[int]string{}
	for unit := first; unit < last; unit++ {
		if u := &s.Units[unit]; u.Child != "" && u.Status == schemas.NodeRunning {
			before[unit] = u.Child
		}
	}
	return func() {
		for _, unit := range slices.Sorted(maps.Keys(before)) {
			if !waitsForChild(s, unit, before[unit]) {
				f.abandoned = append(f.abandoned, before[unit])
			}
		}
	}
}

// prepare sees to it that an owner comes back for the children.
func (f *family) prepare(t *turn) {
	s := t.x.State
	t.keepOwner = t.keepOwner || len(f.started) > 0 || f.held
	if s.Children() == 0 {
		return
	}
	t.nudgeOwner = true
	if s.Status == schemas.StatusSuspended { // its children are checked when it is resumed
		return
	}
	next := t.now.Add(childPoll)
	if t.mode == guest && (s.Status == schemas.StatusCancelling || f.sync) {
		next = t.now // an owner has to change the children
	}
	t.needOwner(next)
}

// committed notifies the parent and cancels abandoned children.
func (f *family) committed(t *turn) {
	h := t.head // of its own: nothing changes it any more
	if h.ParentID != "" && slices.ContainsFunc(t.events, comesToRest) {
		t.Background(func(ctx context.Context) { t.r.notifyParent(ctx, *h) })
	}
	undo := t.x.State.Undo
	for _, id := range f.abandoned {
		t.Background(func(ctx context.Context) { t.r.cancelChild(ctx, *h, id, undo) })
	}
}

// unread follows the commit of an execution that is not read: it notifies the parent, and cancels the children of an execution that has ended.
func (f *family) unread(t *turn) {
	h := t.head
	if h.ParentID != "" && slices.ContainsFunc(t.events, comesToRest) {
		t.Background(func(ctx context.Context) { t.r.notifyParent(ctx, *h) })
	}
	if !h.Status.Terminal() {
		return
	}
	t.Background(func(ctx context.Context) {
		q := store.Query{Kind: journal.KindExecution, Term: journal.TermNeeds(h.ExecutionID)}
		err := t.r.store.Each(ctx, q, func(rec store.Record) error {
			if c, _, err := t.r.journal.ReadHead(ctx, rec.Key.ID); err == nil && c.ParentID == h.ExecutionID {
				t.r.cancelChild(ctx, *h, rec.Key.ID, false)
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			t.r.log.Warn("cancel the workflows of an execution that was cancelled: they end when their workers see it",
				"execution_id", h.ExecutionID, "error", err)
		}
	})
}

// comesToRest reports whether an event brings an execution to rest: its parent is notified.
func comesToRest(e schemas.Event) bool {
	return e.Type == schemas.EventFinished || e.Type == schemas.EventSuspended
}

// claimed ends an execution whose parent has ended, and whose process stopped before it could cancel the child. If the parent cannot be
// read, the execution continues.
func (f *family) claimed(o *owner) Decision {
	x, ctx := o.x, o.r.storeCtx
	if x.State == nil && o.r.caught(x.ID, func() error { return o.r.reload(ctx, x) }) != nil || x.Head.ParentID == "" {
		return nil
	}
	parent, _, err := o.r.journal.ReadHead(ctx, x.Head.ParentID)
	if err != nil || !parent.Status.Terminal() && parent.Status != schemas.StatusCompensating {
		return nil
	}
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		if !machine.Legal(schemas.EventCancelling, s.Status, "") {
			return nil, nil
		}
		return []schemas.Event{{Type: schemas.EventCancelling, Reason: "its parent has ended", Due: &now}}, nil
	}
}

// stepped creates the children that were named, checks all children now and then, and cancels those of an execution that is about to end.
// Children that were abandoned are not among them: committed cancels those.
func (f *family) stepped(o *owner, s *stepResult) time.Time {
	x := o.x
	all := f.folds != x.folds || f.sync || s.at.Sub(f.checked) >= childPoll
	if all {
		clear(f.children)
	}
	for _, c := range f.started {
		f.ensureChild(o, c)
	}
	if all {
		f.folds, f.checked = x.folds, s.at
		for unit := range x.State.Units {
			if u := &x.State.Units[unit]; u.Child != "" && u.Status == schemas.NodeRunning && f.children[unit] == "" {
				f.ensureChild(o, child{unit: unit, id: u.Child})
			}
		}
	}
	for unit, id := range f.children {
		if !waitsForChild(x.State, unit, id) {
			delete(f.children, unit)
		} else if abandonsChildren(x.State) {
			delete(f.children, unit)
			head, undo := x.Head, x.State.Undo
			o.r.forChild(id, func() { o.r.cancelChild(o.r.storeCtx, head, id, undo) })
		}
	}
	if x.State.Children() == 0 {
		return time.Time{}
	}
	return f.checked.Add(childPoll)
}

// ensureChild creates the child if it does not exist, takes note if it has ended, and suspends or resumes it with the execution. It does so
// in a goroutine of its own.
func (f *family) ensureChild(o *owner, c child) {
	n, u := o.x.State.Node(c.unit), &o.x.State.Units[c.unit]
	if c.budget, c.places = u.Grant, u.Places; c.budget == nil { // it was started by a version that granted nothing: it asks
		c.budget = new(schemas.Budget)
	}
	if f.children == nil {
		f.children = map[int]string{}
	}
	f.children[c.unit] = c.id
	head, session, suspending := o.x.Head, o.x.Session, o.x.State.Status == schemas.StatusSuspending
	bytes := int64(len(c.inputs))
	f.creating.Add(bytes) // nothing is being done for a child with inputs: it does not exist
	o.r.forChild(c.id, func() {
		defer func() { // once its children exist, the execution may be released, or start others
			f.creating.Add(-bytes)
			o.submit(&request{decide: noEvents})
		}()
		ctx := caller.WithHops(caller.With(o.r.storeCtx, caller.Caller{Principal: head.Principal}), head.Hops)
		release, err := o.r.childPlace(ctx)
		if err != nil {
			return
		}
		defer release()
		h, err := o.r.journal.HeadFor(ctx, c.id)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			var wanted bool
			if wanted, err = o.r.createChild(ctx, head, n, c, session); !wanted && err == nil {
				return
			}
			if err == nil {
				var unwanted, undo bool
				if unwanted, undo, err = o.r.recheckChild(ctx, head, c); unwanted {
					release()
					o.r.cancelChild(ctx, head, c.id, undo)
					return
				}
			}
		}
		var failed string
		switch {
		case err != nil:
			failed = "start a workflow: trying again"
		case h.Status.Terminal():
			err, failed = o.r.Decide(ctx, head.ExecutionID, o.r.childEnded(c.unit, h)), "record the end of a workflow: trying again"
		case suspending || h.WithParent:
			err, failed = o.r.syncChild(ctx, head, c), "suspend or resume a workflow: trying again"
		}
		if err != nil && ctx.Err() == nil {
			o.r.log.Warn(failed, "execution_id", head.ExecutionID, "node", n.ID, "error", err)
		}
	})
}

// renderChild renders the inputs of a child that the last owner of its parent named and did not create. Of a parent that is held nothing is
// evaluated: the child counts as suspended, and is created when the parent is resumed. wanted is false if the child is not to be created.
func (r *Engine) renderChild(ctx context.Context, parent string, c *child) (wanted bool, err error) {
	x, err := r.open(ctx, parent)
	switch {
	case err != nil:
		return false, err
	case !waitsForChild(x.State, c.unit, c.id):
		return false, nil
	case x.State.Held != "":
		return false, r.Decide(ctx, parent, childSuspended(c.id))
	}
	defer r.unmark(x) //nolint:contextcheck // also if ctx has ended
	err = r.guarded(x, func() (err error) {
		c.inputs, err = r.journal.Scope(ctx, x.Execution, c.unit).WorkflowInputs()
		return err
	})
	return err == nil, err
}

// noEvents is a decision that only has the owner make a step.
func noEvents(*machine.State, time.Time) ([]schemas.Event, error) { return nil, nil }

package engine

import (
	"context"
	"errors"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A process may die by what it evaluates, for want of memory for example. The execution that killed it must not kill the next one.
// So before that can happen, its head is marked with the process that works on it, and the commit that follows removes the mark. An owner
// that claims an execution with the mark of another process counts a death. After two in a row it holds the execution, with reason
// recovery, before anything of it is evaluated; a person decides with resume_execution whether it is tried again. One death proves nothing: a busy
// machine makes all work take long, and a process is also killed by something else. But if expressions of the execution itself had taken
// many steps, which the mark says too, one death is enough.
//
// A mark is a commit of its own, so most work does without. It is made
//   - while the work goes on, as soon as it has taken long or the heap of the process has grown meanwhile: what kills a process for want of
//     memory or of stack takes that long; and again as soon as its own expressions have taken many steps;
//   - before the work, and for one execution after the other, if none of its nodes has ended since a process died with such a mark, or
//     since it was taken over after crashes more than once: it may be what kills at once.
//
// So a process that is killed while it works on a thousand others costs none of them anything.

// guard watches the work of this process on one execution, from when its state is read until the commit.
type guard struct {
	r     *Engine
	x     *execution
	timer *time.Timer
	begun time.Time

	mu       sync.Mutex // held while a mark is made
	ended    bool
	waits    bool   // to be alone, which is no work
	heap     uint64 // at the first look
	steps    uint64 // of the execution's expressions, when the watch began
	own      bool   // they have taken many since
	from, to int64  // versions of the head before and after the mark; 0: there is none
	deaths   int    // of earlier processes, with a mark
}

const (
	guardEvery = 20 * time.Millisecond  // how often the work is looked at
	guardLong  = 500 * time.Millisecond // after which it is marked
	guardHeap  = 32 << 20               // by how many bytes the heap grows until it is marked
	guardSteps = maxSteps / 2           // of its own expressions, after which its mark says so
)

// watch begins to guard the work on an execution. It uses the guard of the last watch again: a look that was late for that one is one more
// look at this one.
func (r *Engine) watch(x *execution) *guard {
	g := &x.guard
	g.mu.Lock() // a look waits until the timer is set
	defer g.mu.Unlock()
	g.r, g.x, g.begun, g.deaths, g.steps = r, x, time.Now(), x.Head.Deaths, x.Steps()
	g.ended, g.heap, g.own, g.from, g.to = false, 0, false, 0, 0
	if g.timer == nil {
		g.timer = time.AfterFunc(guardEvery, g.look)
	} else {
		g.timer.Reset(guardEvery)
	}
	return g
}

// look marks the execution if its work has become dangerous.
func (g *guard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return
	case g.waits:
		g.timer.Reset(guardEvery)
		return
	}
	heap := heapBytes()
	if g.heap == 0 {
		g.heap = heap
	}
	switch own := g.x.Steps()-g.steps >= guardSteps; {
	case own:
		g.mark(true)
	case g.to == 0 && (time.Since(g.begun) >= guardLong || heap > g.heap+guardHeap):
		g.mark(false)
	}
	if g.to == 0 || !g.own {
		g.timer.Reset(guardEvery)
	}
}

// mark marks the head of the execution; own says that its own expressions are the reason. The caller holds g.mu. If the store does not answer, the work goes on without a mark.
func (g *guard) mark(own bool) {
	ctx, cancel := context.WithTimeout(g.r.storeCtx, records.AnswerTimeout)
	defer cancel()
	from, to, err := g.r.putMark(ctx, g.x.ID, &journal.Mark{Worker: g.r.worker, Deaths: g.deaths, Own: g.own || own})
	if err == nil {
		g.own = g.own || own
	}
	switch {
	case err == nil && to == 0: // it has ended, or another process left a mark
	case err == nil && g.to != 0 && g.to == from: // it was marked before
		g.to = to
	case err == nil:
		g.from, g.to = from, to
	case !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) && ctx.Err() == nil: // not found: its first commit is still to come
		g.r.log.Debug("mark an execution that is evaluated: it goes on without", "execution_id", g.x.ID, "error", err)
	}
}

// first marks an execution before work that may have killed the last process, and has it done by one owner after the other.
func (g *guard) first() {
	if g.x.alone {
		return
	}
	g.mu.Lock()
	g.waits = true
	g.mu.Unlock()
	err := g.r.workAlone(g.r.storeCtx, g.x)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits, g.begun = false, time.Now()
	if err != nil { // the process ends, and evaluates nothing more
		return
	}
	if g.to == 0 {
		g.mark(false)
	}
}

// end ends the watch before the commit, which takes over the version that a mark has given the head.
func (g *guard) end() {
	g.timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	if g.to != 0 {
		g.x.marked = true
		if g.x.Version == g.from {
			g.x.Version = g.to
		}
	}
}

// unmark removes the mark of an execution whose work has ended without a commit. What a process that died left there stays.
func (r *Engine) unmark(x *execution) {
	if !x.marked {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.storeCtx), records.AnswerTimeout)
	defer cancel()
	left := x.Head.Evaluating
	if left != nil && left.Worker == r.worker {
		left = nil
	}
	if _, _, err := r.putMark(ctx, x.ID, left); err != nil {
		r.log.Debug("remove the mark of an execution that is evaluated", "execution_id", x.ID, "error", err)
		return
	}
	x.marked, x.State = false, nil
}

// putMark writes the head with a mark, or without one, and returns its versions before and after that. No event goes with it.
func (r *Engine) putMark(ctx context.Context, id string, mark *journal.Mark) (from, to int64, err error) {
	for range records.MaxConflicts {
		h, version, err := r.journal.ReadHead(ctx, id)
		if err != nil {
			return 0, 0, err
		}
		if other := h.Evaluating; h.Status.Terminal() || other != nil && other.Worker != r.worker {
			return 0, 0, nil // what another process left decides what becomes of the execution
		}
		h.Evaluating = mark
		value, err := schemas.Encode(h)
		if err != nil {
			return 0, 0, err
		}
		done, err := r.store.Commit(ctx, store.Batch{
			Puts: []store.Put{{Key: journal.ExecutionKey(id), Value: value, Version: version, Terms: h.Terms()}}, Sync: true,
		})
		if err == nil {
			return version, done.Versions[0], nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return 0, 0, records.StoreError(err)
		}
	}
	return 0, 0, store.ErrConflict
}

// heapBytes returns how much memory the objects and stacks of the process take.
func heapBytes() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() + samples[1].Value.Uint64()
}

// guarded watches an evaluation that does not belong to a step, and makes an error of a panic. If it left a mark, the next commit to x
// removes it.
func (r *Engine) guarded(x *execution, evaluate func() error) (err error) {
	g := r.watch(x)
	defer g.end()
	return r.caught(x.ID, evaluate)
}

// caught makes an error of a panic: a defect in what evaluates a plan ends a node, not the process.
func (r *Engine) caught(id string, evaluate func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("evaluate a plan: what it is about fails", "execution_id", id, "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return evaluate()
}

var errPanic = schemas.Errorf(schemas.CodeInternal, "the evaluation of the plan failed by a defect of the runtime")

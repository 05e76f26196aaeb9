package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A rollback is the loss of commits that the store had acknowledged: it stands at an earlier position of the log than the owner of an
// execution remembers. The owner notices when a commit conflicts, or when its lease is gone.
//
// If the store's log is a prefix of what the owner remembers, the owner appends the rest again. If it is not, because another process has
// continued from there or because too much is lost, the store's log counts; then the `once` calls that the owner had started and that the
// log does not know are held before they would be made, as calls of unknown outcome. In both cases the log records the rollback.
//
// What is lost of an execution without an owner, or of one that has ended, is not noticed: those commits ask for strict durability, if the
// store has it. Nor does an owner notice, before it reads the execution again, that another process has brought a rolled-back history to
// the same version as the one that it knows.

// rollback is a rollback that was detected.
type rollback struct {
	from, to position
	restored bool
}

// rollbackData is the data of its event.
type rollbackData struct {
	From     int64          `json:"from_seq"` // the last event before the rollback
	To       int64          `json:"to_seq"`   // the last event that the store had after it
	Restored bool           `json:"restored"`
	Unknown  map[string]int `json:"unknown,omitempty"` // attempts of `once` calls that the log does not know, by unit
}

// rollbacks is the companion of an execution whose store may lose commits.
type rollbacks struct {
	idle
	recent *recentCommits // of an owner; nil: nothing is remembered, and nothing detected
	found  *rollback      // one that the log does not record yet; nil: none
}

// begin records a detected rollback in the log, before anything is decided on what is left.
func (b *rollbacks) begin(t *turn) {
	if b.found == nil {
		return
	}
	e, err := b.found.event(t.x)
	if err != nil {
		t.err = err
		return
	}
	if machine.Legal(e.Type, t.x.State.Status, "") {
		t.emit(e)
	}
}

// event returns the event that records a rollback, with the calls that the log does not know.
func (b *rollback) event(x *execution) (schemas.Event, error) {
	d := rollbackData{From: b.from.seq, To: b.to.seq, Restored: b.restored}
	for name, attempt := range x.rollbacks.recent.started {
		if u, ok := journal.UnitNamed(x.State, name); ok && (x.State.Units[u].Attempts >= attempt || x.State.Units[u].Status.Ended()) {
			continue
		}
		if d.Unknown == nil {
			d.Unknown = map[string]int{}
		}
		d.Unknown[name] = attempt
	}
	data, err := json.Marshal(d)
	return schemas.Event{Type: schemas.EventRolledBack, Data: data}, err
}

// committed remembers the commit. If it recorded a rollback, the calls in flight are decided on again.
func (b *rollbacks) committed(t *turn) {
	b.recent.add(&t.batch, position{t.x.Version, t.x.State.Seq}, t.r.limits.MaxMemory)
	t.result.takeOver, b.found = b.found != nil, nil
}

// lost records a rollback, if that is why the lease is gone: the next owner does not know which calls were started in lost commits.
func (b *rollbacks) lost(o *owner) {
	x := o.x
	x.State = nil
	err := whileUnavailable(o.r.storeCtx, func() error {
		if x.State == nil {
			if err := o.r.reload(o.r.storeCtx, x); err != nil {
				return err
			}
		}
		if b.found == nil {
			return nil
		}
		_, err := o.r.step(o.r.storeCtx, x, nil, guest, store.Batch{})
		return err
	})
	if err != nil && !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		o.r.log.Warn("record that the store lost commits: it is not recorded", "execution_id", x.ID, "error", err)
	}
}

// detectRollback compares what the store has of an execution with what its owner remembers, and restores what can be restored. It returns
// the head and version to continue from. missing is the error if the store does not have the execution; nil: it has.
func (r *Engine) detectRollback(
	ctx context.Context, x *execution, h journal.Head, version int64, missing error,
) (journal.Head, int64, error) {
	m, now := x.rollbacks.recent, position{version, h.Seq}
	if m == nil || m.position() == (position{}) {
		return h, version, missing
	}
	known := m.position()
	earlier := now != known && (now.version <= known.version || now.seq < known.seq)
	if missing != nil {
		if _, err := r.store.Get(ctx, journal.PlanKey(x.ID)); m.from != (position{}) || !errors.Is(err, store.ErrNotFound) {
			return h, version, missing // it was deleted
		}
		now = position{}
	} else if !earlier {
		same, err := r.sameLog(ctx, x, known)
		if same || err != nil {
			return h, version, err
		}
	}
	found := &rollback{from: known, to: now}
	lost, prefix := m.since(now)
	if prefix {
		same, err := r.sameLog(ctx, x, now)
		if err != nil {
			return h, version, err
		}
		prefix = same
	}
	switch {
	case prefix:
		restored, v, err := r.restoreCommits(ctx, x, h, version, lost)
		if err != nil {
			return h, version, err
		}
		found.restored, h, version = true, restored, v
		m.commits[len(m.commits)-1].to = position{v, restored.Seq}
	case missing != nil:
		return h, version, missing
	default:
		m.reset(now)
	}
	x.rollbacks.found, x.changed = found, true
	r.Counters.RolledBack.Add(1)
	r.log.Error("the store lost commits that it had acknowledged",
		"execution_id", x.ID, "from_seq", found.from.seq, "to_seq", found.to.seq, "restored", found.restored)
	return h, version, nil
}

// sameLog reports whether the store's log agrees with the owner's at a position, as far as that is remembered.
func (r *Engine) sameLog(ctx context.Context, x *execution, p position) (bool, error) {
	want := x.rollbacks.recent.last(p)
	if want == nil {
		return true, nil
	}
	entries, err := r.store.Log(ctx, journal.ExecutionKey(x.ID), p.seq-1, 1)
	if err != nil {
		return false, records.StoreError(err)
	}
	return len(entries) == 1 && bytes.Equal(entries[0].Value, want.Value), nil
}

// restoreCommits commits again what was lost after the head that the store has. It returns the head and version after that.
func (r *Engine) restoreCommits(
	ctx context.Context, x *execution, h journal.Head, version int64, lost []recentCommit,
) (journal.Head, int64, error) {
	restored := x.Head
	restored.Snapshot, restored.SnapshotBytes, restored.Tail = h.Snapshot, h.SnapshotBytes, h.Tail // a later snapshot may be lost too
	restored.Due = r.store.Now()
	wake := store.Wake{Key: journal.ExecutionKey(x.ID), At: restored.Due, Priority: restored.Priority, Fairness: restored.Fairness()}
	b := store.Batch{Sync: true, Wakes: []store.Wake{wake}}
	puts := map[store.Key]store.Put{}
	for _, c := range lost {
		b.Appends = append(b.Appends, c.appends...)
		for _, p := range c.puts {
			p.Version = store.AnyVersion
			puts[p.Key] = p
		}
	}
	for i := range b.Appends {
		restored.Tail += len(b.Appends[i].Value)
	}
	for _, key := range slices.SortedFunc(maps.Keys(puts), func(a, b store.Key) int { return strings.Compare(a.String(), b.String()) }) {
		b.Puts = append(b.Puts, puts[key])
	}
	value, err := schemas.Encode(&restored)
	if err != nil {
		return journal.Head{}, 0, err
	}
	b.Puts = append(b.Puts, store.Put{Key: journal.ExecutionKey(x.ID), Value: value, Version: version, Terms: restored.Terms()})
	done, err := r.store.Commit(ctx, b)
	if err != nil {
		return journal.Head{}, 0, records.StoreError(err)
	}
	return restored, done.Versions[len(done.Versions)-1], nil
}

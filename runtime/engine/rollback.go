package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A store that has lost commits which it had acknowledged stands behind what the owner of an execution knows. The owner
// notices when a commit conflicts, or when its lease is gone. Where the store's log is a beginning of what the owner
// remembers, it appends the rest again. Where it is not, because somebody else went on from there or too much is lost, what
// was committed last counts; then the `once` calls that the owner had started and the log does not know are held before they
// would be made, as calls of unknown outcome. Either way the log tells of it.
//
// Nobody notices what was lost of an execution that nobody owns, or of one that ended: those commits ask for the
// strict durability, where the store has one. Nor would an owner notice, before it reads the execution again, a history that
// somebody else brought to the very version that it knows.

// setback is a rollback that the log does not tell of yet.
type rollback struct {
	from, to position
	restored bool
}

// rollbackData is the data of the event.
type rollbackData struct {
	From     int64          `json:"from_seq"` // where the log had been
	To       int64          `json:"to_seq"`   // where the store had it
	Restored bool           `json:"restored"`
	Unknown  map[string]int `json:"unknown,omitempty"` // attempts of `once` calls that the log does not know, by unit
}

// detectRollback compares what the store says of an execution with what its owner knows, and restores what can be. It
// returns the head and version to go on from. missing: the store has no such execution.
func (r *Engine) detectRollback(ctx context.Context, x *execution, h journal.Head, version int64, missing error) (journal.Head, int64, error) {
	m, now := x.rollbacks.recent, position{version, h.Seq}
	if m == nil || m.position() == (position{}) {
		return h, version, missing
	}
	behind := now != m.position() && (now.version <= m.position().version || now.seq < m.position().seq)
	if missing != nil {
		if _, err := r.store.Get(ctx, journal.PlanKey(x.ID)); m.from != (position{}) || !errors.Is(err, store.ErrNotFound) {
			return h, version, missing // it was deleted
		}
		now = position{}
	} else if !behind {
		same, err := r.sameLog(ctx, x, m.position())
		if same || err != nil {
			return h, version, err
		}
	}
	s := &rollback{from: m.position(), to: now}
	lost, known := m.since(now)
	if known {
		same, err := r.sameLog(ctx, x, now)
		if err != nil {
			return h, version, err
		}
		known = same
	}
	switch {
	case known:
		restored, v, err := r.restoreCommits(ctx, x, h, version, lost)
		if err != nil {
			return h, version, err
		}
		s.restored, h, version = true, restored, v
		m.commits[len(m.commits)-1].to = position{v, restored.Seq}
	case missing != nil:
		return h, version, missing
	default:
		m.reset(now)
	}
	x.rollbacks.found, x.changed = s, true
	r.Counters.RolledBack.Add(1)
	r.log.Error("the store lost commits that it had acknowledged", "execution_id", x.ID, "from_seq", s.from.seq, "to_seq", s.to.seq, "restored", s.restored)
	return h, version, nil
}

// sameLog tells whether the store's log is the owner's at a point, as far as that is remembered.
func (r *Engine) sameLog(ctx context.Context, x *execution, p position) (bool, error) {
	want := x.rollbacks.recent.last(p)
	if want == nil {
		return true, nil
	}
	entries, err := r.store.Log(ctx, journal.ExecutionKey(x.ID), p.seq-1, 1)
	if err != nil {
		return false, records.Error(err)
	}
	return len(entries) == 1 && bytes.Equal(entries[0].Value, want.Value), nil
}

// restoreCommits commits again what was lost behind the head that the store has.
func (r *Engine) restoreCommits(ctx context.Context, x *execution, h journal.Head, version int64, lost []recentCommit) (journal.Head, int64, error) {
	restored := x.Head
	restored.Snapshot, restored.Tail, restored.Due = h.Snapshot, h.Tail, records.Now() // the snapshot may be lost as well
	b := store.Batch{Sync: true, Wakes: []store.Wake{{Key: journal.ExecutionKey(x.ID), At: restored.Due, Priority: restored.Priority, Fairness: restored.Fairness()}}}
	puts := map[store.Key]store.Put{}
	for _, k := range lost {
		b.Appends = append(b.Appends, k.appends...)
		for _, p := range k.puts {
			p.Version = store.AnyVersion
			puts[p.Key] = p
		}
	}
	for i := range b.Appends {
		restored.Tail += len(b.Appends[i].Value)
	}
	for _, key := range slices.SortedFunc(maps.Keys(puts), func(a, b store.Key) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) }) {
		b.Puts = append(b.Puts, puts[key])
	}
	value, err := schemas.Encode(&restored)
	if err != nil {
		return journal.Head{}, 0, err
	}
	b.Puts = append(b.Puts, store.Put{Key: journal.ExecutionKey(x.ID), Value: value, Version: version, Terms: restored.Terms()})
	done, err := r.store.Commit(ctx, b)
	if err != nil {
		return journal.Head{}, 0, records.Error(err)
	}
	return restored, done.Versions[len(done.Versions)-1], nil
}

// event tells the log of a rollback, and of the calls that it does not know.
func (s *rollback) event(x *execution) (schemas.Event, error) {
	d := rollbackData{From: s.from.seq, To: s.to.seq, Restored: s.restored}
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

// rollbacks is the companion of an execution whose store may lose commits.
type rollbacks struct {
	idle
	recent *recentCommits // an owner's; nil: nothing is remembered
	found  *rollback      // of which the log does not tell yet; nil: none
}

// begin puts a rollback that was noticed into the log, before anything is decided on what is left.
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

func (b *rollbacks) committed(t *turn) {
	b.recent.add(&t.batch, position{t.x.Version, t.x.State.Seq}, t.r.limits.MaxMemory)
	t.result.takeOver, b.found = b.found != nil, nil
}

// lost is the last look of an owner whose lease is gone: perhaps the store has lost more than that.
func (b *rollbacks) lost(o *owner) {
	x := o.x
	x.State = nil
	if err := o.r.reload(o.r.storeCtx, x); err != nil || b.found == nil {
		return
	}
	if _, err := o.r.step(o.r.storeCtx, x, nil, guest, store.Batch{}); err != nil {
		o.r.log.Warn("tell of the commits that the store lost", "execution_id", x.ID, "error", err)
	}
}

package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What a node with repeat collects is kept in pieces: lists of some kilobytes in records of their own, and a rest in the state. So a round
// costs the same however many there were, and the pieces are joined once, when the node ends.

// maxPending is how many collected bytes are kept in the state before they go into a record of their own.
const maxPending = 32 << 10

// ask decides what follows a round of a node with repeat that has its answer: the end of the node, or the next round.
func (t *turn) ask(unit int) {
	s := t.x.State
	if !s.Units[unit].IsAsking() {
		return
	}
	repeat, limits := s.Node(unit).Repeat, t.r.limits.Plan.Limits
	sc, err := t.scope(unit).WithRound()
	if err != nil {
		t.repeatFails(unit, "", nil, err)
		return
	}
	var piece schemas.Value
	if repeat.Collect != nil {
		raw, err := repeat.Collect.Render(t.ctx, sc, limits)
		if err == nil {
			piece, err = t.collected(unit, raw)
		}
		if err != nil {
			t.repeatFails(unit, "repeat/collect", nil, err)
			return
		}
	}
	over, err := repeat.Until.Bool(t.ctx, sc, limits)
	if err != nil {
		t.repeatFails(unit, "repeat/until", piece, err)
		return
	}
	if over {
		t.repeatSucceeds(unit, piece)
		return
	}
	text, err := repeat.Every.Text(t.ctx, sc, limits)
	var pause time.Duration
	if err == nil {
		pause, err = plan.Pause(text)
	}
	if err != nil {
		t.repeatFails(unit, "repeat/every", piece, err)
		return
	}
	next := t.now.Add(pause)
	if exhausted := s.Exhausted(unit, next); exhausted != nil {
		t.repeatFails(unit, "", piece, exhausted)
		return
	}
	t.repeats(unit, piece, next)
}

// collected is what a round adds to the output: the items of a list, or one item.
func (t *turn) collected(unit int, raw json.RawMessage) (schemas.Value, error) {
	piece := schemas.Value(raw)
	if len(raw) == 0 || raw[0] != '[' {
		piece = append(append(schemas.Value{'['}, raw...), ']')
	}
	if have := t.x.State.Units[unit].Rounds.Bytes; have+len(piece) > t.r.limits.MaxList {
		return nil, schemas.Errorf(schemas.CodePayloadTooLarge, "repeat.collect has collected %d bytes and would add %d (limit %d, limits.max_list_bytes)",
			have, len(piece), t.r.limits.MaxList).
			WithHint("collect only what later nodes need of each round, or let the capability answer with less")
	}
	return piece, nil
}

// repeats has the next round begin at the time. What was collected goes into a record of its own once it is much.
func (t *turn) repeats(unit int, piece schemas.Value, next time.Time) {
	e := t.x.State.Event(schemas.EventNodeRepeated, unit)
	e.Round, e.Due, e.Data = new(t.x.State.Round(unit)), &next, piece
	if pending := t.x.State.Units[unit].Rounds.Pending; len(piece) > MaxInlineOutput || len(pending)+len(piece) > maxPending {
		e.Data = schemas.JoinLists(pending, piece)
	}
	t.emit(e)
}

// repeatSucceeds ends a node with its last answer, or with all that it has collected.
func (t *turn) repeatSucceeds(unit int, piece schemas.Value) {
	output, err := t.soFar(unit, piece)
	if err != nil {
		t.repeatFails(unit, "repeat", piece, err)
		return
	}
	u := &t.x.State.Units[unit]
	e := t.x.State.Event(schemas.EventNodeSucceeded, unit)
	e.Attempt, e.Output, e.ServedBy, e.Degraded, e.AgeSeconds, e.Notes = u.Attempts, output, u.ServedBy, u.Degraded, u.Age, u.Notes
	if t.x.State.Node(unit).Repeat.Collect == nil {
		e.Text, e.TextRef, e.Content, e.ContentRef, e.Blocks = u.Text, u.TextRef, u.Content, u.ContentRef, u.Blocks
	}
	pieces := u.Rounds.Pieces
	t.emit(e)
	t.deletePieces(pieces)
}

// repeatFails ends a node whose rounds end without success. Its output is what they gave. If it is held instead, it keeps that and can go on.
func (t *turn) repeatFails(unit int, field string, piece schemas.Value, err error) {
	if notEvaluated(err) {
		t.err = err
		return
	}
	s := t.x.State
	failure := schemas.AsError(err)
	if failure.Code != schemas.CodeRepeatExhausted {
		failure = t.evaluationError(unit, field, err)
	}
	e := s.RepeatFailed(unit, failure.WithOutcome(schemas.RanFailed))
	e.Attempt = s.Units[unit].Attempts
	if e.Type != schemas.EventNodeFailed {
		t.repeats(unit, piece, t.now)
		t.emit(e)
		return
	}
	if e.Output, err = t.soFar(unit, piece); notEvaluated(err) {
		t.err = err
		return
	}
	t.emit(e)
}

// failedRounds gives a node with repeat that fails what its rounds gave as its output.
func (t *turn) failedRounds(e *schemas.Event) {
	unit, ok := t.x.State.Unit(e.Node, e.Item)
	if !ok {
		return
	}
	u := &t.x.State.Units[unit]
	if u.Rounds == nil || u.Rounds.Done == 0 {
		return
	}
	if len(e.Output) == 0 {
		var err error
		if e.Output, err = t.soFar(unit, nil); notEvaluated(err) {
			t.err = err
			return
		}
	}
	t.deletePieces(u.Rounds.Pieces)
}

// soFar is what the rounds of a node have given: the last answer, or all that was collected, with a last piece.
func (t *turn) soFar(unit int, piece schemas.Value) (schemas.Value, error) {
	r, sc := t.x.State.Units[unit].Rounds, t.scope(unit)
	if t.x.State.Node(unit).Repeat.Collect == nil {
		raw, err := sc.Answer(&r.Last)
		return schemas.Value(raw), err
	}
	all := make(schemas.Value, 0, r.Bytes+len(piece)+1)
	add := func(list []byte) {
		if len(list) <= len("[]") {
			return
		}
		if len(all) > 0 {
			all = append(all[:len(all)-1], ',')
			list = list[1:]
		}
		all = append(all, list...)
	}
	for i := range r.Pieces {
		raw, err := t.r.journal.OutputOf(t.ctx, t.x.Execution, r.Pieces[i].NodeID, nil, &r.Pieces[i])
		if err != nil {
			return nil, err
		}
		add(raw)
	}
	add(r.Pending)
	if add(piece); len(all) == 0 {
		return schemas.Value("[]"), nil
	}
	return all, nil
}

// deletePieces deletes the records of what a node has collected, which is its output now.
func (t *turn) deletePieces(pieces []schemas.OutputRef) {
	for i := range pieces {
		key := journal.OutputKey(t.x.ID, pieces[i].NodeID)
		made := func(p store.Put) bool { return p.Key == key }
		if slices.ContainsFunc(t.batch.Puts, made) { // of this turn
			t.batch.Puts = slices.DeleteFunc(t.batch.Puts, made)
			continue
		}
		t.batch.Deletes = append(t.batch.Deletes, key)
	}
}

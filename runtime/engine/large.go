package engine

import (
	"fmt"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// MaxInlineOutput is the largest output in bytes that is stored in the log. Larger ones have a record of their own.
const MaxInlineOutput = 4 << 10

// storeLarge moves what is large from the event into records of their own, and drops a text that can be derived from the output.
func (t *turn) storeLarge(e *schemas.Event) {
	if call.IsText(e.Text, e.Output) {
		e.Text = ""
	}
	name, limit, unit := journal.OutputNode, schemas.MaxExecutionOutput, -1
	if machine.AboutNode(e.Type) {
		unit, _ = t.x.State.Unit(e.Node, e.Item)
		name, limit = t.x.State.Name(unit), MaxInlineOutput
		if e.Type == schemas.EventRoundEnded {
			t.storeRound(unit, name, e)
			return
		}
	}
	if len(e.Text) > MaxInlineOutput && e.Type != schemas.EventNodeHeld { // the text of a held node is its question
		t.x.CacheText(unit, e.Text)
		e.TextRef, e.Text = t.storeApart(name+journal.TextPart, []byte(e.Text)), ""
	}
	t.storeContent(name, e)
	if e.Patch != nil && len(e.Patch.Output) > limit {
		patch := *e.Patch
		e.Output, patch.Output = patch.Output, nil
		e.Patch = &patch
	}
	if len(e.Data) > MaxInlineOutput && unit >= 0 && e.Type != schemas.EventReviewDecided { // that data may start a call in this turn
		e.DataRef, e.Data = t.storeApart(fmt.Sprintf("%s$%d", name, e.Seq), e.Data), nil
	}
	if len(e.Output) <= limit {
		return
	}
	e.OutputRef = t.storeApart(name, e.Output)
	if unit >= 0 {
		t.x.CacheOutput(unit, e.Output)
	}
	e.Output = nil
}

// storeContent moves large content blocks into a record of their own.
func (t *turn) storeContent(name string, e *schemas.Event) {
	if len(e.Content) > MaxInlineOutput {
		e.ContentRef, e.Content = t.storeApart(name+journal.ContentPart, e.Content), nil
	}
}

// storeRound moves what is large of the answer of a round into records of their own. The answer of the round before stays beside it, as
// expressions read both.
func (t *turn) storeRound(unit int, name string, e *schemas.Event) {
	if t.x.State.Node(unit).Repeat.Collect != nil { // the output will be what was collected
		e.Content, e.Blocks = nil, false
	}
	t.storeContent(name, e)
	if len(e.Text) > MaxInlineOutput {
		t.x.CacheText(unit, e.Text)
		e.TextRef, e.Text = t.storeApart(name+journal.TextPart, []byte(e.Text)), ""
	}
	if len(e.Output) > MaxInlineOutput {
		e.OutputRef, e.Output = t.storeApart(name+journal.RoundPart(t.x.State.Round(unit)), e.Output), nil
	}
}

// storeApart stores a value in a record of its own.
func (t *turn) storeApart(name string, value []byte) *schemas.OutputRef {
	t.apart += len(value)
	t.x.Made(name, value)
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.OutputKey(t.x.ID, name), Value: value, Version: store.AnyVersion})
	return &schemas.OutputRef{NodeID: name, Bytes: len(value)}
}

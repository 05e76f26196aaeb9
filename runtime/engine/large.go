package engine

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// MaxInlineOutput is the largest output in bytes that is stored in the log. Larger ones have a record of their own.
const MaxInlineOutput = 4 << 10

// storeLarge moves what is large from the event into records of their own, and drops a text that can be derived from the output.
func (t *turn) storeLarge(e *schemas.Event) {
	if e.Text != "" && derivable(e.Text, e.Output) {
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

// storeRound moves what is large of the answer of a round into records of their own. The answer of the round before stays beside it, as
// expressions read both.
func (t *turn) storeRound(unit int, name string, e *schemas.Event) {
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

// derivable reports whether expr.Value.Text would return the text for the output.
func derivable(text string, output []byte) bool {
	if len(output) == 0 {
		return false
	}
	switch output[0] {
	case '"':
		var s string
		return json.Unmarshal(output, &s) == nil && s == text
	case '{', '[':
		if text[0] != output[0] {
			return false
		}
		var a, b bytes.Buffer
		return json.Compact(&a, []byte(text)) == nil && json.Compact(&b, output) == nil && bytes.Equal(a.Bytes(), b.Bytes())
	}
	return text == string(output)
}

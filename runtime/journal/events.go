package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// Events returns the events of an execution after sequence number after, at most limit of them: 100 if that is 0, and never more than
// 500 or, together, records.PageBytes. An output larger than schemas.MaxViewOutput is replaced by a reference. With records.Brief as the limit
// all of it is within schemas.MaxAnswer, and large events are cut.
func (r Reader) Events(ctx context.Context, id string, after int64, limit int) (schemas.EventList, error) {
	out := schemas.EventList{ExecutionID: id, Events: []schemas.Event{}, LastSeq: after}
	h, err := r.journal.HeadFor(ctx, id)
	if err != nil {
		return out, err
	}
	brief, most := limit < 0, records.PageBytes
	if brief {
		most = schemas.MaxAnswer - eventFrame
	}
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 500)
	entries, err := r.journal.store.Log(ctx, ExecutionKey(id), after, limit+1)
	if err != nil {
		return out, records.StoreError(err)
	}
	if len(entries) == 0 && after < h.Seq {
		return out, r.journal.notFoundOr(ctx, id, nil)
	}
	total := 0
	for i, entry := range entries {
		if i == limit {
			out.More = true
			break
		}
		var e schemas.Event
		if err := json.Unmarshal(entry.Value, &e); err != nil {
			return out, fmt.Errorf("read event %d of %s: %w", entry.Seq, id, err)
		}
		if len(e.Output) > schemas.MaxViewOutput {
			e.OutputRef, e.Output = &schemas.OutputRef{NodeID: e.Node, Bytes: len(e.Output)}, nil
		}
		bytes := len(entry.Value)
		if brief {
			e = e.Brief(maxEvent)
			bytes = schemas.Size(e) + 1
		}
		if total += bytes; i > 0 && total > most {
			out.More = true
			break
		}
		out.Events = append(out.Events, e)
		out.LastSeq = e.Seq
	}
	return out, nil
}

const (
	eventFrame = 200     // room for what an answer has beside events
	maxEvent   = 2 << 10 // bytes of an event in a brief answer
)

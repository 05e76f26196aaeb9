package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// PartContent names the content blocks of a node's answer, in place of its output.
const PartContent = "content"

// OutputQuery selects what is read of a node's output.
type OutputQuery struct {
	Node     string // OutputNode: the execution's own output
	Item     *int   // an item of a for_each node, also before all of them have ended; nil: the whole output
	Part     string // PartContent: the content blocks; empty: the output
	Pointer  string // a JSON pointer into that; empty: all of it
	Offset   int
	MaxBytes int // as of Page
}

// NodeOutput returns a node's output, or the part of it that the JSON pointer names, as [Page] does.
func (r Reader) NodeOutput(ctx context.Context, id string, q OutputQuery) (schemas.NodeOutput, error) {
	x, err := r.journal.LoadFor(ctx, id)
	if err != nil {
		return schemas.NodeOutput{}, err
	}
	raw, err := r.journal.WholeOutput(ctx, x, q.Node, q.Item)
	if err == nil && q.Part == PartContent {
		raw, err = r.journal.wholeContent(ctx, x, q.Node, q.Item, raw)
	}
	if err != nil {
		return schemas.NodeOutput{}, err
	}
	return Page(schemas.NodeOutput{ExecutionID: id, NodeID: q.Node, Part: q.Part}, raw, q.Pointer, q.Offset, q.MaxBytes)
}

const (
	defaultPage = 16 << 10
	pageFrame   = 700 // room for what an answer has beside a page
)

// Page adds a document to out, or the part of it that the JSON pointer names: as JSON if it has at most maxBytes, else a page of its text,
// from offset on. A maxBytes of 0 is 16 KiB, and records.PageBytes is the most; with records.Brief the answer is within schemas.MaxAnswer.
func Page(out schemas.NodeOutput, raw json.RawMessage, pointer string, offset, maxBytes int) (schemas.NodeOutput, error) {
	raw, err := atPointer(raw, pointer)
	if err != nil {
		return schemas.NodeOutput{}, err
	}
	brief := maxBytes < 0
	switch {
	case brief:
		maxBytes = schemas.MaxAnswer - pageFrame
	case maxBytes == 0:
		maxBytes = defaultPage
	}
	maxBytes = min(maxBytes, records.PageBytes)
	out.TotalBytes, out.Offset = len(raw), offset
	switch {
	case offset < 0 || offset > len(raw):
		return out, schemas.Errorf(schemas.CodeInvalidArgument, "offset %d is outside the output's %d bytes", offset, len(raw)).WithField("offset")
	case offset == 0 && len(raw) <= maxBytes:
		out.Output = schemas.Value(raw)
		return out, nil
	}
	end := pageEnd(raw, offset, offset+maxBytes)
	for brief { // quotation marks take two bytes in the answer
		over := schemas.Size(string(raw[offset:end])) - maxBytes
		if over <= 0 {
			break
		}
		end = pageEnd(raw, offset, end-(over+1)/2)
	}
	out.Text = string(raw[offset:end])
	if end < len(raw) {
		out.NextOffset = end
	}
	return out, nil
}

// pageEnd is end, or where the character before it begins; a page has at least one character.
func pageEnd(raw json.RawMessage, offset, end int) int {
	end = min(end, len(raw))
	for end < len(raw) && end > offset && !utf8.RuneStart(raw[end]) {
		end--
	}
	if end <= offset && offset < len(raw) {
		_, size := utf8.DecodeRune(raw[offset:])
		return offset + size
	}
	return end
}

// WholeOutput returns the output of a node, of an item of a for_each node, or of the execution (OutputNode). The error has code conflict
// if there is none yet.
func (j *Journal) WholeOutput(ctx context.Context, x *Execution, node string, item *int) (json.RawMessage, error) {
	if node == OutputNode {
		if x.State.Status != schemas.StatusSucceeded {
			return nil, schemas.Errorf(schemas.CodeConflict, "execution %q has no output: it is %s", x.ID, x.State.Status).WithField("node_id").
				WithHint("get_execution_status with wait_seconds waits for the result")
		}
		raw, err := j.Output(ctx, x.ID, node, x.State.Output, x.State.OutputRef)
		return records.OrElse(json.RawMessage(raw), "null"), err
	}
	i, ok := x.Program.Index(node)
	if !ok {
		var ids []string
		for n := range x.Program.Nodes {
			ids = append(ids, x.Program.Nodes[n].ID)
		}
		return nil, schemas.Errorf(schemas.CodeNotFound, "execution %q has no node %q", x.ID, node).WithField("node_id").
			WithCandidates(schemas.Nearest(node, ids, 3))
	}
	u := &x.State.Units[i]
	if item != nil {
		if x.Program.Nodes[i].ForEach != nil && !u.Expanded && u.Status == schemas.NodeSucceeded { // taken over by a rerun: there is only the list
			raw, err := j.Output(ctx, x.ID, node, u.Output, u.OutputRef)
			if err != nil {
				return nil, err
			}
			if raw, err = atPointer(raw, fmt.Sprintf("/%d", *item)); err != nil {
				err = schemas.Errorf(schemas.CodeInvalidArgument, "node %q has no item %d", node, *item).WithField("item")
			}
			return raw, err
		}
		if *item < 0 || *item >= u.Count {
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "node %q has %d items, so there is no item %d", node, u.Count, *item).
				WithField("item")
		}
		if u.Status == schemas.NodeSucceeded { // the list contains the outputs of the items
			raw, err := j.Output(ctx, x.ID, node, u.Output, u.OutputRef)
			if err != nil {
				return nil, err
			}
			return atPointer(raw, fmt.Sprintf("/%d", *item))
		}
		i = u.FirstItem + *item
		u = &x.State.Units[i]
	}
	switch u.Status {
	case schemas.NodeSucceeded, schemas.NodeCompensating, schemas.NodeCompensated:
	default:
		return nil, schemas.Errorf(schemas.CodeConflict, "node %q has no output: it is %s", x.State.Name(i), u.Status).WithField("node_id").
			WithHint("get_execution_status with view nodes shows the status of each node")
	}
	raw, err := j.Output(ctx, x.ID, x.State.Name(i), u.Output, u.OutputRef)
	return records.OrElse(json.RawMessage(raw), "null"), err
}

// atPointer returns the part of a JSON document that an RFC 6901 pointer names; an empty pointer names all of it.
func atPointer(raw json.RawMessage, pointer string) (json.RawMessage, error) {
	if pointer == "" {
		return raw, nil
	}
	invalid := func(format string, args ...any) error {
		return schemas.Errorf(schemas.CodeInvalidArgument, "pointer %q: %s", pointer, fmt.Sprintf(format, args...)).WithField("pointer").
			WithHint(`a JSON pointer looks like "/items/0/name"; leave it out for the whole output`)
	}
	if pointer[0] != '/' {
		return nil, invalid(`it must begin with "/"`)
	}
	for token := range schemas.PointerParts(pointer) {
		switch {
		case len(raw) > 0 && raw[0] == '{':
			var object map[string]json.RawMessage
			if err := json.Unmarshal(raw, &object); err != nil {
				return nil, fmt.Errorf("read output: %w", err)
			}
			next, ok := object[token]
			if !ok {
				keys := make([]string, 0, len(object))
				for k := range object {
					keys = append(keys, k)
				}
				return nil, schemas.AsError(invalid("no key %q", token)).WithCandidates(schemas.Nearest(token, keys, 3))
			}
			raw = next
		case len(raw) > 0 && raw[0] == '[':
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, fmt.Errorf("read output: %w", err)
			}
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(list) || strconv.Itoa(i) != token {
				return nil, invalid("no element %q in a list of %d", token, len(list))
			}
			raw = list[i]
		default:
			return nil, invalid("there is nothing below a single value (at %q)", token)
		}
	}
	return raw, nil
}

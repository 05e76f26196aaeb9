package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
)

// brief shortens a result to what an answer has at most that nobody asked more of.
func brief[T interface{ Brief(most int) T }](result T, err error) (T, error) {
	if err != nil {
		return result, err
	}
	return result.Brief(schemas.MaxAnswer), nil
}

// orBrief is a limit that was given; without one the answer is brief.
func orBrief(limit int) int {
	if limit == 0 {
		return records.Brief
	}
	return limit
}

// maxShownText is how many bytes of a large output of invoke_capability are shown.
const maxShownText = 4 << 10

// withinAnswer returns an invocation that can be shown: large content blocks and a large output are kept apart, and the beginning of the
// output stands in its place.
func withinAnswer(ctx context.Context, rt *runtime.Runtime, call schemas.Invocation) schemas.Invocation {
	const room = schemas.MaxAnswer - 800 // beside the rest of the answer
	if len(call.Output)+len(call.Content) <= room {
		return call
	}
	keep := func(v schemas.Value) *schemas.Ref {
		id, until, err := rt.Answers.Keep(ctx, json.RawMessage(v))
		if err != nil { // the call was made, and this is nowhere else
			call.Notes = append(call.Notes, "the answer is shown as a whole, because it could not be kept: "+schemas.AsError(err).Message)
			return nil
		}
		ref := schemas.NewRef(len(v), refAnswer, id)
		ref.ExpiresAt = &until
		return ref
	}
	if len(call.Content) > room/4 {
		if call.ContentRef = keep(call.Content); call.ContentRef == nil {
			return call
		}
		call.Content = nil
	}
	if len(call.Output)+len(call.Content) <= room-500 {
		return call
	}
	if call.OutputRef = keep(call.Output); call.OutputRef == nil {
		return call
	}
	end := maxShownText
	for schemas.Size(string(call.Output[:end])) > maxShownText {
		end = end * 3 / 4
	}
	call.Text = schemas.Cut(string(call.Output[:end+1]), end, "")
	call.Output = nil
	return call
}

// Kinds of refs: their first part.
const (
	refAnswer     = "answer"
	refExecution  = "execution"
	refMetrics    = "metrics"
	refState      = "state"
	refSession    = "session"
	refWorkflow   = "workflow"
	refCapability = "capability"
	refHealth     = "health"
)

// documents read what refs stand for; parts is how many parts follow the kind, and changes says that it may be another document with each
// page.
var documents = map[string]struct {
	parts   int
	changes bool
	read    func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error)
}{
	refAnswer: {1, false, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		return rt.Answers.Read(ctx, part[0])
	}},
	refExecution: {2, true, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		return rt.Executions.Status(ctx, part[0], schemas.View(part[1]), 0, nil)
	}},
	refMetrics: {1, true, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		return rt.Executions.Metrics(ctx, part[0])
	}},
	refState: {3, false, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		s, err := rt.States.Get(ctx, state.Ref{Type: part[0], Key: part[1]})
		return s, unchanged(err, part[2], s.Version)
	}},
	refSession: {2, false, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		s, err := rt.Sessions.Get(ctx, part[0])
		return s, unchanged(err, part[1], s.Version)
	}},
	refWorkflow: {1, true, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		return rt.Workflows.Status(ctx, part[0])
	}},
	refCapability: {2, true, func(ctx context.Context, rt *runtime.Runtime, part []string) (any, error) {
		return rt.Capabilities.Resolve(ctx, part[0], part[1])
	}},
	refHealth: {0, true, func(ctx context.Context, rt *runtime.Runtime, _ []string) (any, error) {
		return rt.Health.Check(ctx, schemas.ScopeAll), nil
	}},
}

// unchanged returns an error if what a ref stands for has another version now: pages of two versions are neither.
func unchanged(err error, of string, version int64) error {
	if err != nil || of == strconv.FormatInt(version, 10) {
		return err
	}
	return schemas.Errorf(schemas.CodeConflict, "it has changed since the ref was given: it has version %d, the ref is to version %s", version, of).
		WithField("ref").WithHint("read it again and use the new ref").WithVersion(version)
}

// readRef reads a page of what a ref stands for. The first page of what changes gives a ref to all of it as it is then, for the other pages.
func readRef(ctx context.Context, rt *runtime.Runtime, in nodeOutput) (schemas.NodeOutput, error) {
	parts := schemas.SplitRef(in.Ref)
	if len(parts) == 0 || documents[parts[0]].read == nil || len(parts) != 1+documents[parts[0]].parts {
		return schemas.NodeOutput{}, schemas.Errorf(schemas.CodeInvalidArgument, "no ref %s", schemas.Quote(in.Ref, 200)).WithField("ref").
			WithHint("pass the ref of an answer unchanged")
	}
	document := documents[parts[0]]
	if document.changes && in.Offset > 0 {
		return schemas.NodeOutput{}, schemas.Errorf(schemas.CodeConflict, "it may have changed since its first page was read").WithField("ref").
			WithHint("pass the ref that the first page gave; without offset this ref gives the first page anew")
	}
	whole, err := document.read(ctx, rt, parts[1:])
	if err != nil {
		return schemas.NodeOutput{}, err
	}
	raw, err := schemas.Encode(whole)
	if err != nil {
		return schemas.NodeOutput{}, fmt.Errorf("encode %s: %w", parts[0], err)
	}
	page, err := journal.Page(schemas.NodeOutput{Ref: in.Ref}, raw, in.Pointer, in.Offset, orBrief(in.MaxBytes))
	if err != nil || page.NextOffset == 0 || !document.changes {
		return page, err
	}
	id, _, err := rt.Answers.Keep(ctx, raw)
	page.Ref = schemas.NewRef(len(raw), refAnswer, id).Ref
	return page, err
}

// readOutput reads what the arguments of get_node_output name.
func readOutput(ctx context.Context, rt *runtime.Runtime, in nodeOutput) (schemas.NodeOutput, error) {
	switch named := in.ExecutionID != "" || in.NodeID != "" || in.Item != nil || in.Part != ""; {
	case in.Ref != "" && named:
		return schemas.NodeOutput{}, schemas.Errorf(schemas.CodeInvalidArgument, "ref stands alone: leave out execution_id, node_id, item and part").WithField("ref")
	case in.Ref != "":
		return readRef(ctx, rt, in)
	case in.ExecutionID == "" || in.NodeID == "":
		return schemas.NodeOutput{}, schemas.Errorf(schemas.CodeInvalidArgument, "execution_id and node_id are missing, or a ref").WithField("execution_id").
			WithHint("give both, or the ref of an answer")
	}
	return rt.Executions.NodeOutput(ctx, in.ExecutionID, journal.OutputQuery{
		Node: in.NodeID, Item: in.Item, Part: in.Part, Pointer: in.Pointer, Offset: in.Offset, MaxBytes: orBrief(in.MaxBytes),
	})
}

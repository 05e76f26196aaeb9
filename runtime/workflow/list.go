package workflow

import (
	"context"
	"encoding/json"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Query selects workflows. A Limit of 0 is the default, 20.
type Query struct {
	Scheduled bool // only those with a schedule
	Limit     int
	Cursor    string
}

// List lists the caller's workflows by name.
func (w *Workflows) List(ctx context.Context, q Query) (schemas.WorkflowList, error) {
	l := records.Listing{Tool: "list_workflows", Query: OfCaller(ctx), Limit: q.Limit, Cursor: q.Cursor}
	page, next, err := records.List(ctx, w.store, l, func(rec store.Record) (schemas.WorkflowInfo, bool, error) {
		r, err := decode(rec)
		if err != nil || r.Deleted || q.Scheduled && !r.Scheduled {
			return schemas.WorkflowInfo{}, false, err
		}
		info, err := w.withSchedule(ctx, &r, 0, false)
		return info, true, err
	})
	return schemas.WorkflowList{Workflows: page, NextCursor: next}, err
}

// Get returns a workflow of the caller, without its schedule. The error of one that does not exist has code not_found, with candidates.
func (w *Workflows) Get(ctx context.Context, name string) (schemas.WorkflowInfo, error) {
	r, err := w.readExisting(ctx, name)
	return r.info(), err
}

// withSchedule returns a workflow as it is shown, with its schedule if it has one: next firings to come, and past ones if withPast is set.
func (w *Workflows) withSchedule(ctx context.Context, r *record, next int, withPast bool) (schemas.WorkflowInfo, error) {
	info := r.info()
	if !r.Scheduled {
		return info, nil
	}
	s, err := w.readSchedule(ctx, ScheduleKey(caller.From(ctx).Principal, r.Name))
	if err != nil || !s.exists() { // it was ended in between
		return info, err
	}
	return s.addTo(info, next, withPast), nil
}

// LatestExecutions is how many executions the status of a workflow shows.
const LatestExecutions = 5

// Status returns a workflow with its schedule, the number of its executions by status, and the newest LatestExecutions of them.
func (w *Workflows) Status(ctx context.Context, name string) (schemas.WorkflowStatus, error) {
	r, err := w.readExisting(ctx, name)
	if err != nil {
		return schemas.WorkflowStatus{}, err
	}
	_, _, v, err := w.readVersion(ctx, name, 0)
	if err != nil {
		return schemas.WorkflowStatus{}, err
	}
	info, err := w.withSchedule(ctx, &r, ShownFirings, true)
	if err != nil {
		return schemas.WorkflowStatus{}, err
	}
	out := schemas.WorkflowStatus{
		WorkflowInfo: info, InputSchema: v.InputSchema, Versions: []int64{}, Executions: map[schemas.Status]int{}, Latest: []schemas.Execution{},
	}
	for n := r.First; n <= r.Version; n++ {
		out.Versions = append(out.Versions, n)
	}
	caller := caller.From(ctx).Principal
	executions := store.Query{Kind: journal.KindExecution, Term: journal.TermWorkflow(caller, name), Reverse: true}
	err = w.store.Each(ctx, executions, func(rec store.Record) error {
		var h journal.Head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return err
		}
		out.Executions[h.Status]++
		if len(out.Latest) < LatestExecutions {
			h.Output = nil
			out.Latest = append(out.Latest, h.Execution)
		}
		return nil
	})
	return out, err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// salvageReport is what salvage prints.
type salvageReport struct {
	bolt.Report
	Out       string    `json:"out"`
	Suspended []outcome `json:"suspended"` // executions that are to be looked at
	Failed    []outcome `json:"failed"`    // executions that cannot continue
}

// outcome is what became of an execution.
type outcome struct {
	ExecutionID string `json:"execution_id"`
	Why         string `json:"why"`
}

// salvage copies a store, and has no execution continue from less than it has done.
func (c *cli) salvage(cmd *cobra.Command, dir, out, form string) error {
	report, err := bolt.Salvage(dir, out, neededFrom)
	if err != nil {
		return c.unreadable(err)
	}
	r := salvageReport{Report: report, Out: out, Suspended: []outcome{}, Failed: []outcome{}}
	if err := c.hold(cmd, &r); err != nil {
		return fmt.Errorf("the new store %s was written; suspend its executions before it is served: %w", out, err)
	}
	if err := c.printReport(cmd, form, r, func(w io.Writer) { printSalvage(w, &r) }); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return exit(exitFailed)
	}
	return nil
}

// neededFrom returns up to which entry of an execution's log its snapshot replaces the log.
func neededFrom(key store.Key, value []byte) int64 {
	var h journal.Head
	if key.Kind != journal.KindExecution || json.Unmarshal(value, &h) != nil {
		return 0
	}
	return h.Snapshot
}

// hold suspends each open execution of the new store of which something is missing, and ends those that cannot be read.
func (c *cli) hold(cmd *cobra.Command, r *salvageReport) error {
	lost := lostOf(r.Findings)
	return c.eachExecution(cmd, r.Out, func(p *plane, rec *store.Record) error { return holdOne(cmd.Context(), p, rec, lost, r) })
}

// eachExecution opens a store of which nothing runs, and passes each execution to do.
func (c *cli) eachExecution(cmd *cobra.Command, dir string, do func(p *plane, rec *store.Record) error) error {
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	cfg.Store, cfg.Shards = "file:"+dir, 0
	cfg.MCPServers = nil // none is called
	p, err := open(cmd.Context(), cfg, c.err, false)
	if err != nil {
		return err
	}
	after := ""
	for {
		page, err := p.store.List(cmd.Context(), store.Query{Kind: journal.KindExecution, After: after, Limit: 100})
		for i := range page {
			if err == nil {
				err = do(p, &page[i])
			}
		}
		if err != nil || len(page) == 0 {
			return errors.Join(err, p.store.Close())
		}
		after = page[len(page)-1].Key.ID
	}
}

// lostOf returns what is lost of each execution, in words.
func lostOf(findings []bolt.Finding) map[string]string {
	lost := map[string]string{}
	for _, f := range findings {
		if !f.Lost || !slices.Contains([]string{journal.KindExecution, journal.KindPlan, journal.KindSnapshot, journal.KindOutput}, f.Key.Kind) {
			continue
		}
		id, _, _ := strings.Cut(f.Key.ID, "/")
		what := fmt.Sprintf("%s of kind %s: %s", f.Bucket, f.Key.Kind, f.What)
		if f.Key.Kind == journal.KindExecution && f.Bucket == "wakes" {
			continue // a replica wakes it again
		}
		if lost[id] != "" {
			what = lost[id] + "; " + what
		}
		lost[id] = what
	}
	return lost
}

// holdOne suspends or ends an execution if something of it is missing.
func holdOne(ctx context.Context, p *plane, rec *store.Record, lost map[string]string, r *salvageReport) error {
	var h journal.Head
	if err := json.Unmarshal(rec.Value, &h); err != nil {
		return fmt.Errorf("read %s: %w", rec.Key, err)
	}
	if h.Status.Terminal() || h.Deleted {
		return nil
	}
	why := lost[rec.Key.ID]
	last, err := p.store.Log(ctx, rec.Key, h.Seq-1, 1)
	switch {
	case why != "":
	case r.Stale:
		why = "its last step may be missing: the state before the last commit was read"
	case err != nil || len(last) == 0:
		why = fmt.Sprintf("its log does not reach its last event, %d", h.Seq)
	default:
		return nil
	}
	why = "salvaged from a damaged store: " + why
	as := caller.With(ctx, caller.Caller{Principal: h.Principal})
	_, err = p.runtime.Executions.Suspend(as, h.ExecutionID, "", why)
	switch {
	case err == nil:
		r.Suspended = append(r.Suspended, outcome{h.ExecutionID, why})
		return nil
	case errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}): // it has been cancelled, or is being undone
		return endLost(ctx, p.store, rec, &h, why, r)
	default:
		return endLost(ctx, p.store, rec, &h, why+"; it cannot be read: "+schemas.AsError(err).Message, r)
	}
}

// endLost ends an execution that cannot continue.
func endLost(ctx context.Context, s store.Store, rec *store.Record, h *journal.Head, why string, r *salvageReport) error {
	now := records.Now()
	h.Status, h.FinishedAt, h.WaitingFor, h.Awaits = schemas.StatusFailed, &now, nil, nil
	h.Error = schemas.Errorf(schemas.CodeInternal, "%s", why).WithHint("look at what its calls have done; then submit the plan again if it is still needed")
	value, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, store.Batch{
		Puts:  []store.Put{{Key: rec.Key, Value: value, Version: rec.Version, Terms: h.Terms()}},
		Wakes: []store.Wake{{Key: rec.Key}},
	})
	if err == nil {
		r.Failed = append(r.Failed, outcome{h.ExecutionID, why})
	}
	return err
}

func printSalvage(w io.Writer, r *salvageReport) {
	printKinds(w, &r.Report)
	printFindings(w, r.Findings)
	for _, o := range r.Suspended {
		fmt.Fprintf(w, "suspended\texecution %s: %s\n", o.ExecutionID, oneLine(o.Why))
	}
	for _, o := range r.Failed {
		fmt.Fprintf(w, "failed\texecution %s: %s\n", o.ExecutionID, oneLine(o.Why))
	}
	switch {
	case len(r.Findings) == 0:
		fmt.Fprintf(w, "everything in %s was copied to %s\n", r.Path, r.Out)
	default:
		fmt.Fprintf(w, "what is whole in %s was copied to %s; what is lost is listed above\n", r.Path, r.Out)
	}
}

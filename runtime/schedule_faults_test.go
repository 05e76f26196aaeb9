package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// beforePut calls do, once, before the first commit that puts a record of a kind, or with release before the first that releases a lease of
// it.
func beforePut(s store.Store, kind string, release bool, do func()) store.Store {
	var done atomic.Bool
	return &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
		meant := slices.ContainsFunc(b.Puts, func(p store.Put) bool { return p.Key.Kind == kind })
		if release {
			meant = b.Release != nil && b.Release.Key.Kind == kind
		}
		if meant && !done.Swap(true) {
			do()
		}
		return s.Commit(ctx, b)
	}}
}

// While an execution is being made its schedule is ended and another one is set and changed as often as the first was: the replica that made
// the execution does not write the first one back.
func TestAnEndedScheduleIsNotWrittenBack(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		making, goOn := make(chan struct{}), make(chan struct{})
		p := run(w, beforePut(s, journal.KindExecution, false, func() { close(making); <-goOn }))
		defer p.stop()
		p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Minute)})
		<-making
		p.setSchedule(t, "w", greet("x"), schemas.Schedule{})
		p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(2 * time.Hour)})
		if _, err := p.Workflows.PauseSchedule(t.Context(), "w", true); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		synctest.Wait()
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Schedule == nil || st.Schedule.Every.Std() != 2*time.Hour || !st.Schedule.Paused {
			t.Errorf("%+v, %v", st.Schedule, err)
		}
	})
}

// A replica that finds a schedule ended leaves the wake of the next one, which is set at that moment, as it is.
func TestAnEndedScheduleLeavesTheNextItsWake(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		user := idle(w, s)
		user.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Minute)})
		time.Sleep(time.Minute)
		leases, err := s.Claim(t.Context(), store.ClaimRequest{Kind: workflow.KindSchedule, Owner: "slow", TTL: engine.Limits{}.WithDefaults().Lease})
		if err != nil || len(leases) != 1 {
			t.Fatal(leases, err)
		}
		user.setSchedule(t, "w", greet("x"), schemas.Schedule{})
		slow := run(w, &hooks{Store: beforePut(s, workflow.KindSchedule, true, func() {
			user.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Hour)})
		}), claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			if r.Kind != workflow.KindSchedule {
				return s.Claim(ctx, r)
			}
			if taken := leases; taken != nil {
				leases = nil
				return taken, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		slow.stop()
		p := run(w, s)
		defer p.stop()
		time.Sleep(90 * time.Minute)
		if n := len(p.fired(t, "w")); n != 1 {
			t.Errorf("%d executions", n)
		}
	})
}

// A firing that waits for room in the queue is not made while the schedule is paused, and not afterwards.
func TestAPausedScheduleMakesNoExecution(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.MaxQueued = 1 })
		defer p.stop()
		start := time.Now()
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{Every: interval(10 * time.Second), Overlap: schemas.OverlapAllow})
		if _, err := p.Queue.Pause(t.Context(), "work on the line", ""); err != nil {
			t.Fatal(err)
		}
		sleepUntil(start.Add(22 * time.Second)) // the first one waits, and there is no room for the second
		if _, err := p.Workflows.PauseSchedule(t.Context(), "w", true); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Queue.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		sleepUntil(start.Add(45 * time.Second))
		if _, err := p.Workflows.PauseSchedule(t.Context(), "w", false); err != nil {
			t.Fatal(err)
		}
		sleepUntil(start.Add(55 * time.Second))
		if got := p.outcomes(t, "w", start); got != "10 executed, 20 skipped, 50 executed" {
			t.Errorf("%s", got)
		}
	})
}

// The store's clock alone decides what is due: a replica whose own clock is minutes off makes every firing at its time, and misses none.
func TestScheduleOnAReplicaWhoseClockIsOff(t *testing.T) {
	for _, off := range []time.Duration{5 * time.Minute, 20 * time.Second, -20 * time.Second, -5 * time.Minute} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			skewed := &hooks{Store: s,
				commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
					b.Wakes = slices.Clone(b.Wakes)
					for i := range b.Wakes {
						if wake := &b.Wakes[i]; wake.Key.Kind == workflow.KindSchedule && !wake.At.IsZero() {
							wake.At = wake.At.Add(off)
						}
					}
					return s.Commit(ctx, b)
				},
				claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
					leases, err := s.Claim(ctx, r)
					for i := range leases {
						leases[i].Until = leases[i].Until.Add(-off)
					}
					return leases, err
				},
			}
			p := run(w, skewed)
			defer p.stop()
			start := time.Now()
			p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(7 * time.Minute), Overlap: schemas.OverlapAllow, CatchUp: new(0)})
			sleepUntil(start.Add(30*time.Minute + off)) // half an hour by the store's clock
			page, err := p.Executions.List(t.Context(), journal.Query{Workflow: "w"})
			if got := p.outcomes(t, "w", start); err != nil || got != "420 executed, 840 executed, 1260 executed, 1680 executed" || len(page.Executions) != 4 {
				t.Fatalf("%s: %s; %d executions, %v", off, got, len(page.Executions), err)
			}
			for _, e := range page.Executions {
				if late := e.CreatedAt.Add(-off).Sub(*e.ScheduledAt); late < 0 || late > time.Second {
					t.Errorf("%s: the firing of %s was made %s late by the store's clock", off, e.ScheduledAt, late)
				}
			}
		})
	}
}

// A decision that is lost with a machine would be taken twice, as its execution may be stored on another machine; a pause that is lost would
// not hold.
func TestDecidedFiringsAskForStrictDurability(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		var commits []string
		p := run(w, &hooks{Store: s, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			for _, put := range b.Puts {
				if put.Key.Kind == workflow.KindSchedule {
					var s struct {
						Orders []any
						Paused bool
					}
					if err := json.Unmarshal(put.Value, &s); err != nil {
						t.Error(err)
					}
					commits = append(commits, fmt.Sprintf("%d orders, paused %v: %v", len(s.Orders), s.Paused, b.Sync))
				}
			}
			return s.Commit(ctx, b)
		}})
		defer p.stop()
		p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Minute)})
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := p.Workflows.PauseSchedule(t.Context(), "w", true); err != nil {
			t.Fatal(err)
		}
		want := []string{"0 orders, paused false: true", "1 orders, paused false: true", "0 orders, paused false: false", "0 orders, paused true: true"}
		if !slices.Equal(commits, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(commits, "\n"), strings.Join(want, "\n"))
		}
	})
}

// While the store cannot be asked which workflow a name in a plan stands for, neither a firing nor a plan is refused for good.
func TestNamedWorkflowsDuringAnOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		start := time.Now()
		inner := workflow.Key(caller.LocalPrincipal, "inner")
		p := run(w, &hooks{Store: s, get: func(ctx context.Context, key store.Key) (store.Record, error) {
			if now := time.Since(start); key == inner && now >= time.Minute && now < 70*time.Second {
				return store.Record{}, recordstest.ErrUnreachable
			}
			return s.Get(ctx, key)
		}})
		defer p.stop()
		p.createWorkflow(t, "inner", greet("x"), "")
		outer := `{"plan":"v1","nodes":[{"id":"a","workflow":"inner","inputs":{"who":"Ada"}}]}`
		p.setSchedule(t, "w", outer, schemas.Schedule{Every: interval(time.Minute), CatchUp: new(0)})
		sleepUntil(start.Add(65 * time.Second))
		if err := errOf(p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(outer)})); codeOf(err) != schemas.CodeUnavailable || !schemas.AsError(err).Retryable {
			t.Errorf("a plan: %v", err)
		}
		if err := errOf(p.Executions.Validate(t.Context(), []byte(outer))); codeOf(err) != schemas.CodeUnavailable {
			t.Errorf("its validation: %v", err)
		}
		sleepUntil(start.Add(110 * time.Second))
		if got := p.outcomes(t, "w", start); got != "60 executed" {
			t.Errorf("%s", got)
		}
	})
}

// A workflow that is deleted while its next version is made is created again.
func TestAWorkflowIsDeletedWhileItsNextVersionIsMade(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		other := idle(w, s)
		other.createWorkflow(t, "w", greet("x"), "")
		var deleted bool
		p := idle(w, &hooks{Store: s, get: func(ctx context.Context, key store.Key) (store.Record, error) {
			if key.Kind == workflow.KindVersion && !deleted {
				deleted = true
				if err := errOf(other.Workflows.Delete(t.Context(), "w")); err != nil {
					return store.Record{}, err
				}
			}
			return s.Get(ctx, key)
		}})
		if v := p.createWorkflow(t, "w", greet("y"), ""); v != 2 {
			t.Errorf("version %d", v)
		}
	})
}

// To create a workflow again with the schedule that it has, as every deployment does, ends no pause.
func TestTheSameScheduleEndsNoPause(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		hourly := schemas.Schedule{Every: interval(time.Hour)}
		p.setSchedule(t, "w", greet("x"), hourly)
		if _, err := p.Workflows.PauseSchedule(t.Context(), "w", true); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"x", "y"} {
			if next := p.setSchedule(t, "w", greet(text), hourly); !next.IsZero() {
				t.Errorf("paused, and fires at %s", next)
			}
		}
		time.Sleep(5 * time.Hour)
		if n := len(p.fired(t, "w")); n != 0 {
			t.Errorf("%d executions of a paused schedule", n)
		}
		if next := p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(2 * time.Hour)}); next.IsZero() {
			t.Error("another schedule is paused")
		}
	})
}

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// setSchedule creates a workflow with a schedule, and returns when that fires first.
func (p *process) setSchedule(t *testing.T, name, definition string, s schemas.Schedule) time.Time {
	t.Helper()
	ref, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: name, Definition: []byte(definition), Schedule: &s})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	if ref.NextFiring == nil {
		return time.Time{}
	}
	return *ref.NextFiring
}

// fired are the firings of a workflow that became executions, oldest first.
func (p *process) fired(t *testing.T, name string) (at []time.Time) {
	t.Helper()
	for cursor := ""; ; {
		page, err := p.Executions.List(t.Context(), journal.Query{Workflow: name, Limit: 100, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Executions {
			if e.ScheduledAt == nil {
				t.Fatalf("execution %s is of no firing", e.ExecutionID)
			}
			at = append(at, *e.ScheduledAt)
		}
		if cursor = page.NextCursor; cursor == "" {
			slices.SortFunc(at, time.Time.Compare)
			return at
		}
	}
}

// outcomes are the last firings of a workflow as one line, oldest first: seconds after start and their outcome.
func (p *process) outcomes(t *testing.T, name string, start time.Time) string {
	t.Helper()
	st, err := p.Workflows.Status(t.Context(), name)
	if err != nil || st.Schedule == nil {
		t.Fatalf("%+v, %v", st, err)
	}
	var out []string
	for _, f := range slices.Backward(st.Schedule.Last) {
		out = append(out, fmt.Sprintf("%g %s", f.At.Sub(start).Seconds(), f.Outcome))
	}
	return strings.Join(out, ", ")
}

func sleepUntil(at time.Time) {
	time.Sleep(time.Until(at))
	synctest.Wait()
}

func interval(d time.Duration) schemas.Duration { return schemas.Duration(d) }

const slowPlan = `{"plan":"v1","inputs":{"take":"1s"},"nodes":[{"id":"a","capability":"r.read","timeout":"3h","inputs":{"take":"${inputs.take}"}}]}`

// A nightly workflow runs at its time, with its inputs, by the version that is the latest then; the status shows past and coming firings.
func TestNightlyWorkflow(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		start := time.Now()
		nightly := schemas.Schedule{Cron: "0 3 * * *", Timezone: "Asia/Tokyo", Inputs: schemas.Object(`{"who":"Ada"}`)}
		if next := p.setSchedule(t, "greet", greet("hello"), nightly); !next.Equal(start.Add(18 * time.Hour)) {
			t.Errorf("fires first at %s", next)
		}
		p.setSchedule(t, "greet", greet("hello"), nightly) // the same again changes nothing
		sleepUntil(start.Add(36 * time.Hour))
		p.createWorkflow(t, "greet", greet("bye"), "") // a next version, and the schedule as it was
		sleepUntil(start.Add(60 * time.Hour))
		st, err := p.Workflows.Status(t.Context(), "greet")
		if err != nil || st.Version != 2 || st.Executions[schemas.StatusSucceeded] != 2 || len(st.Schedule.Last) != 2 || len(st.Schedule.Next) != workflow.ShownFirings {
			t.Fatalf("%+v, %v", st, err)
		}
		if !st.Schedule.Next[0].Equal(start.Add(66*time.Hour)) || !st.NextFiring.Equal(st.Schedule.Next[0]) || st.Schedule.Timezone != "Asia/Tokyo" {
			t.Errorf("%+v", st.Schedule)
		}
		for i, want := range []struct{ version, output string }{{"greet@2", `"bye Ada"`}, {"greet@1", `"hello Ada"`}} {
			f := st.Schedule.Last[i]
			e, err := p.Executions.Status(t.Context(), f.ExecutionID, "", 0, nil)
			if err != nil || f.Outcome != schemas.FiringExecuted || e.Workflow != want.version || string(e.Output) != want.output || !e.ScheduledAt.Equal(f.At) || e.CreatedAt.Sub(f.At) > time.Second {
				t.Errorf("%+v: %+v, %v", f, e, err)
			}
		}
		p.createWorkflow(t, "plain", greet("x"), "")
		for scheduled, n := range map[bool]int{true: 1, false: 2} {
			if list, err := p.Workflows.List(t.Context(), workflow.Query{Scheduled: scheduled}); err != nil || len(list.Workflows) != n || list.Workflows[0].Schedule.Cron != "0 3 * * *" {
				t.Errorf("%+v, %v", list, err)
			}
		}
		if _, err := p.Workflows.Delete(t.Context(), "greet"); err != nil {
			t.Fatal(err)
		}
		p.createWorkflow(t, "greet", greet("again"), "")
		sleepUntil(start.Add(67 * time.Hour))
		if n := len(p.fired(t, "greet")); n != 2 {
			t.Errorf("%d executions after the workflow was deleted with its schedule", n)
		}
	})
}

// A time that the clock skips is made after the jump, and one that it shows twice is made once.
func TestScheduleWhileTheClockChanges(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		p.setSchedule(t, "a", greet("x"), schemas.Schedule{Cron: "30 2 * * *", Timezone: "America/New_York", CatchUp: new(0)})
		p.setSchedule(t, "b", greet("x"), schemas.Schedule{Cron: "30 1 * * *", Timezone: "America/New_York", CatchUp: new(0)})
		p.stop()
		for i, tt := range []struct {
			day  string
			a, b int // hours after midnight UTC, times 10
		}{{"2000-04-02", 70, 65}, {"2000-10-29", 75, 55}} {
			day, err := time.Parse(time.DateOnly, tt.day)
			if err != nil {
				t.Fatal(err)
			}
			sleepUntil(day.Add(5 * time.Hour))
			p = run(w, s)
			sleepUntil(day.Add(9 * time.Hour))
			for name, want := range map[string]int{"a": tt.a, "b": tt.b} {
				at := p.fired(t, name)
				if n := i + 1; len(at) != n || at[i].Sub(day) != time.Duration(want)*time.Hour/10 {
					t.Errorf("%s on %s: %v", name, tt.day, at)
				}
			}
			p.stop()
		}
	})
}

// No replica ran for days: the newest firings are made, as many as catch_up says, and one more line of history stands for the others.
func TestCatchUpAfterDaysOff(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		catchUp *int
		overlap schemas.Overlap
		days    []int // whose midnight firings are made when a replica starts an hour before the eleventh
		last    string
	}{
		{nil, "", []int{10}, "777600 missed, 864000 executed"},
		{new(0), "", nil, "864000 missed"},
		{new(3), schemas.OverlapAllow, []int{8, 9, 10}, "604800 missed, 691200 executed, 777600 executed, 864000 executed"},
		{new(3), schemas.OverlapQueue, []int{8, 9, 10}, "604800 missed, 691200 executed, 777600 executed, 864000 executed"},
		{new(2), schemas.OverlapSkip, []int{9}, "691200 missed, 777600 executed, 864000 skipped"},
		{new(50), schemas.OverlapAllow, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, ""},
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			start := time.Now()
			p.setSchedule(t, "w", slowPlan, schemas.Schedule{Cron: "0 0 * * *", CatchUp: tt.catchUp, Overlap: tt.overlap})
			p.stop()
			time.Sleep(11*day - time.Hour)
			p = run(w, s)
			defer p.stop()
			time.Sleep(time.Minute)
			var days []int
			for _, at := range p.fired(t, "w") {
				days = append(days, int(at.Sub(start)/day))
			}
			if last := p.outcomes(t, "w", start); !slices.Equal(days, tt.days) || tt.last != "" && last != tt.last {
				t.Errorf("%+v: days %v, %s", tt, days, last)
			}
			sleepUntil(start.Add(11*day + time.Minute))
			if at := p.fired(t, "w"); len(at) != len(tt.days)+1 || at[len(tt.days)].Sub(start) != 11*day {
				t.Errorf("the next one: %v", at)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		overlap schemas.Overlap
		last    string          // after 5 firings, one each 10 s, of executions that take 25 s
		created []time.Duration // executions after the start
	}{
		{schemas.OverlapSkip, "10 executed, 20 skipped, 30 skipped, 40 executed, 50 skipped", []time.Duration{10, 40}},
		{"", "10 executed, 20 skipped, 30 skipped, 40 executed, 50 skipped", []time.Duration{10, 40}},
		{schemas.OverlapAllow, "10 executed, 20 executed, 30 executed, 40 executed, 50 executed", []time.Duration{10, 20, 30, 40, 50}},
		{schemas.OverlapQueue, "10 executed, 20 executed", []time.Duration{10, 35}},
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			start := time.Now()
			p.setSchedule(t, "w", slowPlan, schemas.Schedule{Every: interval(10 * time.Second), Overlap: tt.overlap, Inputs: schemas.Object(`{"take":"25s"}`)})
			sleepUntil(start.Add(55 * time.Second))
			if got := p.outcomes(t, "w", start); got != tt.last {
				t.Errorf("%q: %s, want %s", tt.overlap, got, tt.last)
			}
			page, err := p.Executions.List(t.Context(), journal.Query{Workflow: "w"})
			if err != nil || len(page.Executions) != len(tt.created) {
				t.Fatalf("%q: %d executions, %v", tt.overlap, len(page.Executions), err)
			}
			for i, e := range slices.Backward(page.Executions) {
				if want := tt.created[len(page.Executions)-1-i] * time.Second; e.CreatedAt.Sub(start).Round(time.Second) != want {
					t.Errorf("%q: made after %s, want %s", tt.overlap, e.CreatedAt.Sub(start), want)
				}
			}
			if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || (len(st.Schedule.Due) == 3) != (tt.overlap == schemas.OverlapQueue) {
				t.Errorf("%q: %+v, %v", tt.overlap, st.Schedule, err)
			}
		})
	}
}

// The number of firings that wait for the execution before is bounded.
func TestDueFiringsAreBounded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		start := time.Now()
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{Every: interval(time.Second), Overlap: schemas.OverlapQueue, Inputs: schemas.Object(`{"take":"10m"}`)})
		sleepUntil(start.Add(9 * time.Minute))
		st, err := p.Workflows.Status(t.Context(), "w")
		if err != nil || len(st.Schedule.Due) != workflow.MaxDue || len(st.Schedule.Last) != 2 || st.Schedule.Last[0].Outcome != schemas.FiringMissed || st.Executions[schemas.StatusRunning] != 1 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

func TestPauseAndChangeSchedules(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		start := time.Now()
		hourly := schemas.Schedule{Every: interval(time.Hour)}
		p.setSchedule(t, "w", slowPlan, hourly)
		sleepUntil(start.Add(90 * time.Minute))
		for range 2 {
			if info, err := p.Workflows.PauseSchedule(t.Context(), "w", true); err != nil || !info.Schedule.Paused || info.NextFiring != nil || len(info.Schedule.Next) > 0 {
				t.Errorf("%+v, %v", info, err)
			}
		}
		sleepUntil(start.Add(5*time.Hour + 30*time.Minute))
		for range 2 {
			if info, err := p.Workflows.PauseSchedule(t.Context(), "w", false); err != nil || info.Schedule.Paused || !info.NextFiring.Equal(start.Add(6*time.Hour)) {
				t.Errorf("%+v, %v", info, err)
			}
		}
		sleepUntil(start.Add(6*time.Hour + time.Minute))
		if got := p.outcomes(t, "w", start); got != "3600 executed, 21600 executed" {
			t.Errorf("%s", got)
		}
		hourly.Paused = true
		if next := p.setSchedule(t, "w", slowPlan, hourly); !next.IsZero() {
			t.Errorf("paused, and fires at %s", next)
		}
		if next := p.setSchedule(t, "w", slowPlan, schemas.Schedule{Cron: "0 12 * * *"}); !next.Equal(start.Add(12 * time.Hour)) {
			t.Errorf("fires at %s", next)
		}
		sleepUntil(start.Add(13 * time.Hour))
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{})
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{}) // ended is ended
		sleepUntil(start.Add(37 * time.Hour))               // past the next noon
		if n := len(p.fired(t, "w")); n != 3 {
			t.Errorf("%d executions", n)
		}
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Schedule != nil || st.NextFiring != nil || st.Version != 1 {
			t.Errorf("%+v, %v", st, err)
		}
		for _, err := range []error{errOf(p.Workflows.PauseSchedule(t.Context(), "w", true)), errOf(p.Workflows.PauseSchedule(t.Context(), "none", true)), errOf(p.Workflows.PauseSchedule(as(t, "other"), "w", true))} {
			if codeOf(err) != schemas.CodeNotFound {
				t.Errorf("%v", err)
			}
		}
	})
}

// A schedule that is refused changes nothing, nor does a version that the inputs of the schedule do not fit.
func TestBadSchedules(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		schema := func(kind string) schemas.Object {
			return schemas.Object(`{"type":"object","properties":{"who":{"type":"` + kind + `"}}}`)
		}
		create := func(text, kind string, s *schemas.Schedule) error {
			_, err := p.Workflows.Create(t.Context(), workflow.Spec{Name: "w", Definition: []byte(greet(text)), InputSchema: schema(kind), Schedule: s})
			return err
		}
		good := schemas.Schedule{Every: interval(time.Hour), Inputs: schemas.Object(`{"who":"Ada"}`)}
		if err := create("x", "string", &good); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			text, kind string
			s          *schemas.Schedule
			field      string
		}{
			{"y", "string", &schemas.Schedule{Cron: "0 25 * * *"}, "/schedule/cron"},
			{"y", "string", &schemas.Schedule{Cron: "*/90 * * * *"}, "/schedule/cron"},
			{"y", "string", &schemas.Schedule{Cron: "0 3 * * *", Timezone: "Mars/Olympus"}, "/schedule/timezone"},
			{"y", "string", &schemas.Schedule{Paused: true}, "/schedule/cron"},
			{"y", "string", &schemas.Schedule{Every: interval(time.Hour), Inputs: schemas.Object(`{"who":7}`)}, "/schedule/inputs/who"},
			{"y", "integer", nil, "/schedule/inputs/who"},
		} {
			if e := schemas.AsError(create(tt.text, tt.kind, tt.s)); e == nil || e.Code != schemas.CodeInvalidArgument || e.Field != tt.field {
				t.Errorf("%+v: %v, field %v", tt, e, e.Field)
			}
		}
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Version != 1 || st.Schedule.Every != good.Every {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

// While the queue is paused firings are accepted; when it is full they wait.
func TestScheduleAndTheQueue(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s, func(c *Config) { c.MaxQueued = 2 })
		defer p.stop()
		start := time.Now()
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{Every: interval(10 * time.Second), Overlap: schemas.OverlapAllow})
		if _, err := p.Queue.Pause(t.Context(), "work on the line", ""); err != nil {
			t.Fatal(err)
		}
		sleepUntil(start.Add(25 * time.Second))
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Executions[schemas.StatusPending] != 2 {
			t.Errorf("%+v, %v", st, err)
		}
		sleepUntil(start.Add(55 * time.Second)) // three more come, and the queue is full
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Executions[schemas.StatusPending] != 2 {
			t.Errorf("%+v, %v", st, err)
		}
		if _, err := p.Queue.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		sleepUntil(start.Add(69 * time.Second))
		if got := p.outcomes(t, "w", start); got != "10 executed, 20 executed, 30 executed, 40 executed, 50 executed, 60 executed" {
			t.Errorf("%s", got)
		}
	})
}

// absentRealm is a world whose realm may be unavailable.
type absentRealm struct {
	*world
	gone atomic.Bool
}

func (a *absentRealm) Catalog(ctx context.Context, realms []string) plan.Catalog {
	if !a.gone.Load() {
		return a.world.Catalog(ctx, realms)
	}
	return noTools{}
}

type noTools struct{ worldCatalog }

func (noTools) Tools(string) ([]string, error) {
	return nil, schemas.Errorf(schemas.CodeUnavailable, "it is unavailable")
}
func (noTools) Tool(string, string) (plan.Tool, bool) { return plan.Tool{}, false }

// A firing whose realm is unavailable is made when that is back; one that cannot be made is in the history with its error.
func TestFiringsThatCannotBeMade(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		a := &absentRealm{world: w}
		p := run(w, s, func(c *Config) { c.Realms = a })
		defer p.stop()
		start := time.Now()
		p.setSchedule(t, "w", slowPlan, schemas.Schedule{Every: interval(time.Hour)})
		a.gone.Store(true)
		sleepUntil(start.Add(time.Hour + 10*time.Minute))
		if n := len(p.fired(t, "w")); n != 0 {
			t.Errorf("%d executions without a realm", n)
		}
		a.gone.Store(false)
		sleepUntil(start.Add(time.Hour + 11*time.Minute))
		w.change("read", plan.Tool{Effect: schemas.EffectRead, InputSchema: []byte(`{"type":"object","required":["never"],"properties":{"never":{}}}`)})
		sleepUntil(start.Add(2*time.Hour + time.Minute))
		if got := p.outcomes(t, "w", start); got != "3600 executed, 7200 failed" {
			t.Errorf("%s", got)
		}
		if st, err := p.Workflows.Status(t.Context(), "w"); err != nil || st.Schedule.Last[0].Error.Code != schemas.CodeInvalidPlan || len(st.Latest) != 1 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

// Whichever commit a process dies at, alone or beside another one, each firing is one execution.
func TestScheduleSurvivesACrashAtEveryCommit(t *testing.T) {
	for _, mode := range storetest.CrashModes {
		for _, alone := range []bool{true, false} {
			for failAt, crashed := 1, true; crashed; failAt++ {
				inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
					p := run(w, s)
					start := time.Now()
					p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Minute), Overlap: schemas.OverlapAllow, CatchUp: new(10)})
					p.stop()
					c := storetest.Crash(s, failAt, mode)
					p = run(w, c)
					if !alone {
						defer run(w, s).stop()
					}
					sleepUntil(start.Add(3*time.Minute + 30*time.Second))
					crashed = c.Crashed()
					p.stop()
					p = run(w, s)
					defer p.stop()
					sleepUntil(start.Add(5*time.Minute + 30*time.Second))
					var got []float64
					for _, at := range p.fired(t, "w") {
						got = append(got, at.Sub(start).Minutes())
					}
					if !slices.Equal(got, []float64{1, 2, 3, 4, 5}) {
						t.Errorf("%s, commit %d, alone %v: firings %v: %s", mode, failAt, alone, got, p.outcomes(t, "w", start))
					}
				})
			}
		}
	}
}

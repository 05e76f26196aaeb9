package runtime

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Executions of many schedules have ended, and the store does not answer when they are to be notified: they poll, and the stop takes no
// longer than one of a store that does not answer takes.
func TestSchedulesDoNotHoldUpTheStop(t *testing.T) {
	for _, n := range []int{1, 20} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, &hooks{Store: s, get: func(ctx context.Context, k store.Key) (store.Record, error) {
				if k.Kind == workflow.KindSchedule {
					<-ctx.Done()
					return store.Record{}, context.Cause(ctx)
				}
				return s.Get(ctx, k)
			}})
			for i := range n {
				if _, err := p.Executions.Execute(t.Context(), engine.Submit{
					Plan: []byte(`{"plan":"v1","nodes":[{"id":"a","set":1}]}`), Workflow: fmt.Sprintf("w%d@1", i), ScheduledAt: new(time.Now()),
				}); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			p.stop()
			if took := time.Since(began); took > 16*time.Second { // the grace period, and 5 s for the last commits
				t.Errorf("the stop after %d executions took %s", n, took)
			}
		})
	}
}

// While a call in flight has its grace period, nothing new begins: a schedule is fired by the next process.
func TestNoScheduleFiresDuringTheStop(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		p.begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"8500ms"}}]}`)
		p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Second)})
		time.Sleep(1500 * time.Millisecond)
		before := len(p.fired(t, "w"))
		stopped := make(chan struct{})
		go func() { p.stop(); close(stopped) }()
		time.Sleep(5 * time.Second)
		if after := len(p.fired(t, "w")); before == 0 || after != before {
			t.Errorf("%d executions before the stop, %d during it", before, after)
		}
		<-stopped
	})
}

// A use of a session is committed at once as soon as its process stops, however long a claim takes to come back.
func TestSessionUsedDuringTheStop(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, &hooks{Store: s, claim: func(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
			leases, err := s.Claim(ctx, r)
			if r.Kind == session.Kind && ctx.Err() != nil {
				time.Sleep(3 * time.Second)
			}
			return leases, err
		}})
		se := p.createSession(t, schemas.SessionUpdates{})
		stopped := make(chan struct{})
		go func() { p.stop(); close(stopped) }()
		time.Sleep(2 * time.Second)
		if _, err := p.Sessions.Get(t.Context(), se.SessionID); err != nil {
			t.Fatal(err)
		}
		used := time.Now()
		<-stopped
		if got, err := idle(w, s).Sessions.Peek(t.Context(), se.SessionID); err != nil || !got.LastSeenAt.Equal(used) {
			t.Errorf("last seen %s, %v, want %s", got.LastSeenAt, err, used)
		}
	})
}

// A process that has waited for its clients stops in what is left of the time, whatever its calls do.
func TestCallsInFlightHaveWhatIsLeftOfTheTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   func(now time.Time) time.Time // nil: not set
		want time.Duration
	}{
		{"all of it", nil, 10 * time.Second},
		{"most of it", func(now time.Time) time.Time { return now.Add(9500 * time.Millisecond) }, 9500 * time.Millisecond},
		{"some of it", func(now time.Time) time.Time { return now.Add(3 * time.Second) }, 3 * time.Second},
		{"nothing", func(now time.Time) time.Time { return now }, 0},
		{"less than nothing", func(now time.Time) time.Time { return now.Add(-time.Minute) }, 0},
		{"no more than the limit", func(now time.Time) time.Time { return now.Add(time.Hour) }, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				p.begin(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"take":"1h"}}]}`)
				time.Sleep(time.Second)
				if tt.by != nil {
					p.Executions.StopBy(tt.by(time.Now()))
				}
				began := time.Now()
				p.stop()
				if took := time.Since(began); took < tt.want || took > tt.want+time.Second {
					t.Errorf("the stop took %s, want %s", took, tt.want)
				}
			})
		})
	}
}

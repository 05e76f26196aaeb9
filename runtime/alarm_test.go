package runtime

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// Each row ends waits until a time of day, or their execution, long before that time. Nothing that is due then is left in the store.
func TestAlarmsEndWithTheirWaits(t *testing.T) {
	cancel := func(t *testing.T, p *process, id string) { p.cancel(t, id, engine.CancelOptions{}) }
	nothing := func(*testing.T, *process, string) {}
	for _, tt := range []struct {
		name, plan string // {} is the time
		do         func(t *testing.T, p *process, id string)
		want       schemas.Status
		alarms     int // before
	}{
		{"the execution is cancelled", `{"plan":"v1","nodes":[{"id":"w","wait":"{}"}]}`, cancel, schemas.StatusCancelled, 1},
		{"one with several is", `{"plan":"v1","nodes":[{"id":"u","wait":"{}"},{"id":"v","wait":"{}"},{"id":"w","wait":"{}"}]}`, cancel,
			schemas.StatusCancelled, 3},
		{"another node fails", `{"plan":"v1","nodes":[{"id":"w","wait":"{}"},{"id":"d","wait":"5m"},{"id":"f","set":"${1 / nodes.d.output}"}]}`,
			nothing, schemas.StatusFailed, 1},
		{"the plan times out", `{"plan":"v1","timeout":"10m","nodes":[{"id":"w","wait":"{}"},{"id":"d","wait":"5m"}]}`,
			nothing, schemas.StatusTimedOut, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock storetest.Clock
				p, s := runOnClock(t, &clock)
				id := p.submit(t, untilTime(tt.plan, 300*24*time.Hour))
				time.Sleep(time.Minute)
				if q, err := s.Queue(t.Context(), journal.KindAlarm); err != nil || q.Sleeping != tt.alarms {
					t.Fatalf("%d alarms, want %d (%v)", q.Sleeping, tt.alarms, err)
				}
				tt.do(t, p, id)
				time.Sleep(time.Hour)
				if e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil); err != nil || e.Status != tt.want {
					t.Fatalf("%v, %v, want %s", e, err, tt.want)
				}
				if q, err := s.Queue(t.Context(), journal.KindAlarm); err != nil || q != (store.Queue{}) {
					t.Errorf("alarms are left: %+v, %v", q, err)
				}
			})
		})
	}
}

// The machine's clock is set ahead beyond the time of a wait while its execution is suspended: the wait is over when it is resumed, as
// after the same time on a clock that is right. A wait for a duration is not.
func TestAlarmRingsWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock storetest.Clock
		p, s := runOnClock(t, &clock)
		until := p.submit(t, untilTime(`{"plan":"v1","nodes":[{"id":"w","wait":"{}"},{"id":"n","set":1,"depends_on":["w"]}]}`, 8*time.Hour))
		waits := p.submit(t, `{"plan":"v1","nodes":[{"id":"w","wait":"8h"}]}`)
		time.Sleep(time.Second)
		for _, id := range []string{until, waits} {
			p.suspend(t, id, "")
		}
		time.Sleep(time.Second)
		clock.Set(9 * time.Hour)
		time.Sleep(time.Minute)
		for id, want := range map[string]schemas.Status{until: schemas.StatusSucceeded, waits: schemas.StatusRunning} {
			if e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil); err != nil || e.Status != schemas.StatusSuspended {
				t.Fatalf("before it is resumed: %v, %v", e, err)
			}
			p.resume(t, id)
			time.Sleep(time.Minute)
			if e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil); err != nil || e.Status != want {
				t.Errorf("resumed: %v, %v, want %s", e, err, want)
			}
		}
		if q, err := s.Queue(t.Context(), journal.KindAlarm); err != nil || q != (store.Queue{}) {
			t.Errorf("alarms are left: %+v, %v", q, err)
		}
	})
}

// runOnClock runs a process on an embedded store with the clock, until the test ends.
func runOnClock(t *testing.T, clock *storetest.Clock) (*process, store.Store) {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Mem: true, Read: clock.Reading()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	p := run(w, s)
	t.Cleanup(func() {
		p.stop()
		w.end()
		s.Close()
	})
	return p, s
}

// untilTime puts the time of day that comes after the duration into a plan, for {}.
func untilTime(plan string, after time.Duration) string {
	return strings.ReplaceAll(plan, "{}", time.Now().Add(after).UTC().Format(time.RFC3339Nano))
}

package runtime

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// Each row changes the machine's clock while a schedule fires each hour, one node waits for a time in two hours and another one for as long.
// What goes by the time of day follows at once, what takes its time does not.
func TestSchedulesGoByTheTimeOfDay(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name         string
		do           func(c *storetest.Clock)
		fires        time.Duration // until the schedule fires
		until, waits time.Duration // until each node ends
		shown        time.Duration // the difference of the two times
	}{
		{"nothing", func(*storetest.Clock) {}, time.Hour, 2 * time.Hour, 2 * time.Hour, 0},
		{"90m ahead", func(c *storetest.Clock) { c.Set(90 * time.Minute) }, 0, 30 * time.Minute, 2 * time.Hour, 90 * time.Minute},
		{"8h ahead", func(c *storetest.Clock) { c.Set(8 * time.Hour) }, 0, 0, 2 * time.Hour, 8 * time.Hour},
		{"40 days ahead", func(c *storetest.Clock) { c.Set(40 * day) }, 0, 0, 2 * time.Hour, 40 * day},
		{"4h back", func(c *storetest.Clock) { c.Set(-4 * time.Hour) }, time.Hour, 2 * time.Hour, 2 * time.Hour, 0},
		{"suspended for 8h", func(c *storetest.Clock) { c.Sleep(8 * time.Hour) }, 0, 0, 0, 0},
		{"suspended for 8h, not knowing", func(c *storetest.Clock) { c.Forget(); c.Sleep(8 * time.Hour) }, 0, 0, 0, 0},
		{"suspended for 8h, and 90m ahead", func(c *storetest.Clock) { c.Sleep(8 * time.Hour); c.Set(90 * time.Minute) }, 0, 0, 0, 90 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock storetest.Clock
				s, err := bolt.Open(bolt.Options{Mem: true, Read: clock.Reading()})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				w := newWorld()
				defer w.end()
				p := run(w, s)
				defer p.stop()
				p.setSchedule(t, "hourly", `{"plan":"v1","nodes":[{"id":"n","set":1}]}`, schemas.Schedule{Every: interval(time.Hour)})
				in := func(id, wait string) string {
					return p.submit(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":%q,"wait":%q}]}`, id, wait))
				}
				until, waits := in("u", time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339Nano)), in("w", "2h")
				time.Sleep(time.Second)
				began := time.Now()
				tt.do(&clock)
				fired, ended := time.Duration(-1), map[string]time.Duration{}
				for len(ended) < 2 || fired < 0 {
					time.Sleep(time.Second)
					if took := time.Since(began); took > 3*time.Hour {
						t.Fatalf("fired after %v, ended after %v", fired, ended)
					} else if fired < 0 && len(p.fired(t, "hourly")) > 0 {
						fired = took
					}
					for _, id := range []string{until, waits} {
						if e, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil); err != nil {
							t.Fatal(err)
						} else if _, seen := ended[id]; !seen && e.Status == schemas.StatusSucceeded {
							ended[id] = time.Since(began)
						}
					}
				}
				// A machine's clock is looked at every few seconds, and made up for by a tenth.
				for what, row := range map[string][2]time.Duration{
					"the schedule": {fired, tt.fires}, "the node that waits for a time": {ended[until], tt.until}, "the other node": {ended[waits], tt.waits},
				} {
					if took, want := row[0], row[1]; took < want-want/8 || took > want+want/8+15*time.Second {
						t.Errorf("%s: after %v, want %v", what, took, want)
					}
				}
				time.Sleep(2 * time.Hour) // the other one of two wakes has nothing to do
				if q, err := s.Queue(t.Context(), journal.KindAlarm); err != nil || q != (store.Queue{}) {
					t.Errorf("alarms are left: %+v, %v", q, err)
				}
			})
		})
	}
}

package bolt_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

const aDay = 24 * time.Hour

// Each row changes the machine's clock while two keys wait for an hour: one by the time of day, the other by the time that passes.
func TestKeysThatAreDueByTheTimeOfDay(t *testing.T) {
	for _, tt := range []struct {
		name           string
		do             func(c *storetest.Clock)
		byDay, elapsed time.Duration // until each is claimed
	}{
		{"nothing", func(*storetest.Clock) {}, time.Hour, time.Hour},
		{"30m ahead", func(c *storetest.Clock) { c.Set(30 * time.Minute) }, 30 * time.Minute, time.Hour},
		{"3h ahead", func(c *storetest.Clock) { c.Set(3 * time.Hour) }, 0, time.Hour},
		{"40 days ahead", func(c *storetest.Clock) { c.Set(40 * aDay) }, 0, time.Hour},
		{"4h back", func(c *storetest.Clock) { c.Set(-4 * time.Hour) }, time.Hour, time.Hour},
		{"suspended for 8h", func(c *storetest.Clock) { c.Sleep(8 * time.Hour) }, 0, 0},
		{"suspended for 8h, not knowing", func(c *storetest.Clock) { c.Forget(); c.Sleep(8 * time.Hour) }, 0, 0},
		{"suspended for 8h, and 3h ahead", func(c *storetest.Clock) { c.Sleep(8 * time.Hour); c.Set(3 * time.Hour) }, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock storetest.Clock
				s := must(bolt.Open(bolt.Options{Mem: true, Read: clock.Reading()}))
				defer s.Close()
				start := time.Now()
				for _, kind := range []string{"schedule", "execution"} {
					must(s.Commit(ctx(), store.Batch{Wakes: []store.Wake{{Key: key(kind, "k"), At: s.Day().Add(time.Hour)}}}))
				}
				claimed := map[string]chan time.Duration{"schedule": make(chan time.Duration, 1), "execution": make(chan time.Duration, 1)}
				for kind, took := range claimed {
					go func() {
						ls, err := s.Claim(ctx(), store.ClaimRequest{Kind: kind, Owner: "o", TTL: time.Hour, Wait: 3 * time.Hour, Day: kind == "schedule"})
						if err != nil || len(ls) != 1 {
							t.Errorf("claim %s: %v, %v", kind, ls, err)
						}
						took <- time.Since(start)
					}()
				}
				synctest.Wait()
				tt.do(&clock)
				for kind, want := range map[string]time.Duration{"schedule": tt.byDay, "execution": tt.elapsed} {
					// What waits is looked at every few seconds; a clock that is made up for may run faster or slower by a tenth.
					if took := <-claimed[kind]; took < want-want/10 || took > want+want/9+10*time.Second {
						t.Errorf("%s was claimed after %v, want %v", kind, took, want)
					}
				}
			})
		})
	}
}

// A record expires after ten hours. Each row has the machine's clock show later, and says for how long the store must run until the record is
// removed from the file: at once only if it is certain that the time has passed.
func TestWhatMayNotHaveExpiredIsRemovedLater(t *testing.T) {
	restart := func(by time.Duration) func(c *storetest.Clock, s *bolt.Store, open func() *bolt.Store) *bolt.Store {
		return func(c *storetest.Clock, s *bolt.Store, open func() *bolt.Store) *bolt.Store {
			s.Close()
			c.Set(by)
			return open()
		}
	}
	for _, tt := range []struct {
		name          string
		do            func(c *storetest.Clock, s *bolt.Store, open func() *bolt.Store) *bolt.Store
		kept, removed time.Duration
	}{
		{"a start 11h ahead", restart(11 * time.Hour), 50 * time.Minute, 70 * time.Minute},
		{"a start 23h ahead", restart(23 * time.Hour), 50 * time.Minute, 70 * time.Minute},
		{"a start 40 days ahead", restart(40 * aDay), 4 * time.Hour, 6 * time.Hour}, // what is not believed gets less while time passes,
		{"set 11h ahead", func(c *storetest.Clock, s *bolt.Store, _ func() *bolt.Store) *bolt.Store {
			c.Set(11 * time.Hour)
			return s
		}, 9 * time.Hour, 10 * time.Hour},
		{"set 40 days ahead", func(c *storetest.Clock, s *bolt.Store, _ func() *bolt.Store) *bolt.Store {
			c.Set(40 * aDay)
			return s
		}, 9 * time.Hour, 10 * time.Hour},
		{"11h ahead or suspended", func(c *storetest.Clock, s *bolt.Store, _ func() *bolt.Store) *bolt.Store {
			c.Forget()
			c.Sleep(11 * time.Hour)
			return s
		}, 50 * time.Minute, 70 * time.Minute},
		{"40 days ahead or suspended", func(c *storetest.Clock, s *bolt.Store, _ func() *bolt.Store) *bolt.Store {
			c.Forget()
			c.Sleep(40 * aDay)
			return s
		}, 4 * time.Hour, 6 * time.Hour},
		{"suspended for 40 days", func(c *storetest.Clock, s *bolt.Store, _ func() *bolt.Store) *bolt.Store {
			c.Sleep(40 * aDay)
			return s
		}, 0, 10 * time.Minute},
	} {
		for _, run := range []struct {
			name    string
			after   time.Duration
			records int
		}{{"kept", tt.kept, 1}, {"removed", tt.removed, 0}} {
			t.Run(tt.name+"/"+run.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir := t.TempDir()
					var clock storetest.Clock
					open := func() *bolt.Store {
						return must(bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading(), Sweep: 5 * time.Minute}))
					}
					s := open()
					must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: key("session", "s"), TTL: 10 * time.Hour}}}))
					s = tt.do(&clock, s, open)
					time.Sleep(run.after)
					s.Close()
					if found, err := bolt.Check(dir); err != nil || found.Kinds["session"].Records != run.records {
						t.Errorf("after %v: %+v, %v, want %d records", run.after, found, err, run.records)
					}
				})
			})
		}
	}
}

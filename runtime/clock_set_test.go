package runtime

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// Each row sets the clock of the machine while a node waits, another one is called and a state is held as a lock. All take as long as they
// should, and nothing is timed out.
func TestClockIsSetWhileExecutionsRun(t *testing.T) {
	for _, by := range []time.Duration{-40 * 24 * time.Hour, -4 * time.Hour, -10 * time.Second, 10 * time.Second, 3 * time.Hour, 40 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
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
				p.setState(t, "lock", `1`, 5*time.Second)
				session := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(600))})
				id := p.submit(t, `{"plan":"v1","timeout":"5m","nodes":[{"id":"w","wait":"3s"},
					{"id":"c","capability":"r.once","inputs":{"take":"3s"},"timeout":"10s"},
					{"id":"n","capability":"r.once","depends_on":["w","c"]}]}`)
				time.Sleep(time.Second)
				began := time.Now()
				clock.Set(by)
				want(t, p.rest(t, id), schemas.StatusSucceeded, "", "w=succeeded c=succeeded n=succeeded")
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("what was left of three seconds took %v", took)
				}
				time.Sleep(7*time.Second - time.Since(began))
				if p.get(t, state.Ref{Type: "order", Key: "lock"}).Found {
					t.Error("the lock of five seconds is still held")
				}
				p.wantSession(t, session.SessionID, schemas.SessionActive)
			})
		})
	}
}

// A clock that is 40 days ahead at a start deletes nothing for good; once as much time has passed, what ended long ago is deleted.
func TestClockIsFarAheadAtAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var clock storetest.Clock
		w := newWorld()
		defer w.end()
		retain := func(c *Config) {
			c.Retention = upkeep.Retention{Executions: 8 * time.Hour, States: 8 * time.Hour}
		}
		// start runs a process until the test has looked at it.
		start := func(look func(p *process)) {
			t.Helper()
			s, err := bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading(), Sweep: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			p := run(w, s, retain)
			defer p.stop()
			look(p)
		}
		var id string
		start(func(p *process) {
			id = p.execute(t, `{"plan":"v1","nodes":[{"id":"n","set":1}]}`).ExecutionID
			p.setState(t, "k", `1`, 0)
			time.Sleep(80 * time.Minute) // each kind of retention has had a round
		})
		clock.Set(40 * 24 * time.Hour)
		kept := func(p *process, wanted bool) {
			t.Helper()
			_, err := p.Executions.Status(t.Context(), id, schemas.ViewSummary, 0, nil)
			if found := p.get(t, state.Ref{Type: "order", Key: "k"}).Found; (err == nil) != wanted || found != wanted {
				t.Errorf("kept: %v: execution %v, state %v", wanted, err, found)
			}
		}
		for range 2 {
			start(func(p *process) {
				time.Sleep(80 * time.Minute)
				kept(p, true)
			})
		}
		start(func(p *process) {
			time.Sleep(8 * time.Hour)
			kept(p, false)
		})
	})
}

package runtime

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/storetest"
)

// A plan whose process dies each time makes its call once and then once after each of five recoveries, none of which spends its only
// attempt; after that it is suspended.
func TestFiveRecoveriesAndThenASuspend(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		source := `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","retry":{"max_attempts":1},"inputs":{"take":"1s"}}]}`
		var id string
		for crashes := range 6 {
			dying := storetest.Crash(s, 0, storetest.CrashBefore)
			p := run(w, dying)
			if crashes == 0 {
				id = p.submit(t, source)
			}
			time.Sleep(time.Second / 2) // the start is durable, the result is not
			dying.Die()
			time.Sleep(time.Minute)
			synctest.Wait()
			p.stop()
			if n := w.calls("read", "a"); n != crashes+1 {
				t.Fatalf("%d calls in %d processes", n, crashes+1)
			}
		}
		last := run(w, s)
		defer last.stop()
		e := last.rest(t, id)
		want(t, e, schemas.StatusSuspended, "", "a=ready")
		if n := w.calls("read", "a"); n != 6 {
			t.Errorf("%d calls", n)
		}
		m, err := last.Executions.Metrics(t.Context(), id)
		if err != nil || m.Recoveries != 6 { // the sixth suspends it
			t.Errorf("%+v %v", m, err)
		}
		last.resume(t, id)
		want(t, last.rest(t, id), schemas.StatusSucceeded, "", "a=succeeded")
	})
}

func TestSuspendStopsOrAwaitsCallsInFlight(t *testing.T) {
	for _, tt := range []struct {
		mode, effect string
		took         time.Duration
		calls        int // in all, with what follows the resume
	}{
		{"", "read", 10 * time.Second, 1}, {"drain", "idempotent", 10 * time.Second, 1}, {"drain", "once", 10 * time.Second, 1},
		{"now", "read", 0, 2}, {"now", "idempotent", 0, 2}, {"now", "once", 10 * time.Second, 1},
		{"drain now", "read", 0, 2}, {"drain now", "once", 10 * time.Second, 1}, {"now drain", "idempotent", 0, 2}, {"now now", "read", 0, 2},
	} {
		t.Run(tt.mode+" "+tt.effect, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				p := run(w, s)
				defer p.stop()
				id := p.submit(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.`+tt.effect+`","retry":{"max_attempts":1},"inputs":{"take":"10s"}},{"id":"b","capability":"r.read","depends_on":["a"]}]}`)
				began := time.Now()
				for mode := range strings.SplitSeq(tt.mode, " ") {
					if _, err := p.Executions.Suspend(t.Context(), id, mode, "why "+mode); err != nil {
						t.Fatal(err)
					}
				}
				e := p.rest(t, id)
				if took := time.Since(began); e.Status != schemas.StatusSuspended || took != tt.took {
					t.Errorf("%s after %s, want %s", e.Status, took, tt.took)
				}
				if w.calls("", "b") != 0 {
					t.Error("something was started")
				}
				p.resume(t, id)
				want(t, p.rest(t, id), schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
				if n := w.calls("", "a"); n != tt.calls || w.ledger[0].key != w.ledger[n-1].key {
					t.Errorf("called %d times: %v", n, w.ledger)
				}
			})
		})
	}
}

// waiting is a flag of a running execution of which nothing runs; a call in flight clears it.
func TestWaitingMeansThatNothingRuns(t *testing.T) {
	for node, waiting := range map[string]bool{
		`"wait":"1h"`: true, `"wait_for":"paid"`: true, `"review":"Sure?"`: true, `"capability":"r.once","safety_level":"review"`: true,
		`"capability":"r.read","inputs":{"fail":1,"code":"unavailable"},"retry":{"initial_interval":"1h","max_interval":"2h"}`: true,
		`"capability":"r.read","inputs":{"take":"1h"}`: false,
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			p := run(w, s)
			defer p.stop()
			alone := p.submit(t, `{"plan":"v1","nodes":[{"id":"z","set":1},{"id":"a","depends_on":["z"],`+node+`},{"id":"next","set":1,"depends_on":["a"]}]}`)
			busy := p.submit(t, `{"plan":"v1","nodes":[{"id":"z","capability":"r.read","inputs":{"take":"1h"}},{"id":"a",`+node+`},{"id":"next","set":1,"depends_on":["a"]}]}`)
			for id, want := range map[string]bool{alone: waiting, busy: false} {
				if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusRunning || e.Waiting != want {
					t.Errorf("%s: %s, waiting %v, want %v, %v", node, e.Status, e.Waiting, want, err)
				}
			}
		})
	}
}

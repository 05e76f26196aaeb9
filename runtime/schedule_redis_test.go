package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// There is one firing each second, and twice the replica that is making one dies: one after its decision, and another one after the
// execution. Each firing is one execution all the same.
func TestScheduleOnThreeReplicasOfARedis(t *testing.T) {
	t.Parallel()
	const killed, firings = 2, 9
	o, w := redis.Options{URL: redistest.Standalone(t).URL()}, newWorld()
	var decisions, deaths atomic.Int64
	var all []*process
	for range killed + 1 {
		c := storetest.Crash(recordstest.Redis(t, o), 0, storetest.CrashAfter)
		crashing := &hooks{Store: c, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if len(b.Puts) == 1 && b.Puts[0].Key.Kind == workflow.KindSchedule && !c.Crashed() {
				n := decisions.Load()
				if bytes.Contains(b.Puts[0].Value, []byte(`"orders"`)) {
					n = decisions.Add(1)
				}
				if dies := []int64{3, 5}; deaths.Load() < killed && n == dies[deaths.Load()] && (b.Release != nil) == (n == 5) {
					deaths.Add(1)
					c.Reset(1)
				}
			}
			return c.Commit(ctx, b)
		}}
		all = append(all, replica(t, w, crashing, withLimits(func(l *engine.Limits) { l.Lease, l.Grace = time.Second, time.Second })))
	}
	first := all[0].setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(time.Second), Overlap: schemas.OverlapAllow})
	p := idle(w, recordstest.Redis(t, o))
	eventually(t, "the firings are made", func() bool { return len(p.fired(t, "w")) >= firings })
	var want []time.Time
	got := p.fired(t, "w")
	for i := range got {
		want = append(want, first.Add(time.Duration(i)*time.Second))
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("executions of %v, want %v", got, want)
	}
	if deaths.Load() != killed {
		t.Errorf("%d replicas died, want %d", deaths.Load(), killed)
	}
}

// No replica ran for an hour. As many of the missed firings are made as catch_up says, by one of the two replicas that start together.
func TestCatchUpOnRedis(t *testing.T) {
	t.Parallel()
	o, w := redis.Options{URL: redistest.Standalone(t).URL()}, newWorld()
	p := idle(w, recordstest.Redis(t, o))
	p.setSchedule(t, "w", greet("x"), schemas.Schedule{Every: interval(10 * time.Minute), Overlap: schemas.OverlapAllow, CatchUp: new(2)})
	rec, err := p.store.Get(t.Context(), workflow.ScheduleKey(caller.LocalPrincipal, "w"))
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		t.Fatal(err)
	}
	start := records.Now().Add(-65 * time.Minute)
	s["set_at"], s["decided"] = start, start
	value, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Commit(t.Context(), store.Batch{
		Puts: []store.Put{{Key: rec.Key, Value: value, Version: rec.Version}}, Wakes: []store.Wake{{Key: rec.Key, At: start.Add(10 * time.Minute)}},
	}); err != nil {
		t.Fatal(err)
	}
	onRedis(t, w, o)
	onRedis(t, w, o)
	eventually(t, "the missed firings are made", func() bool {
		return p.outcomes(t, "w", start) == "2400 missed, 3000 executed, 3600 executed"
	})
	if at := p.fired(t, "w"); len(at) != 2 || !at[1].Equal(start.Add(time.Hour)) {
		t.Errorf("executions of %v", at)
	}
}

// The end of a session is committed when it is due, with exactly the time that was shown before, by replicas that never saw it.
func TestSessionsExpireOnRedis(t *testing.T) {
	t.Parallel()
	o, w := redis.Options{URL: redistest.Standalone(t).URL()}, newWorld()
	p := idle(w, recordstest.Redis(t, o))
	onRedis(t, w, o)
	onRedis(t, w, o)
	due := map[string]time.Time{}
	for i := range 30 {
		s := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(1 + i%2))})
		due[s.SessionID] = s.ExpiresAt
	}
	for id, at := range due {
		eventually(t, "the end of a session is committed", func() bool {
			s, err := committedSession(t.Context(), p.store, id)
			if err != nil {
				t.Fatal(err)
			}
			if s.Status == schemas.SessionExpired && !s.EndedAt.Equal(at) {
				t.Fatalf("it ended at %s, want %s", s.EndedAt, at)
			}
			return s.Status == schemas.SessionExpired
		})
	}
}

package runtime

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// TestScheduleOnThreeReplicasOfARedis: one firing each second, and twice the replica dies that is just making one: behind its decision,
// and then another behind the execution. Each firing is one execution all the same.
func TestScheduleOnThreeReplicasOfARedis(t *testing.T) {
	const killed, firings = 2, 9
	url := redistest.Standalone(t).URL()
	w := newWorld()
	var decisions, deaths atomic.Int64
	var all []*process
	for range killed + 1 {
		s, err := redis.Open(t.Context(), redis.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		c := storetest.Crash(s, 0, storetest.CrashAfter)
		mortal := &hooks{Store: c, commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
			if len(b.Puts) == 1 && b.Puts[0].Key.Kind == kindSchedule && !c.Crashed() {
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
		r := New(Config{Store: mortal, Realms: w, Limits: Limits{Lease: time.Second, Grace: time.Second}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = r.Run(ctx); close(done) }() // Run has no error of its own
		p := &process{r, sync.OnceFunc(func() {
			cancel()
			<-done
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})}
		t.Cleanup(p.stop)
		all = append(all, p)
	}
	first := all[0].schedules(t, "w", greet("x"), schemas.Schedule{Every: every(time.Second), Overlap: schemas.OverlapAllow})
	observer, err := redis.Open(t.Context(), redis.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Close()
	p := &process{Runtime: New(Config{Store: observer, Realms: w})}
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

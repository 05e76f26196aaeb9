package runtime

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// What the tests in virtual time assert of two replicas, short and on a real Redis, standalone and as a Cluster, with 16 shards: each answers
// for the other, a cancel through one reaches the other, and what a stopped one owned goes on elsewhere.
func TestReplicasOnRedis(t *testing.T) {
	t.Parallel()
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		replicasOn(t, redistest.Standalone(t).URL())
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.Cluster(t)
		replicasOn(t, c.URL())
		takeoverOn(t, c.URL()+"?prefix=killed")
		for _, m := range c.Masters {
			if keys, _ := m.Do("KEYS", "{killed:*}:l:execution:*").([]any); len(keys) == 0 {
				t.Errorf("%s has no execution", m.Addr)
			}
		}
	})
}

// takeoverOn kills a replica in the middle of its work: another one answers for all of it at once, and goes on with it when the leases
// expire. A call in flight that may not be repeated is held there.
func takeoverOn(t *testing.T, url string) {
	t.Helper()
	w := newWorld()
	var dying *storetest.Crasher
	lease := func(c *Config) { c.Limits.Lease = 2 * time.Second }
	first := onRedis(t, w, redis.Options{URL: url}, lease, func(c *Config) {
		dying = storetest.Crash(c.Store, 0, storetest.CrashAfter)
		c.Store, c.Limits.Grace = dying, time.Nanosecond
	})
	var ids []string
	for i := range 24 {
		ids = append(ids, first.begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"s","wait_for":"go"},{"id":"a","capability":"r.once","inputs":{"id":"%da","take":"500ms"},"depends_on":["s"]},
			{"id":"n","capability":"r.idempotent","inputs":{"id":"%dn","take":"50ms"},"depends_on":["a"]},{"id":"b","capability":"r.once","inputs":{"id":"%db"},"depends_on":["n"]}],"output":"${nodes.b.output.id}"}`, i, i, i)))
	}
	signal := func(p *process, ids []string) {
		for _, id := range ids {
			if _, err := p.Executions.Signal(t.Context(), id, "go", nil); err != nil {
				t.Error(err)
			}
		}
	}
	signal(first, ids[:20])
	second := onRedis(t, w, redis.Options{URL: url}, lease)
	tryFor(t, "calls in flight", func() error {
		if n := w.calls("once", ""); n < 10 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	dying.Reset(1)
	select {
	case <-dying.Dead():
	case <-time.After(30 * time.Second):
		t.Fatal("the first replica makes no commit")
	}
	signal(second, ids[20:])
	first.stop()
	held := map[string]bool{}
	for i, id := range ids {
		e := second.rest(t, id)
		if e.Status == schemas.StatusSuspended {
			second.settle(t, w, e, fmt.Sprint(i), held)
			e = second.rest(t, id)
		}
		want(t, e, schemas.StatusSucceeded, "", "s=succeeded a=succeeded n=succeeded b=succeeded")
		for _, once := range []string{"a", "b"} {
			if call := fmt.Sprint(i, once); w.calls("once", call) != 1 && !held[call] {
				t.Errorf("%s was called %d times", call, w.calls("once", call))
			}
		}
	}
	if len(held) == 0 {
		t.Error("nothing was in flight when it was killed")
	}
}

func replicasOn(t *testing.T, url string) {
	t.Helper()
	w := newWorld()
	first, second := onRedis(t, w, redis.Options{URL: url}), onRedis(t, w, redis.Options{URL: url})
	cancelled := first.begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","timeout":"20m","inputs":{"id":"long","take":"10m"}}]}`)
	second.cancel(t, cancelled, engine.CancelOptions{Grace: time.Minute})
	want(t, second.rest(t, cancelled), schemas.StatusCancelled, "", "n=cancelled")

	var ids []string
	for i := range 20 {
		ids = append(ids, first.begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"a%d"}},
			{"id":"n","capability":"r.idempotent","inputs":{"id":"n%d","take":"1s"},"depends_on":["a"]},{"id":"b","capability":"r.once","inputs":{"id":"b%d"},"depends_on":["n"]}]}`, i, i, i)))
	}
	first.stop()
	for i, id := range ids {
		want(t, second.rest(t, id), schemas.StatusSucceeded, "", "a=succeeded n=succeeded b=succeeded")
		for _, once := range []string{"a", "b"} {
			if n := w.calls("once", fmt.Sprint(once, i)); n != 1 {
				t.Errorf("%s%d was called %d times", once, i, n)
			}
		}
	}
	for _, p := range []*process{first, second} {
		if lost, unqueued := p.Executions.Counters.RolledBack.Load(), p.upkeep.Unqueued.Load(); lost != 0 || unqueued != 0 {
			t.Errorf("%d rolled back, %d unqueued", lost, unqueued)
		}
	}
}

// While one of three masters of a Cluster is down, executions on the others are claimed, renewed and go on, and check_health says what is
// wrong; those on it go on when it is back.
func TestAShardThatIsDown(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, "cluster-require-full-coverage no", "appendfsync always") // or a kill may lose what was acknowledged
	w := newWorld()
	p := onRedis(t, w, redis.Options{URL: c.URL()}, func(c *Config) { c.Limits.Lease = 5 * time.Second })
	var ids []string
	for i := range 24 { // so many that each master has some
		id := p.begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"s","wait_for":"go"},{"id":"a","capability":"r.once","inputs":{"id":"%da","take":"6s"},"depends_on":["s"]},
			{"id":"b","capability":"r.once","inputs":{"id":"%db"},"depends_on":["a"]}]}`, i, i))
		want(t, p.rest(t, id), schemas.StatusRunning, "", "s=running a=pending b=pending")
		ids = append(ids, id)
	}
	c.Masters[1].Kill()
	var signals sync.WaitGroup
	refused := make([]bool, len(ids))
	for i, id := range ids {
		signals.Go(func() {
			_, err := p.Executions.Signal(t.Context(), id, "go", nil)
			refused[i] = err != nil
		})
	}
	signals.Wait()
	var away []string
	for i, id := range ids {
		if refused[i] {
			away = append(away, id)
		}
	}
	if len(away) == 0 || len(away) == len(ids) {
		t.Fatalf("%d of %d executions are on the master that is down", len(away), len(ids))
	}
	for _, id := range ids {
		if !slices.Contains(away, id) {
			want(t, p.rest(t, id), schemas.StatusSucceeded, "", "s=succeeded a=succeeded b=succeeded")
		}
	}
	if q := checkNamed(t, p.Health.Check(t.Context(), schemas.ScopeRuntime), "runtime.queue"); q.Status != schemas.HealthDegraded || !strings.Contains(q.Message, "store") || q.Cure == "" {
		t.Errorf("the queue is %+v", q)
	}
	c.Masters[1].Restart()
	c.Await()
	for _, id := range away {
		tryFor(t, "a signal", func() error { _, err := p.Executions.Signal(t.Context(), id, "go", nil); return err })
	}
	for _, id := range away {
		want(t, p.rest(t, id), schemas.StatusSucceeded, "", "s=succeeded a=succeeded b=succeeded")
	}
	for i := range ids {
		if a, b := w.calls("once", fmt.Sprint(i, "a")), w.calls("once", fmt.Sprint(i, "b")); a != 1 || b != 1 {
			t.Errorf("%d was called %d and %d times", i, a, b)
		}
	}
	tryFor(t, "health", func() error {
		if h := p.Health.Check(t.Context(), schemas.ScopeRuntime); h.Status != schemas.HealthOK {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
}

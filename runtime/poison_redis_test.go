package runtime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// On a real Redis, an execution that kills at once as it wakes kills two replicas that run beside each other, and not the third. What the two
// had at work goes on there, and the execution is cancelled without being evaluated.
func TestPoisonedExecutionKillsTwoReplicasOnRedis(t *testing.T) {
	t.Parallel()
	url := redistest.Standalone(t).URL()
	w := newWorld()
	lease := func(c *Config) { c.Limits.Lease = 2 * time.Second }
	var dying []*storetest.Crasher
	var poisoners []*poisoned
	var replicas []*process
	for range 2 {
		replicas = append(replicas, onRedis(t, w, redis.Options{URL: url}, lease, func(c *Config) {
			s := storetest.Crash(c.Store, 0, storetest.CrashBefore)
			p := &poisoned{Store: s, die: s.Die}
			c.Store, c.Limits.Grace = p, time.Nanosecond
			dying, poisoners = append(dying, s), append(poisoners, p)
		}))
	}
	root := replicas[0].begin(t, strings.Replace(poison(`{"id":"p","set":"${nodes.poison.output.v + 'x'}","depends_on":["w"]}`), `"1m"`, `"3s"`, 1))
	var others []string
	for i := range 20 {
		others = append(others, replicas[i%2].begin(t, `{"plan":"v1","nodes":[{"id":"a","wait":"2900ms"},{"id":"b","capability":"r.idempotent","inputs":{"take":"3s"},"depends_on":["a"]},{"id":"c","set":1,"depends_on":["b"]}]}`))
	}
	eventually(t, "both replicas die", func() bool { return dying[0].Crashed() && dying[1].Crashed() })
	for i, p := range replicas {
		if n := poisoners[i].hits.Load(); n != 1 {
			t.Errorf("replica %d evaluated it %d times", i, n)
		}
		p.stop()
	}
	last := onRedis(t, w, redis.Options{URL: url}, lease, func(c *Config) {
		c.Store = &poisoned{Store: c.Store, die: func() { t.Error("it was evaluated by the third replica") }}
	})
	for _, id := range others {
		want(t, last.rest(t, id), schemas.StatusSucceeded, "", "a=succeeded b=succeeded c=succeeded")
	}
	tryFor(t, "it is held", func() error {
		e, err := last.Executions.Status(t.Context(), root, schemas.ViewNodes, 0, nil)
		if err == nil && (len(e.WaitingFor) == 0 || e.WaitingFor[0].Reason != schemas.ReasonRecovery) {
			err = fmt.Errorf("%s, %+v", e.Status, e.WaitingFor)
		}
		return err
	})
	if held := last.heldExecution(t); held.ExecutionID != root {
		t.Errorf("%+v is held", held)
	}
	last.cancel(t, root, engine.CancelOptions{})
	want(t, last.rest(t, root), schemas.StatusCancelled, "", "")
}

// On a real Redis, an execution whose reading kills a replica is held by the other one, which does not read it, while one that the replica had
// at work goes on there.
func TestExecutionWhoseReadingKillsIsNotReadAgainOnRedis(t *testing.T) {
	t.Parallel()
	url := redistest.Standalone(t).URL()
	w := newWorld()
	configure := func(c *Config) { c.Limits.Lease, c.Limits.Grace = 2*time.Second, time.Nanosecond; isSmall(c) }
	var dying *storetest.Crasher
	first := onRedis(t, w, redis.Options{URL: url}, configure, func(c *Config) {
		dying = storetest.Crash(c.Store, 0, storetest.CrashBefore)
		c.Store = &unreadable{Store: dying, die: dying.Die}
	})
	other := first.begin(t, `{"plan":"v1","nodes":[{"id":"b","capability":"r.idempotent","inputs":{"take":"3s"}}]}`)
	root := first.begin(t, largePlan(false, `{"id":"w","wait":"2s"},{"id":"p","set":1,"depends_on":["w"]}`))
	eventually(t, "the replica dies", dying.Crashed)
	second := onRedis(t, w, redis.Options{URL: url}, configure, func(c *Config) {
		c.Store = &unreadable{Store: c.Store, die: func() { t.Error("it was read again") }}
	})
	_, err := second.Executions.Cancel(t.Context(), root, engine.CancelOptions{})
	if problem := schemas.AsError(err); err != nil && !problem.Retryable {
		t.Errorf("cancel while the dead replica has its lease: %v", err)
	}
	want(t, second.rest(t, other), schemas.StatusSucceeded, "", "b=succeeded")
	tryFor(t, "it is held, or cancelled", func() error {
		_, err := second.Executions.Cancel(t.Context(), root, engine.CancelOptions{})
		return err
	})
	if e, err := second.Executions.Status(t.Context(), root, "", 0, nil); err != nil || e.Status != schemas.StatusCancelled {
		t.Errorf("%s %v", e.Status, err)
	}
}

package runtime

import (
	"errors"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

const (
	onePlan     = `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"id":"ID"}}]}`
	heldPlan    = `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","inputs":{"id":"ID","hold":true}}]}`
	waitingPlan = `{"plan":"v1","nodes":[{"id":"s","wait_for":"go"},{"id":"n","capability":"r.once","inputs":{"id":"ID"},"depends_on":["s"]}]}`
)

func withID(source, id string) string { return strings.ReplaceAll(source, "ID", id) }

// Whatever is wrong with Redis while calls are in flight, a submission fails with an error that says so and is not half accepted, and
// check_health says so and what to do. Once it is repaired both recover by themselves, the answer of a call in flight is committed, what
// waited goes on, and nothing was called twice. A second deployment with another prefix on the same Redis sees nothing of it.
func TestRedisInTrouble(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t, "user app on >first ~* &* +@all")
	url := "redis://app:first@" + server.Addr
	w := newWorld()
	p := onRedis(t, w, redis.Options{URL: url})
	other := onRedis(t, newWorld(), redis.Options{URL: url, Prefix: "other"})
	const running = "{rp:00}:t:execution:status=running"
	for _, tt := range []struct {
		name           string
		damage, repair func()
		store          schemas.HealthStatus // of runtime.store
		words, remedy  string
	}{
		{"down in flight", server.Stop, server.Restart, schemas.HealthDown, "Redis", "by itself"},
		{"wrong password", func() {
			server.Do("ACL", "SETUSER", "app", "resetpass", ">second")
			server.Do("CLIENT", "KILL", "USER", "app")
		}, func() { server.Do("ACL", "SETUSER", "app", "resetpass", ">first") }, schemas.HealthDown, "Redis denies access", "user and password"},
		{"read-only replica", func() { server.Do("REPLICAOF", "127.0.0.1", "1") }, func() { server.Do("REPLICAOF", "NO", "ONE") },
			schemas.HealthDegraded, "read-only replica", "connect to the master"},
		{"full memory", func() { server.Config("maxmemory", "1") }, func() { server.Config("maxmemory", "0") },
			schemas.HealthDegraded, "reached its maxmemory", "raise maxmemory"},
		{"wrong type at a key", func() {
			server.Do("RENAME", running, "{rp:00}:aside")
			server.Do("SET", running, "x")
		}, func() { server.Do("RENAME", "{rp:00}:aside", running) }, schemas.HealthOK, "holds something else", "another program uses the same keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := strings.ReplaceAll(tt.name, " ", "_")
			waiting := p.begin(t, withID(waitingPlan, "waiting_"+id))
			flying := p.begin(t, withID(heldPlan, "flying_"+id))
			tryFor(t, "the call in flight", func() error {
				if w.calls("once", "flying_"+id) == 0 {
					return errors.New("it was not sent")
				}
				return nil
			})
			tt.damage()
			w.release("flying_" + id)
			sub := engine.Submit{Plan: []byte(withID(onePlan, "new_"+id)), IdempotencyKey: id}
			_, err := p.Executions.Execute(t.Context(), sub)
			if e := schemas.AsError(err); err == nil || e.Code != schemas.CodeUnavailable || !e.Retryable || !strings.Contains(e.Message, tt.words) || !strings.Contains(e.Hint, tt.remedy) {
				t.Errorf("a submission: %v", err)
			}
			says := func(name string, status schemas.HealthStatus) error {
				c := checkNamed(t, p.Health.Check(t.Context(), schemas.ScopeRuntime), name)
				if c.Status != status || status != schemas.HealthOK && (!strings.Contains(c.Message, tt.words) || !strings.Contains(c.Cure, tt.remedy)) {
					return errors.New(string(c.Status) + ": " + c.Message + "; " + c.Cure)
				}
				return nil
			}
			tryFor(t, "check_health of the store", func() error { return says("runtime.store", tt.store) })
			tryFor(t, "check_health of the execution whose call has ended", func() error { return says("runtime.executions", schemas.HealthDegraded) })
			tt.repair()
			tryFor(t, "a submission", func() error {
				e, err := p.Executions.Execute(t.Context(), sub)
				if err == nil {
					want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, "", "n=succeeded")
				}
				return err
			})
			want(t, p.rest(t, flying), schemas.StatusSucceeded, "", "n=succeeded")
			if _, err := p.Executions.Signal(t.Context(), waiting, "go", nil); err != nil {
				t.Error(err)
			}
			want(t, p.rest(t, waiting), schemas.StatusSucceeded, "", "s=succeeded n=succeeded")
			for _, call := range []string{"flying_", "waiting_", "new_"} {
				if n := w.calls("once", call+id); n != 1 {
					t.Errorf("%s was called %d times", call, n)
				}
			}
			for _, name := range []string{"runtime.store", "runtime.queue", "runtime.executions", "runtime.recovery"} {
				tryFor(t, "check_health when it is repaired", func() error { return says(name, schemas.HealthOK) })
			}
			if _, err := other.Executions.Status(t.Context(), waiting, "", 0, nil); schemas.AsError(err) == nil || schemas.AsError(err).Code != schemas.CodeNotFound {
				t.Errorf("another deployment sees it: %v", err)
			}
		})
	}
	t.Run("a second deployment with another prefix", func(t *testing.T) {
		want(t, other.execute(t, withID(onePlan, "n")), schemas.StatusSucceeded, "", "n=succeeded")
		if h := other.Health.Check(t.Context(), schemas.ScopeRuntime); h.Status != schemas.HealthOK {
			t.Errorf("its health is %+v", h)
		}
		page, err := other.Executions.List(t.Context(), journal.Query{})
		if err != nil || len(page.Executions) != 1 {
			t.Errorf("it lists %d executions, %v; want its own", len(page.Executions), err)
		}
	})
}

// A process that cannot use its Redis does not start, and says why and what to do. What was accepted before goes on in the first one that
// can.
func TestRedisInTroubleAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t, "user app on >first ~* &* +@all")
	url := "redis://app:first@" + server.Addr
	for _, tt := range []struct {
		name, url      string
		damage, repair func()
		words, remedy  string
	}{
		{"down", url, server.Stop, server.Restart, "Redis cannot be reached", "start it, or correct the address"},
		{"wrong password", "redis://app:other@" + server.Addr, func() {}, func() {}, "Redis denies access", "correct user and password"},
		{"read-only replica", url, func() { server.Do("REPLICAOF", "127.0.0.1", "1") }, func() { server.Do("REPLICAOF", "NO", "ONE") },
			"read-only replica", "connect to the master"},
		{"full memory", url, func() { server.Config("maxmemory", "1") }, func() { server.Config("maxmemory", "0") },
			"reached its maxmemory", "raise maxmemory"},
		{"wrong type at a key", url, func() {
			server.Do("RENAME", "{rp}:about", "{rp}:aside")
			server.Do("SET", "{rp}:about", "x")
		}, func() { server.Do("RENAME", "{rp}:aside", "{rp}:about") }, "holds something else", "another prefix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := strings.ReplaceAll(tt.name, " ", "_")
			w := newWorld()
			first := onRedis(t, w, redis.Options{URL: url})
			waiting := first.begin(t, withID(waitingPlan, id))
			first.stop()
			tt.damage()
			s, err := redis.Open(t.Context(), redis.Options{URL: tt.url})
			if err == nil {
				_ = s.Close() // nothing was written
			}
			f, ok := errors.AsType[*redis.Fault](err)
			if !ok || !strings.Contains(f.Error(), tt.words) || !strings.Contains(f.Hint(), tt.remedy) {
				t.Errorf("open: %v", err)
			}
			tt.repair()
			next := onRedis(t, w, redis.Options{URL: url})
			next.signal(t, waiting, "go", nil)
			want(t, next.rest(t, waiting), schemas.StatusSucceeded, "", "s=succeeded n=succeeded")
			if n := w.calls("once", id); n != 1 {
				t.Errorf("called %d times", n)
			}
			if h := next.Health.Check(t.Context(), schemas.ScopeRuntime); h.Status != schemas.HealthOK {
				t.Errorf("its health is %+v", h)
			}
		})
	}
}

package runtime

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// An outage as in the tests in virtual time, short and on a real server that is killed or paused: what is known is shown, direct calls go
// on within their limits, starts are refused, and the results of calls in flight are committed when the server is back.
func TestRedisOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct{ begin, end func(*redistest.Server) }{
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"paused": {(*redistest.Server).Pause, (*redistest.Server).Continue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Standalone(t, "appendfsync always")
			f := &paired{tries: 1, queueFixture: &queueFixture{world: newWorld(), open: func() store.Store { return recordstest.Redis(t, redis.Options{URL: server.URL()}) }}}
			f.ctx = as(t, "ada")
			f.p = f.worker(t, 8)
			f.setPolicies(schemas.Policy{}, map[string]schemas.Policy{"read": {RateLimit: rate(2, time.Hour), CacheTTL: hour}})
			f.invoke(t, "read", works, "")
			const source = `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"a","take":"3s"}},{"id":"b","capability":"r.once","inputs":{"id":"b"},"depends_on":["a"]}]}`
			e, err := f.p.Executions.Execute(f.ctx, engine.Submit{Plan: []byte(source)})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the call is under way", func() bool { return f.calls("once", "a") == 1 })

			outage.begin(server)
			now, err := f.p.Executions.Status(f.ctx, e.ExecutionID, "", 0, nil)
			if err != nil || now.Status != schemas.StatusRunning || now.Hint != hintStale {
				t.Errorf("its status: %+v %v", now, err)
			}
			f.invoke(t, "read", works, "")                                                                                             // it is cached
			f.invoke(t, "read", `{"id":"second"}`, "")                                                                                 // counted by this process alone from here on
			f.invoke(t, "read", `{"id":"third"}`, "")                                                                                  // which has two
			f.invoke(t, "read", `{"id":"fourth"}`, "rate_limited")                                                                     // and no more
			if d, err := f.p.Capabilities.Discover(f.ctx, schemas.DiscoverQuery{Query: "x"}); err != nil || len(d.Capabilities) == 0 { // and a cursor
				t.Errorf("discovery: %+v %v", d, err)
			}
			if name == "killed" { // where it is paused each request takes seconds
				_, err = f.p.Executions.Execute(f.ctx, engine.Submit{Plan: []byte(source)})
				if e := schemas.AsError(err); code(e) != schemas.CodeUnavailable || e.RetryAfterSeconds <= 0 {
					t.Errorf("a start: %v", err)
				}
			}
			if err := f.p.Health.Ready(f.ctx); codeOf(err) != schemas.CodeUnavailable {
				t.Errorf("ready: %v", err)
			}

			outage.end(server)
			eventually(t, "it ends", func() bool { // it may be held for a moment, until the result of the call comes in
				now, err = f.p.Executions.Status(f.ctx, e.ExecutionID, schemas.ViewNodes, time.Second, nil)
				return err == nil && now.Status.Terminal()
			})
			want(t, now, schemas.StatusSucceeded, "", "a=succeeded b=succeeded")
			for _, id := range []string{"a", "b"} {
				if n := f.calls("once", id); n != 1 {
					t.Errorf("%s was called %d times", id, n)
				}
			}
			eventually(t, "it is ready again", func() bool { return f.p.Health.Ready(f.ctx) == nil })
			if _, err := f.p.Executions.Execute(f.ctx, engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","set":1}]}`)}); err != nil {
				t.Error(err)
			}
		})
	}
}

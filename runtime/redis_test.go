package runtime

import (
	"fmt"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// TestReplicasOnRedis is what the tests in virtual time say of two replicas, short and on a real Redis, alone and as a Cluster of 16
// shards: each answers for the other, one hears of a cancel through the other, and what a stopped one owned goes on elsewhere.
func TestReplicasOnRedis(t *testing.T) {
	t.Run("standalone", func(t *testing.T) { replicasOn(t, redistest.Standalone(t).URL()) })
	t.Run("cluster", func(t *testing.T) { replicasOn(t, redistest.Cluster(t).URL()) })
}

func replicasOn(t *testing.T, url string) {
	t.Helper()
	w := newWorld()
	first, second := onRedis(t, w, redis.Options{URL: url}), onRedis(t, w, redis.Options{URL: url})
	execute := func(p *process, source string) string {
		e, err := p.Execute(t.Context(), Submit{Plan: []byte(source)})
		if err != nil {
			t.Fatal(err)
		}
		return e.ExecutionID
	}
	cancelled := execute(first, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read","timeout":"20m","inputs":{"id":"long","take":"10m"}}]}`)
	if _, err := second.Cancel(t.Context(), cancelled, CancelOptions{Grace: time.Minute}); err != nil {
		t.Fatal(err)
	}
	want(t, second.rest(t, cancelled), schemas.StatusCancelled, "", "n=cancelled")

	var ids []string
	for i := range 20 {
		ids = append(ids, execute(first, fmt.Sprintf(`{"plan":"v1","nodes":[{"id":"a","capability":"r.once","inputs":{"id":"a%d"}},
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
		if c := p.Counters(); c.Unqueued != 0 || c.RolledBack != 0 {
			t.Errorf("%+v", c)
		}
	}
}

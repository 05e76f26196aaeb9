package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// keysThatMention are the keys of a Redis that have one of these texts in their names or anywhere in their values.
func keysThatMention(t *testing.T, s *redistest.Server, texts ...string) (found []string) {
	t.Helper()
	keys, _ := s.Do("KEYS", "*").([]any)
	if len(keys) == 0 {
		t.Fatal("the Redis is empty")
	}
	for _, k := range keys {
		key := fmt.Sprint(k)
		kind := fmt.Sprint(s.Do("TYPE", key))
		if kind == "none" { // it has just gone
			continue
		}
		read := map[string][]string{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "list": {"LRANGE", key, "0", "-1"}, "zset": {"ZRANGE", key, "0", "-1"}, "set": {"SMEMBERS", key},
		}[kind]
		if read == nil {
			t.Fatalf("%s is of a type that this test does not know", key)
		}
		content := key + " " + fmt.Sprint(s.Do(read...))
		for _, text := range texts {
			if strings.Contains(content, text) {
				found = append(found, key)
				break
			}
		}
	}
	return found
}

// After two replicas have deleted executions no key and no value mentions them.
func TestDeletedExecutionsLeaveNothingOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t)
	w := newWorld()
	keep := func(c *Config) { c.Retention.Executions = time.Second }
	all := []*process{onRedis(t, w, redis.Options{URL: server.URL()}, keep), onRedis(t, w, redis.Options{URL: server.URL()}, keep)}
	p := all[0]
	open := p.begin(t, `{"plan":"v1","nodes":[{"id":"w","wait_for":"go"}]}`)
	parent := p.execute(t, `{"plan":"v1","nodes":[{"id":"c","workflow":{"definition":{"plan":"v1","nodes":[{"id":"a","capability":"r.once"}]}}}]}`).ExecutionID
	gone := []string{parent, p.child(t, parent, "c"), p.execute(t, planOfEachKind("the-key")).ExecutionID}
	again, err := p.Executions.Rerun(t.Context(), gone[2], "b")
	if err != nil {
		t.Fatal(err)
	}
	p.rest(t, again.ExecutionID)
	gone = append(gone, again.ExecutionID)
	waited := p.begin(t, `{"plan":"v1","queue_timeout":"1h","nodes":[{"id":"q","review":"Sure?"}]}`)
	p.rest(t, waited)
	if _, err := all[1].Executions.Cancel(t.Context(), waited, engine.CancelOptions{}); err != nil {
		t.Fatal(err)
	}
	p.rest(t, waited)
	gone = append(gone, waited)
	if found := keysThatMention(t, server, gone...); len(found) < 20 {
		t.Errorf("only %v mention them before they are deleted", found)
	}
	eventually(t, "all of them are deleted", func() bool {
		var g sync.WaitGroup
		for _, p := range all {
			g.Go(func() {
				rounds := p.upkeep.ExecutionRounds()
				rounds.Every, rounds.Resume = time.Second, 10*time.Millisecond
				if _, err := p.store.Round(t.Context(), rounds); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		for _, id := range gone {
			if _, err := p.Executions.Status(t.Context(), id, "", 0, nil); codeOf(err) != schemas.CodeNotFound {
				return false
			}
		}
		return true
	})
	if found := keysThatMention(t, server, gone...); len(found) != 0 {
		t.Errorf("what was deleted is still found in %v", found)
	}
	if keys, _ := server.Do("KEYS", "*:r:"+journal.KindIdempotency+":*").([]any); len(keys) != 0 {
		t.Errorf("%v are reserved", keys)
	}
	if e, err := p.Executions.Status(t.Context(), open, "", 0, nil); err != nil || e.Status != schemas.StatusRunning {
		t.Errorf("what is open: %+v, %v", e, err)
	}
}

// The values of states are deleted at once, their versions expire.
func TestStatesAreDeletedOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t)
	p := onRedis(t, newWorld(), redis.Options{URL: server.URL()}, func(c *Config) { c.Retention.States = time.Millisecond })
	for i := range upkeep.StatesPerPage + 1 {
		if _, err := p.States.Set(t.Context(), state.Write{Ref: state.Ref{Type: "x", Key: fmt.Sprint(i)}, Data: schemas.Value(`"canary"`)}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(5 * time.Millisecond)
	if found := keysThatMention(t, server, "canary"); len(found) != upkeep.StatesPerPage+1 {
		t.Fatalf("written: %v", found)
	}
	rounds := p.upkeep.StateRounds()
	if more, err := p.store.Round(t.Context(), rounds); err != nil || more {
		t.Fatalf("more %v, %v", more, err)
	}
	if found := keysThatMention(t, server, "canary"); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
}

// Of a session that has ended nothing is left when it is no longer kept, not even its wake.
func TestSessionsAreDeletedOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Standalone(t)
	s, err := redis.Open(t.Context(), redis.Options{URL: server.URL(), Sweep: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := replica(t, newWorld(), s, func(c *Config) { c.Sessions.Keep, c.Limits.Lease = 2*time.Second, time.Second })
	expires := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(1)), Data: schemas.Object(`{"a":"canary"}`)}).SessionID
	deleted := p.createSession(t, schemas.SessionUpdates{}).SessionID
	if _, err := p.Sessions.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	if found := keysThatMention(t, server, expires, deleted, "canary"); len(found) < 4 {
		t.Errorf("only %v mention them before they are deleted", found)
	}
	eventually(t, "nothing is left of them", func() bool { return len(keysThatMention(t, server, expires, deleted, "canary")) == 0 })
}

// As many executions again after a deletion make the file no larger.
func TestSpaceOfDeletedExecutionsIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	s, err := bolt.Open(bolt.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p := replica(t, newWorld(), s, func(c *Config) { c.Retention.Executions = time.Nanosecond })
	size := func() (n int64) {
		t.Helper()
		err := filepath.Walk(dir, func(_ string, f os.FileInfo, err error) error {
			if err == nil && !f.IsDir() {
				n += f.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	source := fmt.Sprintf(`{"plan":"v1","inputs":{"large":%q},"nodes":[{"id":"a","for_each":"${lists.range(8)}","capability":"r.read","inputs":{"give":"${inputs.large}"}}]}`,
		strings.Repeat("x", 200_000))
	fill := func() {
		t.Helper()
		for range 7 {
			e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)})
			if err != nil {
				t.Fatal(err)
			}
			if e, err = p.Executions.Status(t.Context(), e.ExecutionID, "", time.Minute, nil); err != nil || e.Status != schemas.StatusSucceeded {
				t.Fatal(e, err)
			}
		}
	}
	empty := size()
	fill()
	full := size()
	if full < empty+4<<20 {
		t.Fatalf("%d bytes, %d when it was empty: there is no space to be used again", full, empty)
	}
	const step = 18 << 20 // more than a file of the store grows by at once
	for n := range 4 {    // without the deleted space they need three steps
		p.retainNow(t)
		if left := leftInStore(t, s); len(left) != 0 {
			t.Fatalf("%d records are left, such as %s", len(left), left[0])
		}
		fill()
		if got := size(); got > full+step {
			t.Fatalf("%d bytes after as many executions again, %d times, %d after the first", got, n+1, full)
		}
	}
}

// By the real clock and on both stores, a state and a session exist until their time, and not a second longer. Reads are judged by when they
// began and ended, so that a slow machine proves less and fails nothing.
func TestExpiryIsExact(t *testing.T) {
	for name, open := range map[string]func(t testing.TB) store.Store{
		"bolt": recordstest.Disk, "redis": func(t testing.TB) store.Store {
			return recordstest.Redis(t, redis.Options{URL: redistest.Standalone(t).URL()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := replica(t, newWorld(), open(t), func(c *Config) { c.Sessions.OnExpire = session.Cancel })
			se := p.createSession(t, schemas.SessionUpdates{TTLSeconds: new(int64(2))})
			e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait_for":"go"}]}`), SessionID: se.SessionID})
			if err != nil {
				t.Fatal(err)
			}
			if se, err = p.Sessions.Get(t.Context(), se.SessionID); err != nil {
				t.Fatal(err)
			}
			lock := state.Ref{Type: "lock", Key: "k"}
			st, err := p.States.Set(t.Context(), state.Write{Ref: lock, Data: schemas.Value(`1`), TTL: 1500 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			watch := func(what string, ends time.Time, exists func() bool) {
				t.Helper()
				eventually(t, what+" ends", func() bool {
					began := time.Now()
					found := exists()
					switch {
					case !found && time.Now().Before(ends):
						t.Errorf("%s was gone %v before its time", what, time.Until(ends))
					case found && began.After(ends.Add(time.Second)):
						t.Errorf("%s existed %v after its time", what, began.Sub(ends))
					}
					return !found
				})
			}
			watch("the state", *st.ExpiresAt, func() bool { return p.get(t, lock).Found })
			if s, err := p.States.Set(t.Context(), state.Write{Ref: lock, Data: schemas.Value(`2`), Expected: new(int64(0))}); err != nil {
				t.Errorf("taken again: %+v, %v", s, err)
			}
			watch("the session", se.ExpiresAt, func() bool {
				st, err := p.States.Get(t.Context(), state.Ref{Type: schemas.StateSession, Key: se.SessionID})
				if err != nil {
					t.Fatal(err)
				}
				return !strings.Contains(string(st.Context), `"status":"expired"`)
			})
			eventually(t, "its execution is cancelled", func() bool {
				e, err := p.Executions.Status(t.Context(), e.ExecutionID, "", 0, nil)
				return err == nil && e.Status == schemas.StatusCancelled
			})
			rec, err := committedSession(t.Context(), p.store, se.SessionID)
			if err != nil || rec.Status != schemas.SessionExpired || !rec.EndedAt.Equal(se.ExpiresAt) {
				t.Errorf("it ended at %v, %v, want %v", rec.EndedAt, err, se.ExpiresAt)
			}
		})
	}
}

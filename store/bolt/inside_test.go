package bolt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

func openMem(t *testing.T) *Store {
	t.Helper()
	s, err := Open(Options{Mem: true, Sweep: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustCommit(t *testing.T, s *Store, b store.Batch) store.Committed {
	t.Helper()
	c, err := s.Commit(context.Background(), b)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return c
}

// request encodes a batch as Commit does.
func (s *Store) request(b store.Batch) *request {
	r := s.requests.get()
	r.encode(&b, time.Now())
	return r
}

// broken is a request whose write panics: its record has no room for a version.
func (s *Store) broken() *request {
	r := s.request(store.Batch{
		Puts:    []store.Put{{Key: store.Key{Kind: "x", ID: "broken"}}},
		Appends: []store.Append{{Key: store.Key{Kind: "x", ID: "broken"}, Value: []byte("1")}},
		Claim:   &store.Claim{Key: store.Key{Kind: "x", ID: "broken"}, Owner: "o", TTL: time.Hour},
	})
	r.puts[0].value = nil
	return r
}

func TestPanicFailsItsBatchAlone(t *testing.T) {
	s := openMem(t)
	var group []*request
	for i := range 9 {
		if i == 4 {
			group = append(group, s.broken())
			continue
		}
		k := store.Key{Kind: "x", ID: fmt.Sprint(i)}
		group = append(group, s.request(store.Batch{
			Puts:    []store.Put{{Key: k, Value: []byte("v")}},
			Appends: []store.Append{{Key: store.Key{Kind: "x", ID: k.ID}, Value: []byte("1")}},
			Claim:   &store.Claim{Key: k, Owner: "o", TTL: time.Hour},
		}))
	}
	s.commits.mu.Lock()
	s.commits.queue = append(s.commits.queue, group...) // all at once, so that they are one group
	s.commits.notEmpty.Signal()
	s.commits.mu.Unlock()
	for i, r := range group {
		<-r.done
		if (r.err != nil) != (i == 4) {
			t.Errorf("request %d: %v", i, r.err)
		}
		if i != 4 && (r.versions[0] != 1 || r.logs[0].last != 1 || r.grant.Owner != "o") {
			t.Errorf("request %d: version %d, number %d, lease %+v", i, r.versions[0], r.logs[0].last, r.grant)
		}
	}
	// Nothing of the broken batch is left, and the store works.
	k := store.Key{Kind: "x", ID: "broken"}
	c := mustCommit(t, s, store.Batch{
		Puts:    []store.Put{{Key: k}},
		Appends: []store.Append{{Key: k, Value: []byte("1")}},
		Claim:   &store.Claim{Key: k, Owner: "other", TTL: time.Hour},
	})
	if c.Versions[0] != 1 || c.Seqs[0] != 1 {
		t.Errorf("got %+v", c)
	}
}

func TestConflictInAGroupFailsAlone(t *testing.T) {
	s := openMem(t)
	k := store.Key{Kind: "x", ID: "a"}
	put := func(version int64) *request {
		return s.request(store.Batch{Puts: []store.Put{{Key: k, Version: version}}, Appends: []store.Append{{Key: k, Value: []byte("e")}}})
	}
	// Each sees what the earlier ones of its group wrote.
	group := []*request{put(0), put(0), put(1), put(1), put(2), put(store.AnyVersion)}
	if err := s.commitTx(group); err != nil {
		t.Fatal(err)
	}
	for i, conflict := range []bool{false, true, false, true, false, false} {
		if errors.Is(group[i].err, store.ErrConflict) != conflict {
			t.Errorf("request %d: %v, want a conflict: %v", i, group[i].err, conflict)
		}
	}
	if r, err := s.Get(context.Background(), k); err != nil || r.Version != 4 {
		t.Errorf("version %d, %v, want 4", r.Version, err)
	}
	if es, err := s.Log(context.Background(), k, 0, 0); err != nil || len(es) != 4 {
		t.Errorf("%d entries, %v, want 4", len(es), err)
	}
}

func TestLogContinuesAfterItsNeighbourIsDeletedInOneTransaction(t *testing.T) {
	s := openMem(t)
	before, long := store.Key{Kind: "x", ID: "a"}, store.Key{Kind: "x", ID: "b"}
	for range 3 {
		mustCommit(t, s, store.Batch{Appends: []store.Append{{Key: before, Value: make([]byte, 3000)}}})
	}
	for range 100 {
		mustCommit(t, s, store.Batch{Appends: []store.Append{{Key: long, Value: make([]byte, 3000)}}})
	}
	mustCommit(t, s, store.Batch{Appends: []store.Append{{Key: store.Key{Kind: "x", ID: "c"}, Value: []byte("1")}}})
	clear(s.commits.tails)
	group := []*request{
		s.request(store.Batch{Deletes: []store.Key{long}}),
		s.request(store.Batch{Appends: []store.Append{{Key: before, Value: []byte("4")}}}),
		s.request(store.Batch{Appends: []store.Append{{Key: long, Value: []byte("1")}}}),
	}
	if err := s.commitTx(group); err != nil {
		t.Fatal(err)
	}
	if a, b := group[1].logs[0].last, group[2].logs[0].last; a != 4 || b != 1 {
		t.Errorf("the logs continued with %d and %d, want 4 and 1", a, b)
	}
}

func TestLastNumberOfAnyLog(t *testing.T) {
	s := openMem(t)
	total := int64(0)
	k := store.Key{Kind: "x", ID: "a"}
	prefix := appendLogPrefix(nil, k)
	for i := range 200 {
		err := s.db.View(func(tx *bbolt.Tx) error {
			if got := lastSeq(tx.Bucket(logsBucket.name), prefix); got != total {
				return fmt.Errorf("after %d commits: last is %d, want %d", i, got, total)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 1 + rand.IntN(20)
		b := store.Batch{}
		for range n {
			b.Appends = append(b.Appends, store.Append{Key: k, Value: []byte("e")})
		}
		mustCommit(t, s, b)
		total += int64(n)
	}
}

func TestFullDiskFailsOnlyCommits(t *testing.T) {
	s := openMem(t)
	k := store.Key{Kind: "x", ID: "a"}
	mustCommit(t, s, store.Batch{Puts: []store.Put{{Key: k, Value: []byte("1")}}, Appends: []store.Append{{Key: k, Value: []byte("1")}}})
	s.db.MaxSize = 1 << 15
	large := store.Batch{
		Puts:    []store.Put{{Key: k, Value: make([]byte, 64<<20), Version: 1}},
		Appends: []store.Append{{Key: k, Value: []byte("2")}},
		Claim:   &store.Claim{Key: k, Owner: "o", TTL: time.Hour},
	}
	if _, err := s.Commit(context.Background(), large); err == nil {
		t.Fatal("a commit beyond the file's limit succeeded")
	}
	s.db.MaxSize = 0
	c := mustCommit(t, s, store.Batch{
		Puts:    []store.Put{{Key: k, Value: []byte("2"), Version: 1}},
		Appends: []store.Append{{Key: k, Value: []byte("2")}},
		Claim:   &store.Claim{Key: k, Owner: "other", TTL: time.Hour},
	})
	if c.Versions[0] != 2 || c.Seqs[0] != 2 {
		t.Errorf("got %+v, want version 2 and number 2", c)
	}
}

// counts returns how many pairs each bucket holds.
func counts(t *testing.T, s *Store) string {
	t.Helper()
	out := ""
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			n := 0
			if err := tx.Bucket(b.name).ForEach(func(_, _ []byte) error { n++; return nil }); err != nil {
				return err
			}
			out += fmt.Sprintf("%s %d ", b.name, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSweeperReallyDeletes(t *testing.T) {
	s := openMem(t)
	for i := range 5 {
		b := store.Batch{}
		for j := range 500 {
			b.Puts = append(b.Puts, store.Put{Key: store.Key{Kind: "x", ID: fmt.Sprintf("p/%d-%d", i, j)}, TTL: time.Millisecond, Terms: []string{"a", "b"}})
		}
		mustCommit(t, s, b)
	}
	mustCommit(t, s, store.Batch{Puts: []store.Put{
		{Key: store.Key{Kind: "x", ID: "p/kept"}, TTL: time.Hour, Terms: []string{"a"}},
		{Key: store.Key{Kind: "x", ID: "p/always"}},
	}})
	want := "records 2 terms 1 logs 0 wakes 0 due 0 expiries 1 "
	for end := time.Now().Add(20 * time.Second); counts(t, s) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left: %swant: %s", counts(t, s), want)
		}
	}
}

func TestDeletesLeaveNoTrace(t *testing.T) {
	s := openMem(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		k := store.Key{Kind: "x", ID: fmt.Sprint(r.IntN(20))}
		b := store.Batch{
			Puts:    []store.Put{{Key: k, Version: store.AnyVersion, Terms: []string{fmt.Sprint(r.IntN(3)), fmt.Sprint(r.IntN(3))}}},
			Appends: []store.Append{{Key: k, Value: []byte("e")}},
			Wakes:   []store.Wake{{Key: k, At: time.Now().Add(time.Duration(r.IntN(100)) * time.Hour)}},
		}
		if r.IntN(2) == 0 {
			b.Puts[0].TTL = time.Duration(1+r.IntN(100)) * time.Hour
		}
		mustCommit(t, s, b)
	}
	for i := range 20 {
		mustCommit(t, s, store.Batch{Deletes: []store.Key{{Kind: "x", ID: fmt.Sprint(i)}}})
	}
	if got, want := counts(t, s), "records 0 terms 0 logs 0 wakes 0 due 0 expiries 0 "; got != want {
		t.Errorf("left: %s", got)
	}
}

func TestIdleLimitsAreForgotten(t *testing.T) {
	var ls limits
	ls.init()
	now := time.Now()
	for i := range 100_000 {
		if _, err := ls.take(store.Limit{Key: fmt.Sprint(i), Tokens: 1, Rate: 1, Period: time.Second, Burst: 1}, now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * time.Millisecond) // 100 keys are in use at a time
	}
	if n := len(ls.buckets); n > 2*minSweep {
		t.Errorf("%d buckets are kept for 100 keys in use", n)
	}
	busy := store.Limit{Key: "busy", Tokens: 1, Rate: 1, Period: time.Hour, Burst: 1}
	ls.take(busy, now)
	for i := range 5000 {
		ls.take(store.Limit{Key: fmt.Sprint("other", i), Tokens: 1, Rate: 1000, Period: time.Second, Burst: 1}, now)
		now = now.Add(time.Millisecond)
	}
	if wait, _ := ls.take(busy, now); wait <= 0 {
		t.Error("a bucket in use was forgotten")
	}
}

func TestWakeIsKeptWhenTheClockIsSetBack(t *testing.T) {
	s := openMem(t)
	qs := &s.queues
	k := store.Key{Kind: "x", ID: "a"}
	now := time.Now()
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.queue("x")
	if err := qs.load(q, now.Add(time.Hour)); err != nil { // the clock was an hour ahead
		t.Fatal(err)
	}
	r := s.request(store.Batch{Wakes: []store.Wake{{Key: k, At: now.Add(time.Minute)}}})
	if err := s.commitTx([]*request{r}); err != nil {
		t.Fatal(err)
	}
	qs.update(k, &r.wakes[0].wake, now)
	if err := qs.load(q, now); err != nil || q.ready.len() != 0 {
		t.Fatalf("%d ready, %v, want none yet", q.ready.len(), err)
	}
	if err := qs.load(q, now.Add(2*time.Minute)); err != nil || q.ready.len() != 1 {
		t.Fatalf("%d ready, %v, want one", q.ready.len(), err)
	}
}

func TestInstantsKeepTheirOrder(t *testing.T) {
	times := []time.Time{{}, time.Unix(-1<<40, 0), time.Unix(-1, 0), time.Unix(-1, 999_999_999), time.Unix(0, 0), time.Unix(0, 1),
		time.Now(), time.Now().Add(time.Hour), time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := 1; i < len(times); i++ {
		a, b := store.UnixNano(times[i-1]), store.UnixNano(times[i])
		if a > b || string(appendInstant(nil, a)) > string(appendInstant(nil, b)) {
			t.Errorf("%v is not before %v", times[i-1], times[i])
		}
		if parseInstant(appendInstant(nil, b)) != b {
			t.Errorf("%v does not round-trip", times[i])
		}
	}
	if store.UnixNano(times[0]) != math.MinInt64 || store.UnixNano(times[len(times)-1]) != math.MaxInt64 {
		t.Error("times out of range are not clamped")
	}
}

func TestCommitKeepsItsOwnCopy(t *testing.T) {
	// A caller whose context ended may reuse its slices at once, while the committer still has the batch.
	s := openMem(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cancelled := 0
	var group sync.WaitGroup
	var mu sync.Mutex
	for w := range 8 {
		group.Go(func() {
			value := make([]byte, 512)
			for n := range 200 {
				for i := range value {
					value[i] = byte(n)
				}
				k := store.Key{Kind: "x", ID: fmt.Sprint(w, "/", n)}
				if _, err := s.Commit(ctx, store.Batch{Puts: []store.Put{{Key: k, Value: value}}}); err != nil {
					mu.Lock()
					cancelled++
					mu.Unlock()
				}
				if w == 0 && n == 100 {
					cancel()
				}
			}
		})
	}
	group.Wait()
	if cancelled == 0 {
		t.Fatal("no commit was cancelled")
	}
	rs, err := s.List(context.Background(), store.Query{Kind: "x", Limit: 10_000})
	if err != nil || len(rs) == 0 {
		t.Fatal(len(rs), err)
	}
	for _, r := range rs {
		for _, b := range r.Value {
			if b != r.Value[0] {
				t.Fatalf("%q holds bytes of two batches", r.Key)
			}
		}
	}
}

package bolt

import (
	"testing"
	"time"

	"github.com/runplane/runplane/store"
)

// Of a key that is deleted while it is leased no lease is remembered, however it ends.
func TestLeasesOfDeletedKeysAreForgotten(t *testing.T) {
	now := time.Now()
	for name, end := range map[string]func(*leases, *lease){
		"expired":             func(ls *leases, l *lease) { ls.expire(l) },
		"released":            func(ls *leases, l *lease) { ls.remove(l); ls.released(l.Key, false, false) },
		"released after died": func(ls *leases, l *lease) { ls.remove(l); ls.released(l.Key, true, false) },
	} {
		t.Run(name, func(t *testing.T) {
			ls := leases{byKey: map[store.Key]*lease{}, left: map[digest]leftLease{}}
			other := ls.grant(store.Lease{Key: store.Key{Kind: "k", ID: "other"}, Owner: "one", Token: 1, Until: now.Add(time.Hour)})
			ls.expire(other)
			l := ls.grant(store.Lease{Key: store.Key{Kind: "k", ID: "x"}, Owner: "one", Token: 2, Until: now.Add(time.Hour)})
			ls.forget(l.Key, now)
			end(&ls, l)
			if len(ls.left) != 1 {
				t.Errorf("%d leases are remembered, want that of the other key", len(ls.left))
			}
		})
	}
}

// A lease that expires while the batch is written that releases it was released: its last owner has not died.
func TestLeaseThatExpiresWhileItIsReleased(t *testing.T) {
	s, err := Open(Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key := store.Key{Kind: "k", ID: "p/a"}
	if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: key, At: time.Now().Add(-time.Minute)}}}); err != nil {
		t.Fatal(err)
	}
	claim := func(owner string) store.Lease {
		t.Helper()
		ls, err := s.Claim(t.Context(), store.ClaimRequest{Kind: key.Kind, Owner: owner, Max: 1, TTL: time.Hour, Wait: 5 * time.Second})
		if err != nil || len(ls) != 1 {
			t.Fatal(ls, err)
		}
		return ls[0]
	}
	l := claim("one")
	r := s.requests.get()
	r.encode(&store.Batch{Release: &l, Wakes: []store.Wake{{Key: key, At: time.Now().Add(-time.Minute)}}}, s.clock.Now())
	if err := s.queues.reserve(r); err != nil || !r.released {
		t.Fatal(err, r.released)
	}
	if lost, err := s.Renew(t.Context(), []store.Lease{l}, time.Millisecond); err != nil || len(lost) > 0 {
		t.Fatal(lost, err)
	}
	for s.queues.leasesOf(key) {
		time.Sleep(time.Millisecond)
	}
	s.queues.apply([]*request{r})
	if next := claim("two"); next.Died {
		t.Errorf("the last owner of %+v died", next)
	}
}

// leasesOf has leases expire, and reports whether the key is leased.
func (qs *queues) leasesOf(key store.Key) bool {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.expireLeases(qs.clock.Now())
	return qs.leases.byKey[key] != nil
}

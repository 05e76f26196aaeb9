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

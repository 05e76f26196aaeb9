// Package storetest tests implementations of store.Store. It owns the conformance suite that every implementation passes
// ([Run], [RunWithFaults]), a benchmark of commits, a store that crashes at a chosen commit ([Crasher]) and one that spreads
// calls over several handles ([Replicas]). Only tests call it: those of the stores, and those of packages that use a store. It
// calls the function that opens a store, and imports package store alone.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
)

// Run tests that the stores that open returns keep the contract of store.Store. Each test opens its own, which must be empty;
// open ends what it starts with t.Cleanup. The suite closes every store itself, and one twice. Its deadlines are long enough for
// a store on a network.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"records", recordTests},
		{"batches", batchTests},
		{"list", listTests},
		{"logs", logTests},
		{"expiry", expiryTests},
		{"claims", claimTests},
		{"priorities", priorityTests},
		{"fairness", fairnessTests},
		{"leases", leaseTests},
		{"died", diedTests},
		{"queue", queueTests},
		{"limits", limitTests},
		{"watch", watchTests},
		{"lifecycle", lifecycleTests},
		{"model", slices.Concat(modelTests, queueModelTests, historyTests)},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, tt := range g.tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					tt.run(newFixture(t, open))
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(f *fixture)
}

// deadline is how long a test waits for anything; reaching it fails the test.
const deadline = 20 * time.Second

// fixture is one test with its empty store.
type fixture struct {
	*testing.T
	ctx  context.Context
	s    store.Store
	open func(t *testing.T) store.Store

	serial int // of the keys that flood and flows made
}

func newFixture(t *testing.T, open func(t *testing.T) store.Store) *fixture {
	f := &fixture{T: t, s: open(t), open: open}
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	f.ctx = ctx
	t.Cleanup(func() {
		cancel()
		if err := f.s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

// commit commits a batch, which must succeed.
func (f *fixture) commit(b store.Batch) store.Committed {
	f.Helper()
	c, err := f.s.Commit(f.ctx, b)
	if err != nil {
		f.Fatalf("commit %+v: %v", b, err)
	}
	return c
}

// refuse commits a batch, which must fail with want.
func (f *fixture) refuse(b store.Batch, want error) {
	f.Helper()
	if c, err := f.s.Commit(f.ctx, b); !errors.Is(err, want) {
		f.Fatalf("commit %+v: got %+v, %v, want error %q", b, c, err, want)
	}
}

// put writes one record and returns its version.
func (f *fixture) put(p store.Put) int64 {
	f.Helper()
	c := f.commit(store.Batch{Puts: []store.Put{p}})
	if len(c.Versions) != 1 {
		f.Fatalf("put %q: got versions %v, want one", p.Key, c.Versions)
	}
	return c.Versions[0]
}

// want checks a record's value and version.
func (f *fixture) want(k store.Key, value string, version int64) {
	f.Helper()
	r, err := f.s.Get(f.ctx, k)
	if err != nil {
		f.Fatalf("get %q: %v", k, err)
	}
	if r.Key != k || string(r.Value) != value || r.Version != version {
		f.Fatalf("get %q: got %q %q version %d, want %q version %d", k, r.Key, r.Value, r.Version, value, version)
	}
}

// absent checks that there is no record at the key.
func (f *fixture) absent(k store.Key) {
	f.Helper()
	if r, err := f.s.Get(f.ctx, k); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("get %q: got %+v, %v, want not found", k, r, err)
	}
}

// list returns the IDs of a page.
func (f *fixture) list(q store.Query) []string {
	f.Helper()
	rs, err := f.s.List(f.ctx, q)
	if err != nil {
		f.Fatalf("list %+v: %v", q, err)
	}
	var ids []string
	for _, r := range rs {
		if r.Key.Kind != q.Kind {
			f.Fatalf("list %+v: got a record of kind %q", q, r.Key.Kind)
		}
		ids = append(ids, r.Key.ID)
	}
	return ids
}

func (f *fixture) wantList(q store.Query, want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.list(q)); diff != "" {
		f.Fatalf("list %+v (-want +got):\n%s", q, diff)
	}
}

// log returns a log's entries after a sequence number.
func (f *fixture) log(k store.Key, after int64, limit int) []store.Entry {
	f.Helper()
	es, err := f.s.Log(f.ctx, k, after, limit)
	if err != nil {
		f.Fatalf("log %q: %v", k, err)
	}
	return es
}

// wantLog checks a whole log: its values in order and numbers from 1.
func (f *fixture) wantLog(k store.Key, want ...string) {
	f.Helper()
	var got, numbered []string
	for _, e := range f.log(k, 0, len(want)+10) {
		got = append(got, fmt.Sprintf("%d %s", e.Seq, e.Value))
	}
	for i, v := range want {
		numbered = append(numbered, fmt.Sprintf("%d %s", i+1, v))
	}
	if diff := cmp.Diff(numbered, got); diff != "" {
		f.Fatalf("log %q (-want +got):\n%s", k, diff)
	}
}

// claim claims up to n keys, and waits up to wait for the first.
func (f *fixture) claim(kind, owner string, n int, ttl, wait time.Duration) []store.Lease {
	f.Helper()
	ls, err := f.s.Claim(f.ctx, store.ClaimRequest{Kind: kind, Owner: owner, Max: n, TTL: ttl, Wait: wait})
	if err != nil {
		f.Fatalf("claim %s: %v", kind, err)
	}
	for _, l := range ls {
		if l.Key.Kind != kind || l.Owner != owner || !l.Until.After(time.Now().Add(-deadline)) {
			f.Fatalf("claim %s by %s: got lease %+v", kind, owner, l)
		}
	}
	return ls
}

// wantClaim claims what is due now and checks its IDs in order.
func (f *fixture) wantClaim(kind string, n int, want ...string) []store.Lease {
	f.Helper()
	ls := f.claim(kind, "w", n, time.Hour, 0)
	var ids []string
	for _, l := range ls {
		ids = append(ids, l.Key.ID)
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		f.Fatalf("claim %d of %s (-want +got):\n%s", n, kind, diff)
	}
	return ls
}

// due commits a wake of the key that became due a time ago.
func (f *fixture) due(k store.Key, ago time.Duration) {
	f.Helper()
	f.commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(-ago)}}})
}

// eventually polls until done, and fails the test after deadline.
func (f *fixture) eventually(what string, done func() bool) {
	f.Helper()
	for end := time.Now().Add(deadline); !done(); {
		if time.Now().After(end) {
			f.Fatalf("%s did not happen within %v", what, deadline)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func key(kind, id string) store.Key { return store.Key{Kind: kind, ID: id} }

func isInvalid(err error) bool { return errors.Is(err, store.ErrInvalid) }

func sortedIDs(ids []string) []string { return slices.Sorted(slices.Values(ids)) }

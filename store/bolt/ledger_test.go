//go:build linux || darwin

package bolt_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// ledgers are files that may be where the ledger is expected, and whether a store that finds one says so.
var ledgers = []struct {
	name   string
	put    func(path string) error
	warned bool
	knows  bool // leases that it grants are known to the next process
}{
	{"none", func(string) error { return nil }, false, true},
	{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }, false, true},
	{"half a place", func(path string) error { return os.WriteFile(path, make([]byte, 17), 0o600) }, false, true},
	{"noise", func(path string) error {
		noise := make([]byte, 10_001)
		for i := range noise {
			noise[i] = byte(rand.IntN(256))
		}
		return os.WriteFile(path, noise, 0o666)
	}, false, true},
	{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, true, false},
	{"a link", func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "precious"), path) }, true, false},
	{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, true, false},
}

// A store that is opened again knows which leases were not released; without a ledger it works all the same.
func TestReopenedStoreKnowsWhichLeasesDied(t *testing.T) {
	for _, tt := range ledgers {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path, precious := filepath.Join(dir, "runplane.leases"), filepath.Join(dir, "precious")
			if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), tt.put(path)); err != nil {
				t.Fatal(err)
			}
			const n = 30
			ids := func(i int) store.Key { return store.Key{Kind: "execution", ID: fmt.Sprint(i)} }
			s := must(bolt.Open(bolt.Options{Dir: dir}))
			if got := len(s.Conditions()) > 0; got != tt.warned {
				t.Errorf("conditions: %v", s.Conditions())
			}
			for i := range n {
				must(s.Commit(ctx(), store.Batch{Wakes: []store.Wake{{Key: ids(i), At: time.Now().Add(time.Duration(i-n) * time.Second)}}}))
			}
			claim := func(owner string, most int) []store.Lease {
				t.Helper()
				return must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: owner, Max: most, TTL: time.Hour}))
			}
			first := claim("one", 20)
			for i := range 10 {
				must(s.Commit(ctx(), store.Batch{Release: &first[i], Wakes: []store.Wake{{Key: first[i].Key, At: time.Now()}}}))
			}
			want := map[string]bool{}
			for _, l := range first[10:] {
				want[l.Key.ID] = true
			}
			for opened := range 3 { // what was not claimed meanwhile is still known
				s.Close()
				s = must(bolt.Open(bolt.Options{Dir: dir}))
				most := n
				if opened < 2 {
					most = 7
				}
				for _, l := range claim(fmt.Sprint("later ", opened), most) {
					if l.Died != (want[l.Key.ID] && tt.knows) {
						t.Errorf("opened %d times: died is %v of %s", opened+1, l.Died, l.Key.ID)
					}
					l.Died = false
					must(s.Commit(ctx(), store.Batch{Release: &l}))
					delete(want, l.Key.ID)
				}
			}
			if len(want) > 0 {
				t.Errorf("%v were not due", want)
			}
			if info := must(os.Lstat(path)); tt.knows && info.Mode().Perm() != 0o600 {
				t.Errorf("the ledger has mode %v", info.Mode())
			}
			s.Close()
			if got := must(os.ReadFile(precious)); string(got) != "precious" {
				t.Errorf("the file beside holds %q", got)
			}
			if !tt.knows {
				return
			}
			if _, err := os.Lstat(path); tt.name != "noise" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("every lease was released, and the ledger is still there: %v", err)
			}
		})
	}
}

// A key is deleted while it is leased. However the lease ends, the ledger has no place for it then, unless the key got another wake.
func TestLedgerForgetsDeletedKeys(t *testing.T) {
	key := store.Key{Kind: "execution", ID: "x"}
	wake := store.Batch{Wakes: []store.Wake{{Key: key, At: time.Now()}}}
	for _, tt := range []struct {
		name  string
		then  func(s *bolt.Store, l store.Lease, clock *storetest.Clock) error
		known int
	}{
		{"nothing", func(*bolt.Store, store.Lease, *storetest.Clock) error { return nil }, 0},
		{"released", func(s *bolt.Store, l store.Lease, _ *storetest.Clock) error {
			_, err := s.Commit(ctx(), store.Batch{Release: &l})
			return err
		}, 0},
		{"released, and the one before had died", func(s *bolt.Store, l store.Lease, _ *storetest.Clock) error {
			l.Died = true
			_, err := s.Commit(ctx(), store.Batch{Release: &l})
			return err
		}, 0},
		{"expired", func(s *bolt.Store, _ store.Lease, clock *storetest.Clock) error {
			clock.Sleep(2 * time.Hour)
			_, err := s.Claim(ctx(), store.ClaimRequest{Kind: key.Kind, Owner: "two", Max: 1, TTL: time.Hour})
			return err
		}, 0},
		{"expired with a new wake", func(s *bolt.Store, _ store.Lease, clock *storetest.Clock) error {
			_, err := s.Commit(ctx(), wake)
			clock.Sleep(2 * time.Hour)
			return err
		}, 1},
		{"released with a new wake, and the one before had died", func(s *bolt.Store, l store.Lease, _ *storetest.Clock) error {
			l.Died = true
			_, err := s.Commit(ctx(), store.Batch{Release: &l, Wakes: wake.Wakes})
			return err
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var clock storetest.Clock
			s := must(bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading()}))
			must(s.Commit(ctx(), wake))
			got := must(s.Claim(ctx(), store.ClaimRequest{Kind: key.Kind, Owner: "one", Max: 1, TTL: time.Hour}))
			if len(got) != 1 {
				t.Fatalf("claimed %v", got)
			}
			must(s.Commit(ctx(), store.Batch{Deletes: []store.Key{key}}))
			if err := tt.then(s, got[0], &clock); err != nil {
				t.Fatal(err)
			}
			places := must(os.ReadFile(filepath.Join(dir, "runplane.leases")))
			known := 0
			for ; len(places) >= 32; places = places[32:] {
				if [32]byte(places) != [32]byte{} {
					known++
				}
			}
			if known != tt.known {
				t.Errorf("the ledger has %d places, want %d", known, tt.known)
			}
			s.Close()
			if _, err := os.Lstat(filepath.Join(dir, "runplane.leases")); errors.Is(err, os.ErrNotExist) != (tt.known == 0) {
				t.Errorf("the ledger after the end: %v", err)
			}
		})
	}
}

package bolt_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// Each row sets the clock of the machine while a key waits for three seconds and another one is leased for five.
func TestClockIsSetWhileTheStoreIsUsed(t *testing.T) {
	for _, by := range []time.Duration{-40 * 24 * time.Hour, -4 * time.Hour, -time.Minute, time.Minute, 3 * time.Hour, 40 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock storetest.Clock
				s := must(bolt.Open(bolt.Options{Mem: true, Read: clock.Reading()}))
				defer s.Close()
				waits, leased, kept := key("execution", "waits"), key("session", "leased"), key("state", "kept")
				must(s.Commit(ctx(), store.Batch{Wakes: []store.Wake{{Key: waits, At: s.Now().Add(3 * time.Second)}}}))
				must(s.Commit(ctx(), store.Batch{
					Wakes: []store.Wake{{Key: leased, At: s.Now()}}, Claim: &store.Claim{Key: leased, Owner: "a", TTL: 5 * time.Second},
				}))
				must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: kept, TTL: 20 * time.Second}}}))
				start := time.Now()
				clock.Set(by)
				within := func(what string, least, most time.Duration) {
					t.Helper()
					if took := time.Since(start); took < least || took > most {
						t.Errorf("%s took %v, want %v to %v", what, took, least, most)
					}
				}
				for _, claim := range []struct {
					kind string
					want time.Duration
				}{{waits.Kind, 3 * time.Second}, {leased.Kind, 5 * time.Second}} {
					ls, err := s.Claim(ctx(), store.ClaimRequest{Kind: claim.kind, Owner: "b", TTL: time.Hour, Wait: time.Hour})
					if err != nil || len(ls) != 1 {
						t.Fatalf("claim %s: %v, %v", claim.kind, ls, err)
					}
					within(claim.kind, claim.want*9/10, claim.want*12/10)
				}
				for {
					if _, err := s.Get(ctx(), kept); errors.Is(err, store.ErrNotFound) {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				within("the expiry of a record", 18*time.Second, 24*time.Second)
				shown := len(s.Conditions()) > 0
				if want := by.Abs() > time.Minute; shown != want {
					t.Errorf("the difference is shown: %v, want %v: %v", shown, want, s.Conditions())
				}
			})
		})
	}
}

// The clock is set back while nothing runs.
func TestClockIsSetBackBetweenTwoStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var clock storetest.Clock
		s := must(bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading()}))
		must(s.Commit(ctx(), store.Batch{Wakes: []store.Wake{{Key: key("execution", "waits"), At: s.Now().Add(3 * time.Second)}}}))
		s.Close()
		clock.Set(-4 * time.Hour)
		s = must(bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading()}))
		defer s.Close()
		start := time.Now()
		ls, err := s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "b", TTL: time.Hour, Wait: time.Hour})
		if took := time.Since(start); err != nil || len(ls) != 1 || took > 4*time.Second {
			t.Errorf("claimed %v after %v, %v, want about 3s", ls, took, err)
		}
		if found := s.Conditions(); len(found) != 1 || !strings.Contains(found[0].Message, "earlier") {
			t.Errorf("conditions %v", found)
		}
	})
}

// A start with a clock that is far ahead removes nothing that could not come back; one with the right clock brings it back. Where the
// clock was right, and the store was not used for long, what expired is removed in the end.
func TestClockIsFarAheadAtAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var clock storetest.Clock
		open := func() *bolt.Store {
			return must(bolt.Open(bolt.Options{Dir: dir, Read: clock.Reading(), Sweep: 5 * time.Minute}))
		}
		s := open()
		must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: key("session", "s"), Value: []byte("data"), TTL: 10 * 24 * time.Hour}}}))
		s.Close()
		clock.Set(40 * 24 * time.Hour)
		for range 3 { // starts do not count as time that was seen
			s = open()
			must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: key("other", "o"), Version: store.AnyVersion}}}))
			time.Sleep(10 * time.Minute)
			if _, err := s.Get(ctx(), key("session", "s")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the session has not expired: %v", err)
			}
			must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: key("other", "o"), Version: store.AnyVersion}}}))
			s.Close()
		}
		clock.Set(0)
		s = open()
		if r, err := s.Get(ctx(), key("session", "s")); err != nil || string(r.Value) != "data" {
			t.Fatalf("the session is gone: %q, %v", r.Value, err)
		}
		s.Close()
		clock.Set(40 * 24 * time.Hour)
		s = open()
		time.Sleep(35 * 24 * time.Hour)
		s.Close()
		if found, err := bolt.Check(dir); err != nil || found.Kinds["session"].Records != 0 {
			t.Errorf("the session was not removed: %+v, %v", found, err)
		}
	})
}

func key(kind, id string) store.Key { return store.Key{Kind: kind, ID: id} }

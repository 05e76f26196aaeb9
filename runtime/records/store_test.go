package records_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// refusing is a store whose commits fail while err is set.
type refusing struct {
	store.Store
	err error
}

func (r *refusing) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if r.err != nil {
		return store.Committed{}, r.err
	}
	return r.Store.Commit(ctx, b)
}

func put(kind, id string) store.Batch {
	return store.Batch{Puts: []store.Put{{Key: store.Key{Kind: kind, ID: id}, Value: []byte(`1`), Version: store.AnyVersion}}}
}

// A store that answers reads and refuses writes is noticed by the last refusal; it is tried beside what was refused until it is over.
func TestRefusedCommitIsRemembered(t *testing.T) {
	inner := &refusing{Store: recordstest.Memory(t)}
	s := recordstest.Replica(inner)
	refuses := func() error { return s.CheckWrite(t.Context(), "w") }
	if err := refuses(); err != nil {
		t.Errorf("before anything was written: %v", err)
	}
	for _, own := range []error{store.ErrConflict, store.ErrInvalid} {
		inner.err = own
		_, _ = s.Commit(t.Context(), put("a", "1")) // it fails for a reason of its own
		inner.err = nil
		if err := refuses(); err != nil {
			t.Errorf("after a commit that ended with %v: %v", own, err)
		}
	}
	inner.err = errors.New("memory is full")
	if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{{Kind: "a", ID: "1"}}}); err == nil {
		t.Fatal("the store takes deletions")
	}
	if err := refuses(); err != nil {
		t.Errorf("after a deletion that failed: %v", err)
	}
	_, _ = s.Commit(t.Context(), put("a", "1")) // it is refused
	for range 2 {
		if err := refuses(); !errors.Is(err, inner.err) {
			t.Errorf("while it lasts: %v", err)
		}
	}
	inner.err = nil
	if err := refuses(); err != nil {
		t.Errorf("when it is over: %v", err)
	}
}

func TestConflictsAreRetriedUntilTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Replica(recordstest.Memory(t))
		for _, tt := range []struct {
			name  string
			fails int // as often, and then it succeeds
			err   error
			tries int
			want  error
		}{
			{"none", 0, store.ErrConflict, 1, nil},
			{"some", 20, store.ErrConflict, 21, nil},
			{"too many", 1000, store.ErrConflict, records.MaxConflicts, &schemas.Error{Code: schemas.CodeConflict}},
			{"another error", 1000, store.ErrClosed, 1, store.ErrClosed},
		} {
			tries := 0
			err := s.RetryOnConflict(func() error {
				if tries++; tries > tt.fails {
					return nil
				}
				return fmt.Errorf("commit: %w", tt.err)
			})
			if !errors.Is(err, tt.want) || tries != tt.tries {
				t.Errorf("%s: %v after %d tries, want %v after %d", tt.name, err, tries, tt.want, tt.tries)
			}
			if e := schemas.AsError(err); tt.name == "too many" && !e.Retryable {
				t.Errorf("%s: it is not retryable: %+v", tt.name, e)
			}
		}
	})
}

// due makes a key due now.
func due(t *testing.T, s store.Store, key store.Key) {
	t.Helper()
	if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: key, At: time.Now(), Priority: 2}}}); err != nil {
		t.Fatal(err)
	}
}

// claiming is a store that lets a test act after each claim.
type claiming struct {
	store.Store
	after func(leases []store.Lease) error
}

func (c *claiming) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Lease, error) {
	leases, err := c.Store.Claim(ctx, r)
	if err == nil {
		err = c.after(leases)
	}
	return leases, err
}

// What was claimed for a process that is about to end is not held until its lease expires, and keeps its place in the queue.
func TestLeasesClaimedAtTheEndAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := recordstest.Memory(t)
		ctx, cancel := context.WithCancel(t.Context())
		s := recordstest.Replica(&claiming{inner, func([]store.Lease) error { cancel(); return nil }})
		key := store.Key{Kind: "k", ID: "a"}
		due(t, inner, key)
		s.HandleDue(ctx, "k", func(context.Context, *store.Lease) { t.Error("it was handled") })
		places, err := inner.Places(t.Context(), []store.Key{key})
		if err != nil || places[0].Lease != nil || places[0].Wake == nil || places[0].Wake.Priority != 2 {
			t.Errorf("got %+v %v, want it in the queue", places, err)
		}
	})
}

// Every key that is due is handled once, also those that were due while the store did not answer; another kind is not touched.
func TestDueKeysAreHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := recordstest.Memory(t)
		down := time.Now().Add(20 * time.Second)
		s := recordstest.Replica(recordstest.Outage(inner, false, time.Now().Add(10*time.Second), down))
		ctx, cancel := context.WithCancel(t.Context())
		handled := make(chan string, 100)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.HandleDue(ctx, "k", func(ctx context.Context, l *store.Lease) {
				if _, err := inner.Commit(ctx, store.Batch{Release: l}); err != nil {
					t.Error(err)
				}
				handled <- l.Key.ID
			})
		}()
		due(t, inner, store.Key{Kind: "other", ID: "x"})
		for i := range 10 {
			due(t, inner, store.Key{Kind: "k", ID: fmt.Sprint(i)})
		}
		time.Sleep(time.Second)
		if n := len(handled); n != 10 {
			t.Errorf("%d of 10 keys were handled", n)
		}
		time.Sleep(12 * time.Second)
		due(t, inner, store.Key{Kind: "k", ID: "late"})
		time.Sleep(time.Until(down) + records.NextDelay(time.Hour) + time.Second)
		if n := len(handled); n != 11 {
			t.Errorf("%d of 11 keys were handled", n)
		}
		cancel()
		<-ended
	})
}

func TestErrorsOfTheStoreSayWhetherTryingAgainHelps(t *testing.T) {
	for err, again := range map[error]bool{
		errors.New("i/o timeout"): true, context.DeadlineExceeded: true, store.ErrClosed: true,
		store.ErrInvalid: false, store.ErrConflict: false, store.ErrNotFound: false,
	} {
		got := records.StoreError(fmt.Errorf("commit: %w", err))
		if errors.Is(got, records.ErrUnavailable) != again || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

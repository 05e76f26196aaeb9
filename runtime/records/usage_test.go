package records_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/records"
)

func TestUsageIsReadOnceAndThenCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u records.Usage
		inStore, reads := 2, 0
		var takes time.Duration
		var broken error
		ada := records.Owner{Kind: "k", Principal: "ada"}
		ask := func(o records.Owner) (int, bool, error) {
			return u.CanAdd(t.Context(), o, 3, func(_ context.Context, principal string) (int, error) {
				if principal != o.Principal {
					t.Errorf("counts the records of %q, want %q", principal, o.Principal)
				}
				reads++
				time.Sleep(takes)
				return inStore, broken
			})
		}
		want := func(what string, o records.Owner, kept int, ok bool, made int) {
			t.Helper()
			if n, room, err := ask(o); err != nil || n != kept || room != ok || reads != made {
				t.Errorf("%s: %d kept, room %v, %v after %d reads; want %d, %v after %d", what, n, room, err, reads, kept, ok, made)
			}
		}
		want("at first", ada, 2, true, 1)
		u.Add(ada, 1)
		want("one more", ada, 3, false, 1)
		u.Add(ada, -1)
		want("one less", ada, 2, true, 1)
		want("another principal", records.Owner{Kind: "k", Principal: "bob"}, 2, true, 2)
		want("another kind", records.Owner{Kind: "other", Principal: "ada"}, 2, true, 3)

		inStore, takes = 7, 10*time.Second // what other replicas made counts after a while
		time.Sleep(records.UsageAge - time.Second)
		want("just before it is old", ada, 2, true, 3)
		time.Sleep(time.Second)
		want("when it is old", ada, 7, false, 4)
		inStore = 0
		time.Sleep(10 * time.Minute) // a count that takes long is not made every minute
		want("counting took long", ada, 7, false, 4)
		time.Sleep(10 * time.Minute)
		want("longer", ada, 0, true, 5)

		broken = errors.New("no answer")
		time.Sleep(time.Hour)
		if _, ok, err := ask(ada); ok || !errors.Is(err, broken) {
			t.Errorf("a count that fails: room %v, %v", ok, err)
		}
	})
}

func TestUsageDoesNotFallBelowZero(t *testing.T) {
	var u records.Usage
	o := records.Owner{Kind: "k", Principal: "ada"}
	none := func(context.Context, string) (int, error) { return 0, nil }
	_, _, _ = u.CanAdd(t.Context(), o, 1, none) // reads
	u.Add(o, -5)
	u.Add(o, 1)
	if n, ok, err := u.CanAdd(t.Context(), o, 1, none); n != 1 || ok || err != nil {
		t.Errorf("%d kept, room %v, %v", n, ok, err)
	}
}

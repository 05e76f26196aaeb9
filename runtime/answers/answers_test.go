package answers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
)

func as(t *testing.T, principal string) context.Context {
	return caller.With(t.Context(), caller.Caller{Principal: principal})
}

// gone reports whether an answer cannot be read, as one that does not exist.
func gone(ctx context.Context, a *Answers, id string) bool {
	_, err := a.Read(ctx, id)
	return errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound})
}

// Whoever called reads the answer, on every replica; nobody else does.
func TestAnswersBelongToTheirCaller(t *testing.T) {
	for _, on := range recordstest.Stores {
		t.Run(on.Name, func(t *testing.T) {
			open := on.Open(t)
			a, other := New(recordstest.Replica(open()), records.NewID), New(recordstest.Replica(open()), records.NewID)
			ada, bob := as(t, "ada"), as(t, "bob")
			var ids sync.Map
			var all sync.WaitGroup
			for i := range 20 { // at once
				all.Go(func() {
					id, until, err := a.Keep(ada, json.RawMessage(fmt.Sprint(i)))
					if left := time.Until(until); err != nil || left > Life+time.Minute || left < Life-time.Minute {
						t.Errorf("%s, %v", until, err)
					}
					ids.Store(id, fmt.Sprint(i))
				})
			}
			all.Wait()
			ids.Range(func(id, want any) bool {
				if got, err := other.Read(ada, id.(string)); err != nil || string(got) != want {
					t.Errorf("%s, %v, want %s", got, err, want)
				}
				if !gone(bob, a, id.(string)) {
					t.Errorf("bob reads %s", id)
				}
				return true
			})
			for _, id := range []string{"", "x", "../" + strings.Repeat("x", 20), "a/b"} {
				if !gone(ada, a, id) {
					t.Errorf("%q is there", id)
				}
			}
		})
	}
}

// The oldest answers make room for new ones, those of other callers stay, and one that is larger than all is kept alone.
func TestAnswersAreBounded(t *testing.T) {
	a := New(recordstest.Replica(recordstest.Memory(t)), records.NewID)
	ada, bob := as(t, "ada"), as(t, "bob")
	keep := func(ctx context.Context, bytes int) string {
		t.Helper()
		id, _, err := a.Keep(ctx, json.RawMessage(strings.Repeat("1", bytes)))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	of, first := keep(bob, 10), keep(ada, MaxBytes/2)
	second := keep(ada, MaxBytes/2)
	if gone(ada, a, first) || gone(ada, a, second) {
		t.Error("answers that have room together are gone")
	}
	third := keep(ada, 1)
	if !gone(ada, a, first) || gone(ada, a, second) || gone(ada, a, third) || gone(bob, a, of) {
		t.Error("the oldest answer has not made room, or another one has")
	}
	if huge := keep(ada, MaxBytes+1); gone(ada, a, huge) || !gone(ada, a, second) || !gone(ada, a, third) {
		t.Error("an answer that is too large is not alone")
	}
}

func TestAnswersExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(recordstest.Replica(recordstest.Memory(t)), records.NewID)
		ada := as(t, "ada")
		id, until, err := a.Keep(ada, json.RawMessage(`1`))
		if err != nil || !until.Equal(time.Now().Add(Life)) {
			t.Fatalf("until %s, %v", until, err)
		}
		time.Sleep(Life - time.Second)
		if gone(ada, a, id) {
			t.Error("it is gone too early")
		}
		time.Sleep(2 * time.Second)
		if !gone(ada, a, id) {
			t.Error("it has not expired")
		}
	})
}

package records_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
)

func as(t *testing.T, principal string) context.Context {
	t.Helper()
	return caller.With(t.Context(), caller.Caller{Principal: principal})
}

// A cursor is good on every replica, for the caller who got it and the list that it is of, as it was given, for a day.
func TestCursorsAreSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		first, second := recordstest.Replica(s), recordstest.Replica(s)
		ada := as(t, "ada")
		c := first.Cursor(ada, "list of a", "the last")
		good := func(what string, r *records.Store) {
			t.Helper()
			if got, err := r.OpenCursor(ada, "list_a", "list of a", c); err != nil || got != "the last" {
				t.Errorf("%s: %q, %v", what, got, err)
			}
		}
		bad := func(what string, ctx context.Context, scope, cursor string) {
			t.Helper()
			got, err := second.OpenCursor(ctx, "list_a", scope, cursor)
			if e := schemas.AsError(err); got != "" || e == nil || e.Code != schemas.CodeInvalidArgument || e.Field != "cursor" || !strings.Contains(e.Message, "list_a") {
				t.Errorf("%s: %q, %v", what, got, err)
			}
		}
		good("on the replica that gave it", first)
		good("on another replica", second)
		if got, err := second.OpenCursor(ada, "list_a", "list of a", ""); err != nil || got != "" {
			t.Errorf("without a cursor: %q, %v", got, err)
		}
		bad("another principal", as(t, "bob"), "list of a", c)
		bad("another list", ada, "list of b", c)
		bad("cut", ada, "list of a", c[:len(c)-4])
		bad("cut short", ada, "list of a", c[:8])
		bad("broken over two lines", ada, "list of a", c[:9]+"\n"+c[9:])
		bad("made up", ada, "list of a", "!")
		for i := range c {
			for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
				if string(letter) != c[i:i+1] {
					bad("changed", ada, "list of a", c[:i]+string(letter)+c[i+1:])
				}
			}
		}
		time.Sleep(records.CursorTTL)
		good("a day later", second)
		time.Sleep(time.Second)
		bad("more than a day later", ada, "list of a", c)
	})
}

// While the store cannot be reached a process goes on with cursors of its own; those of others it cannot judge.
func TestCursorsWithoutTheStore(t *testing.T) {
	for name, hang := range map[string]bool{"fails": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := recordstest.Memory(t)
				began := time.Now()
				away := recordstest.Replica(recordstest.Outage(s, hang, began, began.Add(time.Minute)))
				there := recordstest.Replica(s)
				ctx := t.Context()
				own, shared := away.Cursor(ctx, "x", "own"), there.Cursor(ctx, "x", "shared")
				if got, err := away.OpenCursor(ctx, "list_x", "x", own); err != nil || got != "own" {
					t.Errorf("its own: %q, %v", got, err)
				}
				if _, err := away.OpenCursor(ctx, "list_x", "x", shared); schemas.AsError(err) == nil || schemas.AsError(err).Code != schemas.CodeUnavailable {
					t.Errorf("another replica's: %v", err)
				}
				if took := time.Since(began); took > 2*records.AnswerTimeout {
					t.Errorf("two questions took %s", took)
				}
				time.Sleep(time.Minute)
				for cursor, want := range map[string]string{own: "own", shared: "shared"} {
					if got, err := away.OpenCursor(ctx, "list_x", "x", cursor); err != nil || got != want {
						t.Errorf("when the store is back: %q, %v, want %q", got, err, want)
					}
				}
				if _, err := there.OpenCursor(ctx, "list_x", "x", own); schemas.AsError(err) == nil || schemas.AsError(err).Code != schemas.CodeInvalidArgument {
					t.Errorf("another process takes a cursor that one made for itself: %v", err)
				}
			})
		})
	}
}

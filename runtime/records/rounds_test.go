package records_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
)

// looks notes the pages that rounds of so many parts with so many pages each look at.
type looks struct {
	mu    sync.Mutex
	pages []string
}

func (l *looks) rounds(parts, pages int) *records.Rounds {
	return &records.Rounds{Name: "test", Every: time.Minute, Parts: parts, Page: func(_ context.Context, part int, after string) (string, error) {
		n, _ := strconv.Atoi(after) // empty: the first
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pages = append(l.pages, fmt.Sprintf("%d/%d", part, n))
		if n++; n < pages {
			return strconv.Itoa(n), nil
		}
		return "", nil
	}}
}

func (l *looks) take() (pages []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pages, l.pages = l.pages, nil
	return pages
}

// Three replicas together make a pass in each period, whichever of them is first.
func TestReplicasShareRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		var l looks
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() { recordstest.Replica(s).RunRounds(ctx, l.rounds(2, 2), "test") })
		}
		time.Sleep(time.Hour)
		cancel()
		running.Wait()
		pages := l.take()
		pass := []string{"0/0", "0/1", "1/0", "1/1"}
		for i := range pages {
			if pages[i] != pass[i%4] {
				t.Fatalf("page %d is %s, want %s", i, pages[i], pass[i%4])
			}
		}
		if passes := len(pages) / 4; passes < 40 || passes > 80 { // alone, each replica would make 60
			t.Errorf("%d passes in an hour", passes)
		}
	})
}

// A pass is bounded; the next one goes on where it ended, on another replica, and begins again after the last page.
func TestRoundsGoOnWhereTheLastPassEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		var l looks
		rounds := l.rounds(2, 40)
		var got []string
		for i, want := range []struct {
			pages int
			more  bool
		}{{records.RoundPages, true}, {80 - records.RoundPages, false}, {records.RoundPages, true}} {
			r := recordstest.Replica(s)
			if more, err := r.Round(t.Context(), rounds); err != nil || more != want.more {
				t.Errorf("pass %d: more %v, %v", i, more, err)
			}
			pages := l.take()
			if got = append(got, pages...); len(pages) != want.pages {
				t.Errorf("pass %d has %d pages, want %d", i, len(pages), want.pages)
			}
			if more, err := recordstest.Replica(s).Round(t.Context(), rounds); err != nil || more || len(l.take()) > 0 {
				t.Errorf("pass %d was made twice: %v", i, err)
			}
			time.Sleep(time.Minute)
		}
		seen := slices.Clone(got[:80])
		slices.Sort(seen)
		if len(slices.Compact(seen)) != 80 || got[80] != "0/0" {
			t.Errorf("pages %v", got)
		}
	})
}

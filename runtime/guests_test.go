package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// TestDecisionsAtOnceAreMadeTogether: what many callers decide at once about an execution that no process owns is read and committed a
// few times, each caller gets its own answer, and one that gives up or that asks for what is impossible does not disturb the others.
func TestDecisionsAtOnceAreMadeTogether(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		id := p.begin(t, `{"plan":"v1","nodes":[{"id":"w","wait":"100h"}]}`)
		time.Sleep(time.Minute)
		p.stop()
		var reads, commits atomic.Int64
		alone := idle(w, &hooks{
			Store: s,
			log: func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
				reads.Add(1)
				time.Sleep(time.Second) // until then the others have asked
				return s.Log(ctx, k, after, limit)
			},
			commit: func(ctx context.Context, b store.Batch) (store.Committed, error) {
				commits.Add(1)
				return s.Commit(ctx, b)
			},
		})
		gone, leave := context.WithCancel(t.Context())
		refused := errors.New("no")
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				ctx, want := t.Context(), error(nil)
				switch i % 10 {
				case 8:
					ctx, want = gone, context.Canceled
				case 9:
					want = refused
				}
				err := alone.Executions.Decide(ctx, id, func(*machine.State, time.Time) ([]schemas.Event, error) {
					if i%10 == 9 {
						return nil, refused
					}
					return []schemas.Event{{Type: schemas.EventSignal, Name: fmt.Sprint("s", i)}}, nil
				})
				if !errors.Is(err, want) {
					t.Errorf("%d: got %v, want %v", i, err, want)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		leave()
		group.Wait()
		seen := map[string]int{}
		log, err := p.Executions.Events(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range log.Events {
			seen[e.Name]++
		}
		for i := range 100 {
			if n := seen[fmt.Sprint("s", i)]; i%10 < 8 && n != 1 || i%10 == 9 && n != 0 {
				t.Errorf("decision %d is in the log %d times", i, n)
			}
		}
		if reads.Load() > 10 || commits.Load() > 5 {
			t.Errorf("%d reads and %d commits for a hundred decisions", reads.Load(), commits.Load())
		}
	})
}

// A decision that joins another one while that reads the execution is not made about a state from before it was asked for.
func TestJoinedDecisionSeesWhatWasCommittedBeforeIt(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		id := p.begin(t, `{"plan":"v1","nodes":[{"id":"w","wait":"100h"}]}`)
		time.Sleep(time.Minute)
		p.stop()
		slow := idle(w, &hooks{Store: s, log: func(ctx context.Context, k store.Key, after int64, limit int) ([]store.Entry, error) {
			entries, err := s.Log(ctx, k, after, limit)
			time.Sleep(time.Second) // meanwhile another replica commits, and a decision joins
			return entries, err
		}})
		look := func(p *process, seen *int64) error {
			return p.Executions.Decide(t.Context(), id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
				*seen = s.Seq
				return nil, nil
			})
		}
		var group sync.WaitGroup
		var first, joined, committed int64
		group.Go(func() {
			if err := look(slow, &first); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(1500 * time.Millisecond)
		err := idle(w, s).Executions.Decide(t.Context(), id, func(s *machine.State, _ time.Time) ([]schemas.Event, error) {
			committed = s.Seq + 1
			return []schemas.Event{{Type: schemas.EventSignal, Name: "s"}}, nil
		})
		if err == nil {
			err = look(slow, &joined)
		}
		group.Wait()
		if err != nil || joined < committed {
			t.Errorf("made about event %d after event %d was committed: %v", joined, committed, err)
		}
	})
}

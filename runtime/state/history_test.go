package state

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
)

// stateInput reads the one state, or writes it against a version.
type stateInput struct {
	write    bool
	value    string
	expected int64
}

// stateOutput is what was read; or the new version, or that and which version was there instead.
type stateOutput struct {
	value    string
	version  int64
	conflict bool
}

// stateModel is a register with a version that every write counts up.
func stateModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return stateOutput{} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(stateOutput), input.(stateInput), output.(stateOutput)
			switch {
			case !in.write:
				return out == s, s
			case out.conflict:
				return out.version == s.version && in.expected != s.version, s
			}
			return in.expected == s.version && out.version == s.version+1, stateOutput{value: in.value, version: out.version}
		},
	}
}

// 64 writers on two replicas add to one counter by version: nothing is lost, and what each of them saw is the history of one register.
func TestStateWritersLoseNothing(t *testing.T) {
	for name, empty := range map[string]func(t testing.TB) store.Store{
		"bolt": recordstest.Disk, "redis": func(t testing.TB) store.Store {
			return recordstest.Redis(t, redis.Options{URL: redistest.Standalone(t).URL()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			replicas := []*States{open(s, Rules{}).States, open(s, Rules{}).States}
			const writers, each, together = 64, 3, 6 // so few at once that their history can be checked
			turn := make(chan struct{}, together)
			var mu sync.Mutex
			var history []porcupine.Operation
			began := time.Now()
			do := func(client int, in stateInput) (stateOutput, error) {
				call := time.Since(began).Nanoseconds()
				out, err := one(t.Context(), replicas[client%2], in)
				mu.Lock()
				defer mu.Unlock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: time.Since(began).Nanoseconds()})
				return out, err
			}
			var wg sync.WaitGroup
			for client := range writers {
				wg.Go(func() {
					add := func() (added bool, err error) {
						turn <- struct{}{}
						defer func() { <-turn }()
						seen, err := do(client, stateInput{})
						if err != nil {
							return false, err
						}
						n, _ := strconv.Atoi(seen.value) // nothing counts as 0
						wrote, err := do(client, stateInput{write: true, value: strconv.Itoa(n + 1), expected: seen.version})
						return !wrote.conflict, err
					}
					for added := 0; added < each; {
						switch ok, err := add(); {
						case err != nil:
							t.Error(err)
							return
						case ok:
							added++
						}
					}
				})
			}
			wg.Wait()
			last, err := one(t.Context(), replicas[0], stateInput{})
			if err != nil || last.value != strconv.Itoa(writers*each) || last.version != writers*each {
				t.Errorf("in the end: %+v, %v, want %d", last, err, writers*each)
			}
			if r := porcupine.CheckOperationsTimeout(stateModel(), history, 2*time.Minute); r != porcupine.Ok {
				t.Errorf("%d operations are not those of one register: %s", len(history), r)
			}
			t.Logf("%d operations, %d writes", len(history), writers*each)
		})
	}
}

func one(ctx context.Context, r *States, in stateInput) (stateOutput, error) {
	ref := Ref{Type: "counter", Key: "c"}
	if !in.write {
		s, err := r.Get(ctx, ref)
		return stateOutput{value: string(s.StateData), version: s.Version}, err
	}
	w, err := r.Set(ctx, Write{Ref: ref, Data: schemas.Value(in.value), Expected: &in.expected})
	if errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
		current := schemas.AsError(err).CurrentVersion
		if current == nil {
			return stateOutput{}, fmt.Errorf("a conflict that tells no version: %w", err)
		}
		return stateOutput{conflict: true, version: *current}, nil
	}
	return stateOutput{version: w.Version}, err
}

package engine

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
)

// seen is what callers were shown last of executions that need a decision or a signal: a caller that waits for such an execution again is
// answered when there is something else to see. It is kept in memory only: after a restart each caller is answered at once, once. The zero
// value is ready for use.
type seen struct {
	mu       sync.Mutex
	now, old map[seenKey]uint64 // situations; old is dropped when now is full
}

type seenKey struct{ principal, execution string }

const maxSeen = 4096

// seed makes the sums of situations.
var seed = maphash.MakeSeed()

// situation is a sum of what an execution waits for; 0: it goes on by itself, or has ended.
func situation(e *schemas.Execution) uint64 {
	if e.Status.Terminal() || !journal.AtRest(e) {
		return 0
	}
	b, err := schemas.Encode(struct {
		Status  schemas.Status
		Waiting []schemas.WaitingFor
	}{e.Status, e.WaitingFor})
	if err != nil {
		return 0
	}
	return max(maphash.Bytes(seed, b), 1)
}

// last returns the situation that the caller was shown last; 0: none.
func (s *seen) last(ctx context.Context, execution string) uint64 {
	k := seenKey{caller.From(ctx).Principal, execution}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.now[k]; ok {
		return known
	}
	return s.old[k]
}

// show notes what the caller is shown.
func (s *seen) show(ctx context.Context, e *schemas.Execution) {
	is := situation(e)
	if is == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || len(s.now) >= maxSeen {
		s.now, s.old = map[seenKey]uint64{}, s.now
	}
	s.now[seenKey{caller.From(ctx).Principal, e.ExecutionID}] = is
}

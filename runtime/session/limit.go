package session

import (
	"context"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func owner(principal string) records.Owner { return records.Owner{Kind: Kind, Principal: principal} }

// checkLimit refuses a new session if the caller has Rules.Max open ones.
func (s *Sessions) checkLimit(ctx context.Context) error {
	n, ok, err := s.store.Usage.CanAdd(ctx, owner(caller.From(ctx).Principal), s.rules.Max, s.count)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d sessions are open (limit %d)", n, s.rules.Max).
		WithHint("delete_session closes those that are no longer needed, list_sessions shows them; an operator can raise limits.max_sessions")
}

func (s *Sessions) count(ctx context.Context, _ string) (n int, err error) {
	now := s.store.Now()
	err = s.store.Each(ctx, OfCaller(ctx), func(rec store.Record) error {
		r, err := s.decode(rec)
		if err == nil && !r.view(now, s.rules).Status.Ended() {
			n++
		}
		return err
	})
	return n, err
}

package state

import (
	"context"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func owner(principal string) records.Owner { return records.Owner{Kind: Kind, Principal: principal} }

// checkLimit refuses a new state if the caller keeps Rules.Max states.
func (s *States) checkLimit(ctx context.Context) error {
	n, ok, err := s.store.Usage.CanAdd(ctx, owner(caller.From(ctx).Principal), s.rules.Max, s.count)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d states are kept (limit %d)", n, s.rules.Max).WithField("state_key").
		WithHint("delete_state removes old ones, ttl_seconds makes states expire; an operator can raise limits.max_states")
}

func (s *States) count(ctx context.Context, principal string) (n int, err error) {
	now := s.store.Now()
	err = s.store.Each(ctx, store.Query{Kind: Kind, Term: termOwner(principal)}, func(rec store.Record) error {
		r, err := decode(rec)
		if err == nil && r.Exists(now) {
			n++
		}
		return err
	})
	return n, err
}

// termOwner is the index term of the states of a principal.
func termOwner(principal string) string { return "owner=" + records.Private(principal, "") }

package runtime

import (
	"context"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func states(principal string) records.Owner { return records.Owner{Kind: kindState, Principal: principal} }

func sessions(principal string) records.Owner { return records.Owner{Kind: kindSession, Principal: principal} }

// roomForState refuses a new state where its principal keeps as many as may be.
func (r *Runtime) roomForState(ctx context.Context) error {
	n, ok, err := r.store.Usage.Room(ctx, states(caller.From(ctx).Principal), r.states.Max, r.countStates)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d states are kept, as many as may be", n).WithField("state_key").
		WithHint("delete_state what is done with, or give states a ttl_seconds; an operator raises limits.max_states")
}

func (r *Runtime) countStates(ctx context.Context, principal string) (n int, err error) {
	now := records.Now()
	err = r.store.Each(ctx, store.Query{Kind: kindState, Term: termOwner(principal)}, func(rec store.Record) error {
		s, err := decodeState(rec)
		if err == nil && s.there(now) {
			n++
		}
		return err
	})
	return n, err
}

// roomForSession refuses a new session where its principal has as many open as may be.
func (r *Runtime) roomForSession(ctx context.Context) error {
	n, ok, err := r.store.Usage.Room(ctx, sessions(caller.From(ctx).Principal), r.sessions.Max, r.countSessions)
	if err != nil || ok {
		return err
	}
	return schemas.Errorf(schemas.CodeQuotaExceeded, "%d sessions are open, as many as may be", n).
		WithHint("delete_session those that are done with, or use one that list_sessions shows; an operator raises limits.max_sessions")
}

func (r *Runtime) countSessions(ctx context.Context, _ string) (n int, err error) {
	now := records.Now()
	err = r.store.Each(ctx, sessionsOf(ctx), func(rec store.Record) error {
		s, err := r.decodeSession(rec)
		if err == nil && !s.view(now, r.sessions).Status.Ended() {
			n++
		}
		return err
	})
	return n, err
}

// termOwner marks the states of a principal.
func termOwner(principal string) string { return "owner=" + records.Private(principal, "") }

package engine

import (
	"context"
	"errors"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
)

// headOrLatest is headFor. While the store does not answer it is what the execution's owner in this process knows of it, where it has
// one: stale.
func (r *Engine) headOrLatest(ctx context.Context, id string) (h journal.Head, stale bool, err error) {
	h, err = r.journal.HeadFor(ctx, id)
	o := r.owner(id)
	if !errors.Is(err, records.Unavailable) || o == nil {
		return h, false, err
	}
	known := o.x.latest.Load()
	switch {
	case known == nil:
		return h, false, err
	case known.Principal != caller.From(ctx).Principal:
		return h, false, r.journal.NotFound(id)
	}
	return *known, true, nil
}

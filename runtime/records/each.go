package records

import (
	"context"

	"github.com/runplane/runplane/store"
)

// Each reads all records of a query.
func (r *Store) Each(ctx context.Context, q store.Query, do func(store.Record) error) error {
	for q.Limit = PageSize; ; {
		records, err := r.List(ctx, q)
		if err != nil {
			return Error(err)
		}
		for i := range records {
			if err := do(records[i]); err != nil {
				return err
			}
			q.After = records[i].Key.ID
		}
		if len(records) < q.Limit {
			return nil
		}
	}
}

package records

import (
	"context"

	"github.com/runplane/runplane/store"
)

// Each reads all records of a query.
func (s *Store) Each(ctx context.Context, q store.Query, visit func(store.Record) error) error {
	for q.Limit = PageSize; ; {
		records, err := s.List(ctx, q)
		if err != nil {
			return Error(err)
		}
		for i := range records {
			if err := visit(records[i]); err != nil {
				return err
			}
			q.After = records[i].Key.ID
		}
		if len(records) < q.Limit {
			return nil
		}
	}
}

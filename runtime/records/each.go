package records

import (
	"context"

	"github.com/runplane/runplane/store"
)

// Each calls visit for every record that matches q, page by page, until visit returns an error. q.Limit and q.After are ignored.
func (s *Store) Each(ctx context.Context, q store.Query, visit func(store.Record) error) error {
	for q.Limit = PageSize; ; {
		records, err := s.List(ctx, q)
		if err != nil {
			return StoreError(err)
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

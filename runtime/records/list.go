package records

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/store"
)

// Page bounds of lists.
const (
	defaultLimit = 20
	PageSize     = 100
	maxScan      = 2000 // records that one page looks at; filters that match less often give short pages
)

// Listing is one page to be read.
type Listing struct {
	Tool   string // for the message about a bad cursor
	Query  store.Query
	Limit  int // 0: defaultList
	Cursor string
}

// List reads a page of records, each by read, which says whether the caller is to see it. A page ends after its limit, or
// where its records get larger than MaxPage together. While others write, every record that stays is shown exactly once.
func List[T any](ctx context.Context, s *Store, l Listing, read func(store.Record) (T, bool, error)) (page []T, next string, err error) {
	page = []T{}
	scope := fmt.Sprintf("%s %q %q", l.Query.Kind, l.Query.Term, l.Query.Prefix)
	after, err := s.OpenCursor(ctx, l.Tool, scope, l.Cursor)
	if err != nil {
		return page, "", err
	}
	limit := l.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, PageSize)
	size, scanned := 0, 0
	for {
		l.Query.After, l.Query.Limit = after, PageSize
		records, err := s.List(ctx, l.Query)
		if err != nil {
			return page, "", Error(err)
		}
		for i := range records {
			v, visible, err := read(records[i])
			if err != nil {
				return page, "", fmt.Errorf("read %s: %w", records[i].Key, err)
			}
			if visible {
				if size += len(records[i].Value); len(page) == limit || len(page) > 0 && size > PageBytes {
					return page, s.Cursor(ctx, scope, after), nil
				}
				page = append(page, v)
			}
			after = records[i].Key.ID
		}
		if len(records) < PageSize {
			return page, "", nil
		}
		if scanned += len(records); scanned >= maxScan {
			return page, s.Cursor(ctx, scope, after), nil
		}
	}
}

// PageBytes is the most bytes of one page.
const PageBytes = 64 << 10

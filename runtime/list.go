package runtime

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/store"
)

// Page bounds of lists.
const (
	defaultList = 20
	maxList     = 100
	maxScan     = 2000 // records that one page looks at; filters that match less often give short pages
)

// listing is one page to be read.
type listing struct {
	tool   string // for the message about a bad cursor
	query  store.Query
	limit  int // 0: defaultList
	cursor string
}

// list reads a page of records, each by read, which says whether the caller is to see it. A page ends after its limit, or
// where its records get larger than MaxPage together. While others write, every record that stays is shown exactly once.
func list[T any](ctx context.Context, r *Runtime, l listing, read func(store.Record) (T, bool, error)) (page []T, next string, err error) {
	page = []T{}
	scope := fmt.Sprintf("%s %q %q", l.query.Kind, l.query.Term, l.query.Prefix)
	after, err := r.openCursor(ctx, l.tool, scope, l.cursor)
	if err != nil {
		return page, "", err
	}
	limit := l.limit
	if limit <= 0 {
		limit = defaultList
	}
	limit = min(limit, maxList)
	size, scanned := 0, 0
	for {
		l.query.After, l.query.Limit = after, maxList
		records, err := r.store.List(ctx, l.query)
		if err != nil {
			return page, "", storeError(err)
		}
		for i := range records {
			v, shown, err := read(records[i])
			if err != nil {
				return page, "", fmt.Errorf("read %s: %w", records[i].Key, err)
			}
			if shown {
				if size += len(records[i].Value); len(page) == limit || len(page) > 0 && size > MaxPage {
					return page, r.cursor(ctx, scope, after), nil
				}
				page = append(page, v)
			}
			after = records[i].Key.ID
		}
		if len(records) < maxList {
			return page, "", nil
		}
		if scanned += len(records); scanned >= maxScan {
			return page, r.cursor(ctx, scope, after), nil
		}
	}
}

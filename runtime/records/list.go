package records

import (
	"context"
	"fmt"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const (
	// PageSize is how many records one page has at most, of lists as well as of reads of the store.
	PageSize = 100
	// PageBytes is how many bytes the records of one page of a list have at most, unless it is a single record.
	PageBytes = 64 << 10
	// Brief as the limit of a list, or of another page, has the whole answer within schemas.MaxAnswer.
	Brief = -1

	defaultLimit = 20
	maxScan      = 2000 // records that one page reads; if fewer of them match, the page is short
	frame        = 400  // room for what an answer has beside a brief page: the cursor
)

// Listing is a request for one page of a list.
type Listing struct {
	Tool   string // is named in the error about an invalid cursor
	Query  store.Query
	Limit  int    // at most PageSize; 0: 20; or Brief: 20, each within an eighth of the page
	Cursor string // next of the page before; empty: the first page
}

// List reads a page of records, each by read, which also reports whether the record is shown. A page ends after its limit, or where its
// records together exceed PageBytes, or if it is brief, what is shown of them exceeds it; next is the cursor of the following page, empty
// after the last one. While records are written concurrently, every record that stays is shown exactly once. page is never nil.
func List[T any](ctx context.Context, s *Store, l Listing, read func(store.Record) (T, bool, error)) (page []T, next string, err error) {
	page = []T{}
	scope := fmt.Sprintf("%s %q %q", l.Query.Kind, l.Query.Term, l.Query.Prefix)
	after, err := s.OpenCursor(ctx, l.Tool, scope, l.Cursor)
	if err != nil {
		return page, "", err
	}
	limit, most := l.Limit, PageBytes
	if l.Limit < 0 {
		most = schemas.MaxAnswer - frame
	}
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, PageSize)
	size, scanned := 0, 0
	for {
		l.Query.After, l.Query.Limit = after, PageSize
		records, err := s.List(ctx, l.Query)
		if err != nil {
			return page, "", StoreError(err)
		}
		for i := range records {
			v, visible, err := read(records[i])
			if err != nil {
				return page, "", fmt.Errorf("read %s: %w", records[i].Key, err)
			}
			if visible {
				bytes := len(records[i].Value)
				if l.Limit < 0 {
					if b, ok := any(v).(interface{ Brief(most int) T }); ok {
						v = b.Brief(most / 8)
					}
					bytes = schemas.Size(v) + 1
				}
				if size += bytes; len(page) == limit || len(page) > 0 && size > most {
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

package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Ended is the error of a Store method whose context ended, with the context's cause in the chain. It is for
// implementations of Store, as are the functions below and Watchers.
func Ended(ctx context.Context) error {
	return fmt.Errorf("store: %w", context.Cause(ctx))
}

// UnixNano is t in nanoseconds since 1970, clamped to what an int64 holds.
func UnixNano(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case s >= most:
		return math.MaxInt64
	case s <= -most:
		return math.MinInt64
	}
	return t.UnixNano()
}

// PrefixEnd is the first key after all those that begin with prefix; nil: there is none.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

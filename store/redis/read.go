package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/runplane/runplane/store"
)

// Get reads one record; see store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (out store.Record, err error) {
	if err := key.Valid(); err != nil {
		return out, err
	}
	if err := s.ready(ctx); err != nil {
		return out, err
	}
	sh := s.shardOf(key.Partition())
	c := run(getScript, []string{sh.record(key)}).again()
	if err := s.do(ctx, sh, &sh.requests, c); err != nil {
		return out, named(err, sh.record(key))
	}
	if c.reply == nil {
		return out, fmt.Errorf("%q: %w", key, store.ErrNotFound)
	}
	fields, _ := c.reply.([]any)
	return parseRecord(sh, key, fields, false)
}

// parseRecord decodes version, value, terms, expiry and sum. What is not as it was written is a Fault; the value of a bare record was not
// read.
func parseRecord(sh *shard, key store.Key, fields []any, bare bool) (out store.Record, err error) {
	if len(fields) != 5 {
		return out, errReply
	}
	value, hasValue := fields[1].(string)
	terms, hasTerms := fields[2].(string)
	expiry, _ := fields[3].(string)
	sum, _ := fields[4].(string)
	out = store.Record{Key: key}
	what := ""
	if out.Version, err = number(fields[0]); err != nil || out.Version < 1 {
		what = "its version is no number"
	} else if out.Terms, err = parseTerms(terms); err != nil || !hasTerms {
		what = "its terms cannot be decoded"
	} else if out.Expires, err = parseMicros(fields[3]); err != nil {
		what = "its expiry is no number"
	}
	if bare || what != "" {
		if what != "" {
			return store.Record{}, damaged(sh.record(key), what)
		}
		return out, nil
	}
	out.Value = []byte(value)
	version, want, _ := strings.Cut(sum, ":")
	switch {
	case !hasValue:
		what = "its value is missing"
	case sum == "": // written by an earlier version
	case want == "":
		what = "its checksum is none"
	case version == strconv.FormatInt(out.Version, 10)+"."+expiry && want != recordSum(key, terms, out.Value):
		// Otherwise it was written by a replica of an earlier version, which leaves the sum of what was there before, perhaps of an expired
		// record with the same version.
		what = "its value or terms do not match their checksum"
	}
	if what != "" {
		return store.Record{}, damaged(sh.record(key), what)
	}
	return out, nil
}

// Log reads entries of a log; see store.Store.
func (s *Store) Log(ctx context.Context, key store.Key, after int64, limit int) ([]store.Entry, error) {
	if err := key.Valid(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = store.DefaultEntries
	}
	after = max(after, 0)
	sh := s.shardOf(key.Partition())
	c := plain("LRANGE", sh.log(key), after, after+int64(limit)-1)
	if err := s.do(ctx, sh, &sh.requests, c); err != nil {
		return nil, named(err, sh.log(key))
	}
	values, _ := c.reply.([]any)
	out := make([]store.Entry, len(values))
	for i, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, errReply
		}
		out[i] = store.Entry{Seq: after + int64(i) + 1, Value: []byte(text)}
	}
	return out, nil
}

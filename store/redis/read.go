package redis

import (
	"context"
	"fmt"

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
		return out, err
	}
	if c.reply == nil {
		return out, fmt.Errorf("%q: %w", key, store.ErrNotFound)
	}
	fields, _ := c.reply.([]any)
	return parseRecord(key, fields)
}

// parseRecord decodes version, value, terms and expiry.
func parseRecord(key store.Key, fields []any) (out store.Record, err error) {
	if len(fields) != 4 {
		return out, errReply
	}
	value, _ := fields[1].(string)
	terms, _ := fields[2].(string)
	out = store.Record{Key: key, Value: []byte(value)}
	if out.Version, err = number(fields[0]); err != nil {
		return out, fmt.Errorf("version of %q: %w", key, err)
	}
	if out.Terms, err = parseTerms(terms); err != nil {
		return out, fmt.Errorf("terms of %q: %w", key, err)
	}
	out.Expires, err = parseMicros(fields[3])
	return out, err
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
		return nil, err
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

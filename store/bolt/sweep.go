package bolt

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// sweepChunk is how many expired records one commit removes.
const sweepChunk = 1000

// runSweeper removes expired records, which reads already leave out, from the file, and releases the file's pages; it
// returns when stop closes.
func (s *Store) runSweeper(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for s.anyExpired() && s.sweepOnce() {
		}
		_ = s.releasePages() // pages in use are mapped again on access; on an error the kernel reclaims pages when memory is short
	}
}

// anyExpired reports whether a record has expired, without a write transaction.
func (s *Store) anyExpired() (found bool) {
	err := s.read(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(expiriesBucket.name).Cursor().First()
		found = len(k) > 8 && parseInstant(k) <= s.believed(s.clock.Now()).UnixNano()
		return nil
	})
	return err == nil && found
}

// sweepOnce has the committer remove up to sweepChunk records; false: there were none, or it failed and the next tick will
// try again.
func (s *Store) sweepOnce() bool {
	r := &request{sweep: true, done: make(chan struct{}, 1)}
	if s.commits.add(r) != nil {
		return false
	}
	<-r.done
	return r.err == nil && r.expired > 0
}

// sweep removes up to sweepChunk records that expired until then and returns how many. One that is damaged stays, and is passed to skipped.
func (w *writer) sweep(until int64, skipped func(error)) (removed int, err error) {
	var keys [][]byte
	c := w.expiries.Cursor()
	for k, _ := c.First(); len(k) > 8 && parseInstant(k) <= until && len(keys) < sweepChunk; k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		rec := k[8:]
		key, ok := parseRecordKey(rec)
		if ok {
			err = w.deleteRecord(keyOp{key, rec})
		}
		switch {
		case !ok, errors.Is(err, errDamaged):
			skipped(fmt.Errorf("%s, which has expired: %w", key, errDamaged))
		case err != nil:
			return 0, err
		default:
			removed++
		}
	}
	return removed, nil
}

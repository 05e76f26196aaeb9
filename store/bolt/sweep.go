package bolt

import (
	"time"

	"go.etcd.io/bbolt"
)

// sweepChunk is how many expired records one commit removes.
const sweepChunk = 1000

// runSweeper removes expired records, which readers no longer see, from the file, and takes the file out of memory; it returns
// when stop closes.
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
		_ = trim(s.db) // what is in use is back after a few faults; where this fails the kernel will see to it
	}
}

// anyExpired looks without writing.
func (s *Store) anyExpired() (found bool) {
	err := view(s.db, func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(expiriesBucket).Cursor().First()
		found = len(k) > 8 && parseInstant(k) <= time.Now().UnixNano()
		return nil
	})
	return err == nil && found
}

// sweepOnce removes a chunk through the committer; false if that failed, which the next tick tries again.
func (s *Store) sweepOnce() bool {
	r := &request{sweep: true, done: make(chan struct{}, 1)}
	if s.commits.add(r) != nil {
		return false
	}
	<-r.done
	return r.err == nil && r.expired > 0
}

// sweep removes up to sweepChunk records that expired, and says how many entries of the index it handled.
func (w *writer) sweep() (int, error) {
	var keys [][]byte
	c := w.expiries.Cursor()
	for k, _ := c.First(); len(k) > 8 && parseInstant(k) <= w.now && len(keys) < sweepChunk; k, _ = c.Next() {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		rec := k[8:]
		key, ok := parseRecordKey(rec)
		if !ok {
			return 0, errDamaged
		}
		if err := w.deleteRecord(keyOp{key, rec}); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

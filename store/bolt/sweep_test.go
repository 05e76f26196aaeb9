package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// Each row makes entries of the index of expiries that no record needs, or that are damaged. The sweeper must come to an end, remove what
// has expired also after many of them, and leave what has not.
func TestSweepEndsWhateverTheIndexSays(t *testing.T) {
	now := time.Now()
	gone, later := now.Add(-time.Hour).UnixNano(), now.Add(time.Hour).UnixNano()
	entry := func(tx *bbolt.Tx, at int64, id string, sealed bool) error {
		key := appendExpiryKey(nil, at, appendRecordKey(nil, store.Key{Kind: "x", ID: id}))
		value := expiriesBucket.appendSealed(nil, key, nil)
		if !sealed {
			value[2] ^= 1
		}
		return tx.Bucket(expiriesBucket.name).Put(key, value)
	}
	for _, tt := range []struct {
		name    string
		damage  func(tx *bbolt.Tx, i int) error
		left    int // entries after the sweep
		faults  bool
		commits int64 // at most
	}{
		{"no record", func(tx *bbolt.Tx, i int) error { return entry(tx, gone, fmt.Sprint("none", i), true) }, 1, false, 5},
		{"an earlier time than the record has", func(tx *bbolt.Tx, i int) error { return entry(tx, gone+int64(i), "kept", true) }, 1, false, 5},
		{"damaged", func(tx *bbolt.Tx, i int) error { return entry(tx, gone, fmt.Sprint("none", i), false) }, 2501, true, 2},
		{"damaged, of a record that is kept", func(tx *bbolt.Tx, i int) error { return entry(tx, gone+int64(i), "kept", false) }, 2501, true, 2},
		{"no key", func(tx *bbolt.Tx, i int) error {
			key := appendExpiryKey(nil, gone, fmt.Appendf(nil, "text%d", i))
			return tx.Bucket(expiriesBucket.name).Put(key, expiriesBucket.appendSealed(nil, key, nil))
		}, 2501, true, 2},
		{"damaged records", func(tx *bbolt.Tx, i int) error {
			rec := appendRecordKey(nil, store.Key{Kind: "x", ID: fmt.Sprint("bad", i)})
			return errors.Join(tx.Bucket(recordsBucket.name).Put(rec, bytes.Repeat([]byte("bad"), 20)), entry(tx, gone, fmt.Sprint("bad", i), true))
		}, 2501, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(Options{Mem: true, Sweep: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			kept, expired := store.Key{Kind: "x", ID: "kept"}, store.Key{Kind: "x", ID: "expired"}
			mustCommit(t, s, store.Batch{Puts: []store.Put{{Key: kept, TTL: time.Until(time.Unix(0, later))}}})
			mustCommit(t, s, store.Batch{Puts: []store.Put{{Key: expired, TTL: 1}}})
			err = s.db.Update(func(tx *bbolt.Tx) error {
				for i := range 2500 {
					if err := tt.damage(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			s.file.last.Add(1)
			before := s.file.last.Load()
			for s.anyExpired() && s.sweepOnce() {
				if s.file.last.Load()-before > tt.commits {
					t.Fatalf("%d commits, and it goes on", s.file.last.Load()-before)
				}
			}
			left := 0
			_ = s.db.View(func(tx *bbolt.Tx) error {
				left = tx.Bucket(expiriesBucket.name).Stats().KeyN
				if tx.Bucket(recordsBucket.name).Get(appendRecordKey(nil, expired)) != nil {
					t.Error("the expired record is there")
				}
				return nil
			})
			if _, err := s.Get(t.Context(), kept); err != nil || left != tt.left {
				t.Errorf("%d entries are left, want %d; the record that is kept: %v", left, tt.left, err)
			}
			if got := len(s.Conditions()) > 0; got != tt.faults {
				t.Errorf("conditions %v, want some: %v", s.Conditions(), tt.faults)
			}
		})
	}
}

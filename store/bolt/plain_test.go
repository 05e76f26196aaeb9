package bolt

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// Each entry that a store writes is damaged, and read as one of a store that also has entries without a seal. It must not be taken for
// one of those: where the mark and the rest of the seal are damaged at once that is by the form of the value alone.
func TestDamagedSealIsNotReadAsUnsealed(t *testing.T) {
	s := openMem(t)
	k := store.Key{Kind: "x", ID: "an-id"}
	for _, at := range []time.Time{time.Now(), time.Now().Add(-time.Hour), time.Unix(0, 1), time.Now().AddDate(100, 0, 0)} {
		for priority := range store.Priorities {
			k.ID = fmt.Sprint(at.Unix(), priority)
			mustCommit(t, s, store.Batch{
				Puts:    []store.Put{{Key: k, Value: []byte(`{"a": "value"}`), Terms: []string{"status=open"}, TTL: time.Hour}},
				Appends: []store.Append{{Key: k, Value: []byte(`{"seq": 1}`)}, {Key: k, Value: []byte(`{"seq": 2}`)}},
				Wakes:   []store.Wake{{Key: k, At: at, Priority: priority + 1, Fairness: "by-whom"}},
			})
		}
	}
	damages := []struct {
		name string
		do   func(b []byte, at int)
	}{
		{"a bit", func(b []byte, at int) { b[at] ^= 1 << (at % 8) }},
		{"a zero", func(b []byte, at int) { b[at] = 0 }},
		{"zeros to the end", func(b []byte, at int) { clear(b[at:]) }},
		{"zeros from the start", func(b []byte, at int) { clear(b[:at+1]) }},
		{"ones from the start", func(b []byte, at int) { copy(b[:at+1], bytes.Repeat([]byte{0xff}, at+1)) }},
	}
	tried := 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			c := tx.Bucket(b.name).Cursor()
			for key, value := c.First(); key != nil; key, value = c.Next() {
				for _, d := range damages {
					for at := range value {
						changed := bytes.Clone(value)
						if d.do(changed, at); bytes.Equal(changed, value) {
							continue
						}
						tried++
						if e, err := b.open(key, changed, true); err == nil && !(e.sealed && b.checkBody(e) != nil) {
							t.Errorf("%s: %s at %d of %x is read as %x", b.name, d.name, at, value, e.bytes())
						}
					}
				}
				for size := range value {
					if e, err := b.open(key, value[:size], true); err == nil && !e.sealed && size > 0 {
						t.Errorf("%s: the first %d bytes of %x are read as %x", b.name, size, value, e.bytes())
					}
				}
			}
		}
		return nil
	})
	if err != nil || tried < 10_000 {
		t.Errorf("%d damages, %v", tried, err)
	}
}

package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// writer is one group's transaction, and the time that decides what has expired.
type writer struct {
	tx       *bbolt.Tx
	now      int64
	tails    map[string]int64 // last sequence numbers of recently written logs; owned by the committer
	unsealed bool             // the store has entries without a seal
	scratch  []byte
	values   []byte // those of index entries; bbolt keeps slices of it until the transaction ends
}

// fillPercent is how far pages are filled: new keys of logs and indexes mostly follow the existing ones.
const fillPercent = 0.9

func newWriter(tx *bbolt.Tx, now int64, tails map[string]int64, unsealed bool) *writer {
	return &writer{tx: tx, now: now, tails: tails, unsealed: unsealed}
}

// bucket opens a bucket. The transaction keeps it, and most write to two or three of them.
func (w *writer) bucket(b *bucket) *bbolt.Bucket {
	opened := w.tx.Bucket(b.name)
	opened.FillPercent = fillPercent
	return opened
}

// seal returns the sealed value of an entry without a body. It is valid until the transaction ends.
func (w *writer) seal(b *bucket, key, head []byte) []byte {
	from := len(w.values)
	w.values = b.appendSealed(w.values, key, head)
	return w.values[from:len(w.values):len(w.values)]
}

// check compares the batch's versions with the stored ones and keeps the old records for write. It writes nothing.
func (w *writer) check(r *request) error {
	for i := range r.puts {
		p := &r.puts[i]
		raw := w.bucket(recordsBucket).Get(p.rec)
		p.oldRaw, p.old = raw != nil, stored{}
		if p.oldRaw {
			var err error
			if p.old, err = openRecord(p.rec, raw, w.unsealed); err != nil {
				return fmt.Errorf("%s: %w", p.key, err)
			}
		}
		have := p.old.version
		if !p.old.liveAt(w.now) {
			have = 0
		}
		if p.want != store.AnyVersion && p.want != have {
			return fmt.Errorf("%w: %q is at version %d, not %d", store.ErrConflict, p.key, have, p.want)
		}
		r.versions = append(r.versions, have+1)
	}
	return nil
}

// write writes a batch that check accepted. After an error the whole transaction must be rolled back.
func (w *writer) write(r *request) error {
	for _, d := range r.deletes {
		if err := w.delete(d); err != nil {
			return fmt.Errorf("delete %q: %w", d.key, err)
		}
	}
	for i := range r.puts {
		if err := w.put(&r.puts[i], r.versions[i]); err != nil {
			return fmt.Errorf("put %q: %w", r.puts[i].key, err)
		}
	}
	for i := range r.logs {
		if err := w.append(&r.logs[i]); err != nil {
			return fmt.Errorf("append to %q: %w", r.logs[i].key, err)
		}
	}
	for i := range r.wakes {
		if err := w.setWake(&r.wakes[i]); err != nil {
			return fmt.Errorf("wake of %q: %w", r.wakes[i].key, err)
		}
	}
	if r.removesWake() {
		if err := w.setWake(&wakeOp{keyOp: r.releasedKey}); err != nil {
			return fmt.Errorf("release of %q: %w", r.release.Key, err)
		}
	}
	return nil
}

func (w *writer) put(p *putOp, version int64) error {
	record := p.value[sealSize:]
	setVersion(record, version)
	fresh, err := parseRecord(record)
	if err != nil {
		return err
	}
	head, _ := recordHead(record)
	recordsBucket.setSeal(p.value, p.rec, head)
	if err := w.reindex(p.keyOp, p.old, fresh); err != nil {
		return err
	}
	return w.bucket(recordsBucket).Put(p.rec, p.value)
}

// reindex replaces the index entries of a record's old state with those of its new one; the zero stored has none.
func (w *writer) reindex(k keyOp, old, fresh stored) error {
	if old.expires != fresh.expires {
		if old.expires != 0 {
			w.scratch = appendExpiryKey(w.scratch[:0], old.expires, k.rec)
			if err := w.bucket(expiriesBucket).Delete(w.scratch); err != nil {
				return err
			}
		}
		if fresh.expires != 0 {
			w.scratch = appendExpiryKey(w.scratch[:0], fresh.expires, k.rec)
			if err := w.bucket(expiriesBucket).Put(w.scratch, w.seal(expiriesBucket, w.scratch, nil)); err != nil {
				return err
			}
		}
	}
	if bytes.Equal(old.terms, fresh.terms) {
		return nil
	}
	if err := w.eachTerm(k.key, old.terms, fresh.terms, w.bucket(termsBucket).Delete); err != nil {
		return err
	}
	return w.eachTerm(k.key, fresh.terms, old.terms, func(key []byte) error {
		return w.bucket(termsBucket).Put(key, w.seal(termsBucket, key, nil))
	})
}

// eachTerm calls do with the index key of each term in block that is not in other.
func (w *writer) eachTerm(key store.Key, block, other []byte, do func([]byte) error) error {
	for len(block) > 0 {
		term, rest, err := cutSized(block)
		if err != nil {
			return err
		}
		block = rest
		if hasTerm(other, term) {
			continue
		}
		w.scratch = appendTermPrefix(w.scratch[:0], key.Kind, string(term))
		w.scratch = append(w.scratch, key.ID...)
		if err := do(w.scratch); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) delete(k keyOp) error {
	if err := w.deleteRecord(k); err != nil {
		return err
	}
	prefix := appendLogPrefix(nil, k.key)
	delete(w.tails, string(prefix))
	c := w.bucket(logsBucket).Cursor()
	for at, _ := c.Seek(prefix); bytes.HasPrefix(at, prefix); at, _ = c.Seek(prefix) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return w.setWake(&wakeOp{keyOp: k})
}

func (w *writer) deleteRecord(k keyOp) error {
	raw := w.bucket(recordsBucket).Get(k.rec)
	if raw == nil {
		return nil
	}
	old, err := openRecord(k.rec, raw, w.unsealed)
	if err != nil {
		return err
	}
	if err := w.reindex(k, old, stored{}); err != nil {
		return err
	}
	return w.bucket(recordsBucket).Delete(k.rec)
}

// maxTails is the most entries of writer.tails; the last number of another log is read from the file.
const maxTails = 8192

func (w *writer) append(l *logOp) error {
	last, known := w.tails[string(l.prefix)]
	if !known {
		last = lastSeq(w.bucket(logsBucket), l.prefix)
		if len(w.tails) >= maxTails {
			clear(w.tails)
		}
	}
	l.last = last + l.n
	w.tails[string(l.prefix)] = l.last
	w.scratch = appendSeq(append(w.scratch[:0], l.prefix...), l.last)
	logsBucket.setSeal(l.chunk, w.scratch, 0)
	return w.bucket(logsBucket).Put(w.scratch, l.chunk)
}

// lastSeq is the number of a log's last entry, 0 for an empty log. It only searches forward: in bbolt, Cursor.Prev stops at
// a page that the same transaction emptied.
func lastSeq(logs *bbolt.Bucket, prefix []byte) int64 {
	c := logs.Cursor()
	key := append([]byte(nil), prefix...)
	firstFrom := func(seq int64) int64 { // the last number of the first chunk that ends at seq or later; 0: none does
		key = appendSeq(key[:len(prefix)], seq)
		k, _ := c.Seek(key)
		if len(k) != len(key) || !bytes.HasPrefix(k, prefix) {
			return 0
		}
		return int64(binary.BigEndian.Uint64(k[len(prefix):]))
	}
	last := firstFrom(1)
	if last == 0 {
		return 0
	}
	step := int64(1)
	for next := firstFrom(last + step); next != 0; next = firstFrom(last + step) {
		last, step = next, 2*step
	}
	for ; step > 1; step /= 2 { // the last number is less than last+step
		if next := firstFrom(last + step/2); next != 0 {
			last = next
		}
	}
	return last
}

// setWake replaces or removes a key's wake in both buckets.
func (w *writer) setWake(op *wakeOp) error {
	var value, sealed []byte
	if op.set {
		value = appendWake(nil, op.wake)
		sealed = w.seal(wakesBucket, op.rec, value)
	}
	old := w.bucket(wakesBucket).Get(op.rec)
	if old != nil {
		if op.set && bytes.Equal(old, sealed) {
			return nil
		}
		at, err := openWake(op.rec, old, w.unsealed)
		if err != nil {
			return err
		}
		w.scratch = appendDueKey(w.scratch[:0], op.key, at.at)
		if err := w.bucket(dueBucket).Delete(w.scratch); err != nil {
			return err
		}
	}
	if !op.set {
		if old == nil {
			return nil
		}
		return w.bucket(wakesBucket).Delete(op.rec)
	}
	if err := w.bucket(wakesBucket).Put(op.rec, sealed); err != nil {
		return err
	}
	w.scratch = appendDueKey(w.scratch[:0], op.key, op.wake.at)
	return w.bucket(dueBucket).Put(w.scratch, w.seal(dueBucket, w.scratch, value[8:]))
}

// appendWake encodes a wake for the wakes bucket; what follows the time is its value in the due bucket.
func appendWake(b []byte, w wake) []byte {
	b = appendInstant(b, w.at)
	b = binary.AppendVarint(b, int64(w.priority))
	return append(b, w.fairness...)
}

// openWake decodes what is stored at a key of the wakes.
func openWake(key, raw []byte, unsealed bool) (w wake, err error) {
	e, err := wakesBucket.open(key, raw, unsealed)
	if err != nil || len(e.head) < 8 {
		return w, errDamaged
	}
	priority, fairness, err := parseWake(e.head[8:])
	return wake{parseInstant(e.head), priority, string(fairness)}, err
}

// parseWake is the inverse of appendWake without the time.
func parseWake(b []byte) (priority int, fairness []byte, err error) {
	p, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, errDamaged
	}
	return int(p), b[n:], nil
}

package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// salvageGroup is how many entries one transaction of Salvage writes.
const salvageGroup = 2000

// From returns the number of the entry after which the log at the key of a record is needed: earlier entries may be missing. It is called
// for records that were read.
type From func(key store.Key, value []byte) int64

// Salvage copies what is whole in the store in a folder into a new store in the folder out, which must have none, and changes nothing of
// the first. The findings of the report are what was found, and what is lost: every record, wake or part of a log that something names.
// Indexes are made again. A log is copied up to its first gap after the number that from returns.
func Salvage(dir, out string, from From) (Report, error) {
	damaged := filepath.Join(dir, fileName)
	c, err := openCheck(damaged)
	if err != nil {
		return Report{Path: damaged}, err
	}
	defer c.close()
	if err := os.MkdirAll(out, 0o700); err != nil {
		return c.report, fmt.Errorf("make the new store: %w", err)
	}
	path := filepath.Join(out, fileName)
	if _, err := os.Lstat(path); err == nil {
		return c.report, fmt.Errorf("%w: %s exists: a store is salvaged into a folder that has none", store.ErrInvalid, path)
	}
	f, err := os.CreateTemp(out, fileName+".new-")
	if err != nil {
		return c.report, fmt.Errorf("make the new store: %w", err)
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return c.report, err
	}
	db, err := openFile(f.Name(), true, &f) // synced once, at the end
	if err != nil {
		return c.report, err
	}
	s := &salvage{check: c, db: db, from: from, starts: map[string]int64{}}
	if err := errors.Join(s.run(), db.Sync(), db.Close()); err != nil {
		return c.report, fmt.Errorf("make the new store: %w", err)
	}
	return c.report, errors.Join(os.Rename(f.Name(), path), syncDir(out))
}

// salvage writes what a check has read.
type salvage struct {
	*check
	db     *bbolt.DB
	tx     *bbolt.Tx
	w      *writer
	n      int // entries of the transaction
	from   From
	starts map[string]int64 // by the prefix of a log: what from said
	cut    []byte           // the prefix of a log that ends here
}

func (s *salvage) run() (err error) {
	if err := s.db.Update(func(tx *bbolt.Tx) error { _, err := makeBuckets(tx); return err }); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end(err == nil)) }()
	compare := s.visit
	s.visit = func(b *bucket, key []byte, e entry) error {
		if err := compare(b, key, e); err != nil {
			return err
		}
		return s.copy(b, key, e)
	}
	if err := s.check.run(); err != nil {
		return err
	}
	// Logs, whose records are known now.
	again := survey{in: s.in, deep: true, visit: func(b *bucket, key []byte, e entry) error {
		if b == logsBucket {
			return s.copyChunk(key, e)
		}
		return nil
	}}
	known := len(s.findings)
	s.log = logEnd{}
	if err := again.run(); err != nil {
		return err
	}
	s.report.Findings = append(s.report.Findings, s.findings[known:]...)
	return nil
}

func (s *salvage) begin() (err error) {
	if s.tx, err = s.db.Begin(true); err == nil {
		s.w = newWriter(s.tx, 0, map[string]int64{}, false)
		s.n = 0
	}
	return err
}

func (s *salvage) end(commit bool) error {
	if !commit {
		return s.tx.Rollback()
	}
	return s.tx.Commit()
}

// next begins another transaction when the present one is large.
func (s *salvage) next() error {
	if s.n++; s.n < salvageGroup {
		return nil
	}
	if err := s.tx.Commit(); err != nil {
		return err
	}
	return s.begin()
}

// copy writes a record or wake; indexes follow from them.
func (s *salvage) copy(b *bucket, key []byte, e entry) error {
	k := keyOf(b, key)
	if k == (store.Key{}) {
		return nil
	}
	op := keyOp{key: k, rec: bytes.Clone(key)}
	switch b {
	case recordsBucket:
		fresh, err := parseRecord(e.bytes())
		if err != nil {
			return nil //nolint:nilerr // the check has noted it
		}
		if s.from != nil {
			s.starts[string(appendLogPrefix(nil, k))] = s.from(k, fresh.value)
		}
		value := recordsBucket.endSeal(append(beginSeal(nil), e.bytes()...), sealSize+len(e.head))
		recordsBucket.setSeal(value, op.rec, len(e.head))
		if err := s.w.reindex(op, stored{}, fresh); err != nil {
			return err
		}
		if err := s.w.bucket(recordsBucket).Put(op.rec, value); err != nil {
			return err
		}
	case wakesBucket:
		if s.missing[k] { // what it would wake is lost
			s.find(Finding{Bucket: "wakes", Key: k, What: "its record is lost, so the wake is left out", Lost: true})
			return nil
		}
		w, err := openWake(key, wakesBucket.appendSealed(nil, key, e.head), false)
		if err != nil {
			return nil //nolint:nilerr // the check has noted it
		}
		if err := s.w.setWake(&wakeOp{keyOp: op, wake: w, set: true}); err != nil {
			return err
		}
	default:
		return nil
	}
	return s.next()
}

// copyChunk writes a chunk of a log unless the log has a gap before it.
func (s *salvage) copyChunk(key []byte, e entry) error {
	prefix, first, last, err := chunkRange(key, e.body)
	if err != nil || bytes.Equal(prefix, s.cut) {
		return nil //nolint:nilerr // the check has noted it
	}
	if !bytes.Equal(prefix, s.log.prefix) {
		s.log = logEnd{prefix: bytes.Clone(prefix)}
	}
	if first != s.log.last+1 && (first <= s.log.last || s.starts[string(prefix)] < first-1) {
		s.cut = bytes.Clone(prefix)
		s.find(Finding{Bucket: "logs", Key: keyOf(logsBucket, key), Lost: true,
			What: fmt.Sprintf("the log is kept up to entry %d; what follows the gap is left out", s.log.last)})
		return nil
	}
	s.log.last = last
	value := logsBucket.endSeal(append(beginSeal(nil), e.body...), sealSize)
	key = bytes.Clone(key)
	logsBucket.setSeal(value, key, 0)
	if err := s.w.bucket(logsBucket).Put(key, value); err != nil {
		return err
	}
	return s.next()
}

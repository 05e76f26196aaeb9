package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"

	bberrors "go.etcd.io/bbolt/errors"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt/pages"
)

// Report is what Check found in a store, or what Salvage copied and could not.
type Report struct {
	Path     string           `json:"path"`
	Bytes    int64            `json:"bytes"`
	Format   string           `json:"format"`
	Stale    bool             `json:"stale"`    // the state before the last commit was read, since a meta page is damaged
	Unsealed int              `json:"unsealed"` // entries of an older version, which have no checksum
	Kinds    map[string]Count `json:"kinds"`
	Findings []Finding        `json:"findings"`
}

// Count is how much there is of one kind of keys.
type Count struct {
	Records int `json:"records"`
	Logs    int `json:"logs"`
	Entries int `json:"entries"` // of the logs
	Wakes   int `json:"wakes"`
}

// Check reads all of the store in a folder: pages, keys, checksums, records, logs and indexes. It changes nothing. An error means that the
// file cannot be read at all, wraps store.ErrInUse while a process serves the store, and is a *Fault where no store may be kept.
func Check(dir string) (Report, error) {
	return checkFile(filepath.Join(dir, fileName))
}

func checkFile(path string) (Report, error) {
	c, err := openCheck(path)
	if err != nil {
		return Report{Path: path}, err
	}
	defer c.close()
	err = c.run()
	return c.report, err
}

// check is a survey that compares what it reads.
type check struct {
	survey
	report Report
	close  func()

	seed    maphash.Seed
	records map[uint64]struct{} // hashes of their keys
	terms   map[uint64]struct{} // of the index entries that there should be
	due     map[uint64]struct{} // of the entries that wait for their wake
	expires map[uint64]struct{} // of those that wait for their record
	missing map[store.Key]bool  // records that are lost
	log     logEnd
}

// logEnd is how far the log that is read has got.
type logEnd struct {
	prefix []byte
	last   int64
}

func openCheck(path string) (c *check, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := checkKind(path, info); err != nil {
		return nil, err
	}
	locked, lockErr := openReadOnly(path)
	if errors.Is(lockErr, bberrors.ErrTimeout) {
		return nil, inUse(filepath.Dir(path), path)
	}
	unlock := func() {
		if lockErr == nil {
			locked.Close()
		}
	}
	f, err := os.Open(path)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c = &check{report: Report{Path: path, Bytes: info.Size(), Kinds: map[string]Count{}, Findings: []Finding{}}, seed: maphash.MakeSeed()}
	c.close = func() {
		f.Close()
		unlock()
	}
	c.records, c.terms, c.due, c.expires = map[uint64]struct{}{}, map[uint64]struct{}{}, map[uint64]struct{}{}, map[uint64]struct{}{}
	c.missing = map[store.Key]bool{}
	if c.in, err = pages.Open(f, info.Size()); err != nil {
		c.close()
		return nil, &Fault{Kind: Damaged, Path: path, Detail: err.Error(),
			Cure: "nothing says where its data is, so it cannot be salvaged: put back a copy of the file"}
	}
	c.deep, c.visit = true, c.add
	c.report.Stale = c.in.Stale
	c.skip = func(b *bucket, f *Finding) {
		if b == recordsBucket {
			c.missing[f.Key] = true // what names it need not say so again
		}
	}
	return c, nil
}

func (c *check) run() error {
	err := c.survey.run()
	if n := len(c.expires); n > 0 && err == nil {
		c.find(Finding{Bucket: "expiries", What: fmt.Sprintf("%d entries of the index of expiries have no record", n)})
	}
	if n := len(c.due); n > 0 && err == nil {
		c.find(Finding{Bucket: "due", What: fmt.Sprintf("%d entries of the queue have no wake", n)})
	}
	if n := len(c.terms); n > 0 && err == nil {
		c.find(Finding{Bucket: "terms", What: fmt.Sprintf("%d terms of records are not in the index", n)})
	}
	c.report.Format = c.format
	c.report.Findings = append(c.report.Findings, c.findings...)
	return err
}

func (c *check) hash(b []byte) uint64 { return maphash.Bytes(c.seed, b) }

// take removes a hash and reports whether it was there.
func take(from map[uint64]struct{}, h uint64) bool {
	_, ok := from[h]
	delete(from, h)
	return ok
}

// counted changes the count of a kind.
func (c *check) counted(kind string, change func(*Count)) {
	n := c.report.Kinds[kind]
	change(&n)
	c.report.Kinds[kind] = n
}

// add compares an entry with the others. Buckets are visited in the order of their names: due, expiries, logs, records, terms, wakes.
func (c *check) add(b *bucket, key []byte, e entry) error {
	if !e.sealed {
		c.report.Unsealed++
	}
	k := keyOf(b, key)
	if k == (store.Key{}) {
		c.find(Finding{Bucket: string(b.name), What: fmt.Sprintf("the key %q is none of a store", key)})
		return nil
	}
	switch b {
	case dueBucket:
		c.due[c.hash(key)] = struct{}{}
	case expiriesBucket:
		c.expires[c.hash(key)] = struct{}{}
	case logsBucket:
		c.addChunk(k, key, e)
	case recordsBucket:
		c.addRecord(k, key, e)
	case termsBucket:
		c.addTerm(k, key)
	case wakesBucket:
		c.addWake(k, key, e)
	}
	return nil
}

func (c *check) addRecord(k store.Key, key []byte, e entry) {
	r, err := parseRecord(e.bytes())
	var terms []string
	if err == nil {
		var rec store.Record
		rec, err = r.record(k, true)
		terms = rec.Terms
	}
	if err != nil {
		c.find(Finding{Bucket: "records", Key: k, What: "the record cannot be decoded", Lost: true})
		return
	}
	c.records[c.hash(key)] = struct{}{}
	for _, t := range terms {
		c.terms[c.hash(append(appendTermPrefix(nil, k.Kind, t), k.ID...))] = struct{}{}
	}
	if r.expires != 0 && !take(c.expires, c.hash(appendExpiryKey(nil, r.expires, key))) {
		c.find(Finding{Bucket: "expiries", Key: k, What: "the record expires, and is not in the index of expiries"})
	}
	c.counted(k.Kind, func(n *Count) { n.Records++ })
}

func (c *check) addTerm(k store.Key, key []byte) {
	if take(c.terms, c.hash(key)) {
		return
	}
	if _, ok := c.records[c.hash(appendRecordKey(nil, k))]; ok {
		c.find(Finding{Bucket: "terms", Key: k, What: "the index has a term that the record has not"})
		return
	}
	c.lose(k, "the index names a record that is not there")
}

// lose notes once that a record is missing.
func (c *check) lose(k store.Key, what string) {
	if !c.missing[k] {
		c.missing[k] = true
		c.find(Finding{Bucket: "records", Key: k, What: what, Lost: true})
	}
}

func (c *check) addWake(k store.Key, key []byte, e entry) {
	w, err := openWake(key, wakesBucket.appendSealed(nil, key, e.head), false)
	if err != nil {
		c.find(Finding{Bucket: "wakes", Key: k, What: "the wake cannot be decoded", Lost: true})
		return
	}
	if !take(c.due, c.hash(appendDueKey(nil, k, w.at))) {
		c.find(Finding{Bucket: "due", Key: k, What: "the wake is not in the queue"})
	}
	c.counted(k.Kind, func(n *Count) { n.Wakes++ })
}

// addChunk follows a log, whose chunks come in order.
func (c *check) addChunk(k store.Key, key []byte, e entry) {
	prefix, first, last, err := chunkRange(key, e.body)
	if err != nil {
		c.find(Finding{Bucket: "logs", Key: k, What: "entries of the log cannot be decoded", Lost: true})
		return
	}
	if !bytes.Equal(prefix, c.log.prefix) {
		c.log = logEnd{prefix: bytes.Clone(prefix)}
		c.counted(k.Kind, func(n *Count) { n.Logs++ })
	}
	if what := c.log.gap(first); what != "" {
		c.find(Finding{Bucket: "logs", Key: k, What: what, Lost: true})
	}
	c.log.last = last
	c.counted(k.Kind, func(n *Count) { n.Entries += int(last - first + 1) })
}

// gap says what is wrong if the next entry that is there has the number first.
func (l *logEnd) gap(first int64) string {
	switch {
	case first == l.last+1:
		return ""
	case first <= l.last:
		return fmt.Sprintf("the log has entry %d twice", first)
	}
	return fmt.Sprintf("entries %d to %d of the log are missing", l.last+1, first-1)
}

// chunkRange returns the prefix of the log's keys, and the numbers of the first and last entry of a chunk.
func chunkRange(key, body []byte) (prefix []byte, first, last int64, err error) {
	if len(key) < 8 {
		return nil, 0, 0, errDamaged
	}
	prefix = key[:len(key)-8]
	last = int64(binary.BigEndian.Uint64(key[len(prefix):]))
	_, first, err = appendEntries(nil, body, last, last, 0)
	if err == nil && (first < 1 || first > last) {
		err = errDamaged
	}
	return prefix, first, last, err
}

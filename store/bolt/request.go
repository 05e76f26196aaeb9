package bolt

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// request is a batch for the committer. The caller encodes it completely before queueing it, so that the committer only
// looks up, compares and writes, and never reads the caller's memory.
type request struct {
	buf         []byte // backs everything encoded below
	puts        []putOp
	deletes     []keyOp
	logs        []logOp
	appends     []appendAt
	wakes       []wakeOp
	claim       *store.Claim
	release     *store.Lease
	releasedKey keyOp // key of release
	weight      int64 // what it takes of the room of the committer
	sweep       bool  // removes expired records instead of writing a batch

	versions []int64
	lease    *lease      // granted to claim
	grant    store.Lease // a copy of lease as it was granted
	released bool        // release named a lease that had not expired
	expired  int         // number of records that a sweep removed
	err      error
	done     chan struct{}
}

type keyOp struct {
	key store.Key
	rec []byte // key in records and wakes
}

type putOp struct {
	keyOp
	value   []byte // encoded record with its seal, whose head the committer completes
	want    int64
	expires int64
	old     stored // the record that check found
	oldRaw  bool   // there was a record, expired or not
}

// logOp is what a batch appends to one log: one pair in the bucket.
type logOp struct {
	key    store.Key
	prefix []byte
	chunk  []byte // the entries with their seal, whose head the committer completes
	n      int64
	last   int64 // the log's last sequence number after the batch
}

// appendAt locates an Append of the batch: the index of its logOp and its index among that log's entries.
type appendAt struct {
	log int
	nth int64
}

type wakeOp struct {
	keyOp
	wake wake
	set  bool // false: no wake
}

// wake is a store.Wake without its key, as it is stored.
type wake struct {
	at       int64
	priority int
	fairness string
}

// requestPool is not shared between stores, so that a store in a testing/synctest bubble uses no channel from outside it.
type requestPool struct{ pool sync.Pool }

func (p *requestPool) get() *request {
	if r, ok := p.pool.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

// put returns a request to the pool. The caller does not use it again.
func (p *requestPool) put(r *request) {
	r.reset()
	p.pool.Put(r)
}

// encode encodes a valid batch into the request.
func (r *request) encode(b *store.Batch, now time.Time) {
	for i := range b.Puts {
		r.addPut(&b.Puts[i], now)
	}
	for _, k := range b.Deletes {
		r.deletes = append(r.deletes, r.keyOp(k))
	}
	r.addAppends(b.Appends)
	for _, w := range b.Wakes {
		op := wakeOp{keyOp: r.keyOp(w.Key), set: !w.At.IsZero()}
		if op.set {
			op.wake = wake{at: store.UnixNano(w.At), priority: w.Priority, fairness: w.Fairness}
			if w.Priority == 0 {
				op.wake.priority = 3
			}
		}
		r.wakes = append(r.wakes, op)
	}
	if b.Claim != nil {
		c := *b.Claim
		r.claim = &c
	}
	if b.Release != nil {
		l := *b.Release
		r.release, r.releasedKey = &l, r.keyOp(l.Key)
	}
}

// reset clears the request and keeps its memory for the next one.
func (r *request) reset() {
	if cap(r.buf) > 1<<16 {
		r.buf = nil
	}
	clear(r.puts)
	clear(r.deletes)
	clear(r.logs)
	clear(r.wakes)
	*r = request{buf: r.buf[:0], puts: r.puts[:0], deletes: r.deletes[:0], logs: r.logs[:0], appends: r.appends[:0],
		wakes: r.wakes[:0], versions: r.versions[:0], done: r.done}
}

// encodedFrom returns what was appended to buf from index from on. It stays valid when buf grows.
func (r *request) encodedFrom(from int) []byte {
	return r.buf[from:len(r.buf):len(r.buf)]
}

func (r *request) keyOp(k store.Key) keyOp {
	from := len(r.buf)
	r.buf = appendRecordKey(r.buf, k)
	return keyOp{k, r.encodedFrom(from)}
}

func (r *request) addPut(p *store.Put, now time.Time) {
	op := putOp{keyOp: r.keyOp(p.Key), want: p.Version}
	if p.TTL > 0 {
		op.expires = store.UnixNano(now.Add(p.TTL))
	}
	from := len(r.buf)
	r.buf = appendRecord(beginSeal(r.buf), p, op.expires)
	r.buf = recordsBucket.endSeal(r.buf, len(r.buf)-len(p.Value))
	op.value = r.encodedFrom(from)
	r.puts = append(r.puts, op)
}

// addAppends encodes the entries of each log as one chunk: each entry preceded by its length.
func (r *request) addAppends(appends []store.Append) {
	for i := range appends {
		a := &appends[i]
		at := len(r.logs) - 1
		for at >= 0 && r.logs[at].key != a.Key {
			at--
		}
		if at < 0 {
			from := len(r.buf)
			r.buf = appendLogPrefix(r.buf, a.Key)
			r.logs = append(r.logs, logOp{key: a.Key, prefix: r.encodedFrom(from)})
			at = len(r.logs) - 1
		}
		r.appends = append(r.appends, appendAt{at, r.logs[at].n})
		r.logs[at].n++
	}
	for l := range r.logs {
		from := len(r.buf)
		r.buf = beginSeal(r.buf)
		for i, at := range r.appends {
			if at.log == l {
				r.buf = binary.AppendUvarint(r.buf, uint64(len(appends[i].Value)))
				r.buf = append(r.buf, appends[i].Value...)
			}
		}
		r.buf = logsBucket.endSeal(r.buf, from+sealSize)
		r.logs[l].chunk = r.encodedFrom(from)
	}
}

// removesWake reports whether the release leaves its key without a wake.
func (r *request) removesWake() bool {
	if !r.released {
		return false
	}
	for i := range r.wakes {
		if r.wakes[i].key == r.release.Key {
			return false
		}
	}
	return true
}

// touchesQueues reports whether the batch changed wakes or leases, so that memory must be updated.
func (r *request) touchesQueues() bool {
	return len(r.wakes) > 0 || len(r.deletes) > 0 || r.release != nil
}

// size is about how many bytes the request adds to a group.
func (r *request) size() int { return len(r.buf) }

// committed is the result for the caller.
func (r *request) committed() store.Committed {
	out := store.Committed{}
	if n := len(r.puts) + len(r.appends); n > 0 {
		all := make([]int64, 0, n)
		all = append(all, r.versions...)
		for _, at := range r.appends {
			l := &r.logs[at.log]
			all = append(all, l.last-l.n+1+at.nth)
		}
		v := len(r.versions)
		out.Versions, out.Seqs = all[:v:v], all[v:]
	}
	if r.lease != nil {
		l := r.grant
		out.Lease = &l
	}
	return out
}

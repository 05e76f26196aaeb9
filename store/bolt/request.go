package bolt

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// request is a batch on its way through the committer. The caller encodes it in full before queueing it, so that the
// committer only looks up, compares and writes, and never touches the caller's memory.
type request struct {
	buf     []byte // backs everything encoded below
	puts    []putOp
	deletes []keyOp
	logs    []logOp
	appends []appendAt
	wakes   []wakeOp
	claim   *store.Claim
	release *store.Lease
	freed   keyOp // release's key
	sweep   bool  // an order of the sweeper instead of a batch

	versions []int64
	lease    *lease      // granted to claim
	grant    store.Lease // what it said when it was granted
	released bool        // release named a live lease
	expired  int         // records that a sweep removed
	err      error
	done     chan struct{}
}

type keyOp struct {
	key store.Key
	rec []byte // key in records and wakes
}

type putOp struct {
	keyOp
	value   []byte // encoded record
	want    int64
	expires int64
	old     stored // what the check found
	oldRaw  bool   // something lies at the key, alive or expired
}

// logOp is what a batch appends to one log: one pair in the bucket.
type logOp struct {
	key    store.Key
	prefix []byte
	chunk  []byte
	n      int64
	last   int64 // the log's last number after it
}

// appendAt is where an Append of the batch went: log op and place in it.
type appendAt struct {
	log int
	nth int64
}

type wakeOp struct {
	keyOp
	wake wake
	set  bool // false: no wake
}

// wake is a wake's fields as they are indexed.
type wake struct {
	at       int64
	priority int
	fairness string
}

// requestPool is a store's own, so that a store made in a testing/synctest bubble shares no channel with another.
type requestPool struct{ pool sync.Pool }

func (p *requestPool) get() *request {
	if r, ok := p.pool.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

// put takes back a request that nobody uses any more.
func (p *requestPool) put(r *request) {
	r.reset()
	p.pool.Put(r)
}

// encode turns a valid batch into the request.
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
		r.release, r.freed = &l, r.keyOp(l.Key)
	}
}

// reset keeps the memory of the request, for the next, and nothing else.
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

// since returns what was appended to buf behind from; buf growing later leaves it alone.
func (r *request) since(from int) []byte {
	return r.buf[from:len(r.buf):len(r.buf)]
}

func (r *request) keyOp(k store.Key) keyOp {
	from := len(r.buf)
	r.buf = appendRecordKey(r.buf, k)
	return keyOp{k, r.since(from)}
}

func (r *request) addPut(p *store.Put, now time.Time) {
	op := putOp{keyOp: r.keyOp(p.Key), want: p.Version}
	if p.TTL > 0 {
		op.expires = store.UnixNano(now.Add(p.TTL))
	}
	from := len(r.buf)
	r.buf = appendRecord(r.buf, p, op.expires)
	op.value = r.since(from)
	r.puts = append(r.puts, op)
}

// addAppends gathers the entries of each log into one chunk: each entry behind its length.
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
			r.logs = append(r.logs, logOp{key: a.Key, prefix: r.since(from)})
			at = len(r.logs) - 1
		}
		r.appends = append(r.appends, appendAt{at, r.logs[at].n})
		r.logs[at].n++
	}
	for l := range r.logs {
		from := len(r.buf)
		for i, at := range r.appends {
			if at.log == l {
				r.buf = binary.AppendUvarint(r.buf, uint64(len(appends[i].Value)))
				r.buf = append(r.buf, appends[i].Value...)
			}
		}
		r.logs[l].chunk = r.since(from)
	}
}

// dropsWake says whether the release leaves its key without a wake.
func (r *request) dropsWake() bool {
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

// touchesQueues says whether memory has to follow what was written.
func (r *request) touchesQueues() bool {
	return len(r.wakes) > 0 || len(r.deletes) > 0 || r.released
}

// size is what the request adds to a group, roughly.
func (r *request) size() int { return len(r.buf) }

// committed is the answer for the caller.
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

// Package store is bytes, versions and wakes: what the runtime needs of a durable store, and nothing of what it means.
// It knows no plan. Two implementations, bolt (embedded) and redis (shared), pass the one suite in storetest.
//
// Versions are for correctness: of two writers who read the same record, one gets ErrConflict. Leases and watches only
// save work: a lease keeps other replicas from working on the same key, a watch saves them polling; losing either costs
// time, never data.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that callers branch on; implementations wrap them with what they know.
var (
	// ErrNotFound: no record at the key, or it expired.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a version in the batch does not match, or the key to claim is leased by somebody else; nothing was written.
	ErrConflict = errors.New("version conflict")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
	// ErrInUse: another process holds the store; the wrapping error names it.
	ErrInUse = errors.New("store in use")
	// ErrInvalid: the request itself is wrong (an empty kind, a batch over two partitions); a defect of the caller.
	ErrInvalid = errors.New("invalid store request")
)

// Key names a record, a log and a wake of one kind. Record and log at one key are independent of each other.
type Key struct {
	Kind string // short word, [a-z_]+
	ID   string // any bytes, 1 to MaxID of them; the part before the first "/" is its partition
}

// MaxID is the longest ID in bytes.
const MaxID = 1024

// Partition is the part of the ID before the first "/"; a batch touches one.
func (k Key) Partition() string {
	for i := range len(k.ID) {
		if k.ID[i] == '/' {
			return k.ID[:i]
		}
	}
	return k.ID
}

// String prints kind:id.
func (k Key) String() string { return k.Kind + ":" + k.ID }

// Record is a value as it was last written. Value belongs to the caller.
type Record struct {
	Key     Key
	Value   []byte
	Version int64 // 1 after the first Put, then one more with each
	Terms   []string
	Expires time.Time // zero: never
}

// AnyVersion in Put.Version overwrites whatever is there.
const AnyVersion = -1

// Put writes a record with all its terms.
type Put struct {
	Key     Key
	Value   []byte
	Version int64         // the version that was read; 0: the record must not exist; AnyVersion: whatever is there
	TTL     time.Duration // 0: never expires
	Terms   []string      // index entries such as "status=running"; they replace those of the last Put
}

// Append adds one entry at the end of a key's log.
type Append struct {
	Key   Key
	Value []byte
}

// Entry is one entry of a log. Seq counts from 1 without gaps. Value belongs to the caller.
type Entry struct {
	Seq   int64
	Value []byte
}

// Wake says when a key is next due for a claim; it replaces the key's last wake, and a zero At removes it. A wake
// survives a crash of the claimer: it is hidden while the key is leased and counts again when the lease lapses.
type Wake struct {
	Key      Key
	At       time.Time
	Priority int    // 1 to 5, see Weight; 0 counts as 3
	Fairness string // keys of one priority take turns by this
}

// Priorities is how many there are: 1, the most urgent, to 5.
const Priorities = 5

// Weight is a priority's share of the claims while keys of several priorities wait: 16, 8, 4, 2 and 1 for 1 to 5. So the
// more urgent go first, and none starves.
func Weight(priority int) int { return 1 << (Priorities - priority) }

// Claim leases a key in the batch that writes it; the batch conflicts if somebody else's lease is alive. The owner's own
// is replaced.
type Claim struct {
	Key   Key
	Owner string
	TTL   time.Duration
}

// Lease is the exclusive right to work on a key until it lapses. It is a matter of thrift; see the package comment.
type Lease struct {
	Key   Key
	Owner string
	Token int64 // differs for each lease of the key
	Until time.Time
}

// Batch is what one Commit writes, all or nothing. All its keys are of one partition; a key stands once in Puts, once in
// Wakes, and not beside itself in Deletes.
type Batch struct {
	Puts    []Put
	Deletes []Key // removes the record, the log and the wake at each key; a missing one is no error
	Appends []Append
	Wakes   []Wake
	Claim   *Claim
	Sync    bool   // must outlive the loss of a machine: where a store's durability is a choice, this batch waits for the strict one
	Release *Lease // ends the lease; what stands in Wakes is then the key's wake, nothing there means none. A lapsed lease is no error, and changes nothing beyond what Wakes says
}

// Committed is what a Commit made of the batch.
type Committed struct {
	Versions []int64 // the new version for each Put
	Seqs     []int64 // the sequence number for each Append
	Lease    *Lease  // for Claim
}

// Query lists records of one kind in ID order. Expired records are left out.
type Query struct {
	Kind    string
	Term    string // only records with this term; empty: all
	Prefix  string // only IDs that begin with it
	After   string // only IDs behind it in the direction of the listing; empty: from the start
	Reverse bool   // from the highest ID to the lowest
	Bare    bool   // without the values, which are not even read
	Limit   int    // at most so many; 0: 100
}

// Queue counts the keys of one kind that have a wake.
type Queue struct {
	Due      [Priorities]int // may be claimed now, by priority: the first stands for priority 1
	Oldest   time.Time       // since when the longest due of them is; zero: none is due
	Leased   int             // held by a living lease
	Sleeping int             // not due yet, held by nobody
}

// Place is where a key stands: nowhere, in the queue, or with an owner.
type Place struct {
	Wake  *Wake  // nil: it has none
	Lease *Lease // nil: nobody holds it
}

// ClaimRequest asks for due keys of one kind.
type ClaimRequest struct {
	Kind  string
	Owner string
	Max   int           // at most so many leases; 0: 1
	TTL   time.Duration // how long a lease lives without Renew
	Wait  time.Duration // longest wait for the first due key; 0 answers at once
}

// Unrenewed is the error of a Renew of which a part was not answered; what Renew returns is true of the other leases.
type Unrenewed struct {
	Leases []Lease // of which nothing is known
	Err    error
}

// Error says how many there are, and why.
func (u *Unrenewed) Error() string { return fmt.Sprintf("%d leases: %v", len(u.Leases), u.Err) }

// Unwrap gives the cause.
func (u *Unrenewed) Unwrap() error { return u.Err }

// Limit is a token bucket by key.
type Limit struct {
	Key    string
	Tokens int           // how many to take; 0: 1
	Rate   int           // tokens that come back in each Period
	Period time.Duration // 0: one second
	Burst  int           // most tokens at once; 0: Rate
}

// Store is the whole interface. All methods are safe for concurrent use and return promptly when ctx ends, with
// context.Cause(ctx) in the chain; a Commit whose ctx ends may or may not have happened.
type Store interface {
	// Get reads one record: ErrNotFound when there is none.
	Get(ctx context.Context, key Key) (Record, error)

	// List reads a page of records of one kind.
	List(ctx context.Context, q Query) ([]Record, error)

	// Commit writes the batch, durably as the store was configured, or nothing: ErrConflict.
	Commit(ctx context.Context, b Batch) (Committed, error)

	// Log reads up to limit entries of a key's log behind sequence number after; 0 reads from the start, limit 0 means 1,000.
	Log(ctx context.Context, key Key, after int64, limit int) ([]Entry, error)

	// Claim leases due keys. While keys of several priorities wait, each priority gets its Weight's share of the claims, the most urgent
	// first (weighted fair queuing: the next finish tag wins, the lower number on a tie; a priority without due keys saves
	// nothing up, and keeps what it was charged: its tag rises to the start of the last claim, and never falls). Within a priority fairness keys take turns (start-time fair queuing, Goyal et al. 1996, with equal costs); of
	// one fairness key the longest due comes first. A store of several shards keeps this order in each of them, and serves the
	// shards in turn. Claim waits up to Wait for the first key; none is no error.
	Claim(ctx context.Context, r ClaimRequest) ([]Lease, error)

	// Renew prolongs the leases by ttl from now and returns those that are no longer held. A store of several shards may not reach all of
	// them: *Unrenewed.
	Renew(ctx context.Context, leases []Lease, ttl time.Duration) (lost []Lease, err error)

	// Queue counts the wakes of a kind. The numbers of a busy store are true for some instant of the call, of each shard its own.
	Queue(ctx context.Context, kind string) (Queue, error)

	// Places tells how keys stand in the queue, in the order asked.
	Places(ctx context.Context, keys []Key) ([]Place, error)

	// Take takes tokens of a limit. A positive wait means that none were taken and how long until it may work.
	Take(ctx context.Context, l Limit) (wait time.Duration, err error)

	// Watch sends a key after a batch that wrote it; several batches may fold into one, and a slow reader misses some. The channel
	// closes when ctx or the store ends.
	Watch(ctx context.Context) (<-chan Key, error)

	// Close ends every waiting call with ErrClosed and releases the store.
	Close() error
}

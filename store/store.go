// Package store defines the durable store that the runtime needs: records with versions, logs, wakes (when a key is next
// due), leases, rate limits and watches. It owns the interface Store, its requests and errors, and what implementations
// share (implement.go, watchers.go). It stores bytes and knows nothing of their meaning. Packages of the runtime call a
// Store; bolt (embedded) and redis (shared) implement it, and both pass the suite in storetest. It imports no other
// package of this module and calls no hooks.
//
// Versions are for correctness: of two writers who read the same record, one gets ErrConflict. Leases and watches only
// save work: a lease keeps other replicas from working on the same key, a watch saves them polling. Losing either costs
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
	// ErrConflict: a version in the batch does not match, or another owner holds a lease of the key to claim; nothing was written.
	ErrConflict = errors.New("version conflict")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
	// ErrInUse: another process holds the store; the wrapping error names it.
	ErrInUse = errors.New("store in use")
	// ErrInvalid: the request itself is invalid (an empty kind, a batch over two partitions): a bug in the caller.
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
	Version int64 // 1 after the first Put, increased by one with each further Put
	Terms   []string
	Expires time.Time // zero: never
}

// AnyVersion in Put.Version overwrites any version, and creates a missing record.
const AnyVersion = -1

// Put writes a record with all its terms.
type Put struct {
	Key     Key
	Value   []byte
	Version int64         // the version that was read; 0: the record must not exist; or AnyVersion
	TTL     time.Duration // 0: never expires
	Terms   []string      // index entries such as "status=running"; they replace those of the previous Put
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

// Wake is the time at which a key is next due for a claim. It replaces the key's previous wake, and a zero At removes it.
// A wake survives a crash of the claimer: it is hidden while the key is leased and counts again when the lease expires.
type Wake struct {
	Key      Key
	At       time.Time
	Priority int    // 1 to 5, see Weight; 0 counts as 3
	Fairness string // within a priority, the groups with different values take turns
}

// Priorities is the number of priorities: 1, the most urgent, to 5.
const Priorities = 5

// Weight is a priority's share of the claims while keys of several priorities are due: 16, 8, 4, 2 and 1 for 1 to 5. So
// the more urgent come first, and none starves.
func Weight(priority int) int { return 1 << (Priorities - priority) }

// Claim leases a key in the batch that writes it. The batch fails with ErrConflict while another owner's lease of the key
// has not expired; a lease of the same owner is replaced.
type Claim struct {
	Key   Key
	Owner string
	TTL   time.Duration
}

// Lease is the exclusive right to work on a key until it expires. It saves work and does not protect data; see the package
// comment.
type Lease struct {
	Key   Key
	Owner string
	Token int64 // differs for each lease of the key
	Until time.Time

	// Died, in what Claim and Commit return: the last lease of the key was another owner's, who did not release it. It expired, or the
	// process that granted it ended; perhaps by the work on the key. The release of a lease with Died passes it on to the next lease, so
	// an owner that has acted on it sets it to false. A key that is deleted while it is not leased is forgotten;
	// one that is deleted while it is leased may be.
	Died bool
}

// Batch is what one Commit writes, all or nothing. All its keys are in one partition. A key occurs at most once in Puts and
// once in Wakes, and a key in Deletes occurs nowhere else.
type Batch struct {
	Puts    []Put
	Deletes []Key // removes the record, the log and the wake of each key; a missing one is not an error
	Appends []Append
	Wakes   []Wake
	Claim   *Claim

	// Sync: the batch must survive the loss of a machine. Where a store has several levels of durability, Commit waits for the
	// strictest one.
	Sync bool

	// Release ends the lease. The key keeps the wake that is in Wakes, and none if Wakes has none for it. An expired lease is
	// not an error; then only Wakes changes the key's wake, and the lease counts as released if the key was not leased again.
	Release *Lease
}

// Committed is the result of a Commit.
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
	After   string // only IDs after it in the direction of the listing; empty: from the start
	Reverse bool   // from the highest ID to the lowest
	Bare    bool   // without the values, which are not read
	Limit   int    // at most this many records; 0: 100
}

// Queue counts the keys of one kind that have a wake or a lease.
type Queue struct {
	Due      [Priorities]int // may be claimed now, by priority: Due[0] is priority 1
	Oldest   time.Time       // the earliest wake among them; zero: none is due
	Leased   int             // held by a lease that has not expired
	Sleeping int             // not due yet, and not leased
}

// Place is a key's wake and lease.
type Place struct {
	Wake  *Wake  // nil: it has none
	Lease *Lease // nil: it is not leased
}

// ClaimRequest asks for due keys of one kind.
type ClaimRequest struct {
	Kind  string
	Owner string
	Max   int           // at most this many leases; 0: 1
	TTL   time.Duration // time until a lease expires without Renew
	Wait  time.Duration // longest wait for the first due key; 0: do not wait
	// Day: keys are due by the time of day rather than by the time that has passed, see Clock.Day. All claims of a kind are to have the
	// same. A shared store has one time for both.
	Day bool
}

// Unrenewed is the error of a Renew that reached only some of the shards. The lost leases that Renew returns with it are
// among those that it did reach.
type Unrenewed struct {
	Leases []Lease // which may or may not have been renewed
	Err    error
}

// Error is the number of leases and the cause.
func (u *Unrenewed) Error() string { return fmt.Sprintf("%d leases: %v", len(u.Leases), u.Err) }

// Unwrap returns the cause.
func (u *Unrenewed) Unwrap() error { return u.Err }

// Limit is a token bucket by key.
type Limit struct {
	Key    string
	Tokens int           // how many to take; 0: 1
	Rate   int           // tokens added in each Period
	Period time.Duration // 0: one second
	Burst  int           // the bucket's capacity; 0: Rate
}

// Store is what an implementation provides. All methods are safe for concurrent use and return promptly when ctx ends,
// with context.Cause(ctx) in the error's chain. A Commit whose ctx ends may or may not have happened.
type Store interface {
	// Get reads one record, or returns ErrNotFound.
	Get(ctx context.Context, key Key) (Record, error)

	// List reads a page of records of one kind.
	List(ctx context.Context, q Query) ([]Record, error)

	// Commit writes the whole batch, as durably as the store is configured, or nothing and returns ErrConflict.
	Commit(ctx context.Context, b Batch) (Committed, error)

	// Log reads up to limit entries of a key's log that follow the sequence number after; 0 reads from the start. A limit of 0
	// means 1,000.
	Log(ctx context.Context, key Key, after int64, limit int) ([]Entry, error)

	// Claim leases due keys. While keys of several priorities are due, each priority gets its Weight's share of the claims, the
	// most urgent first (weighted fair queuing: the lowest finish tag is served next, on a tie the lower priority number; the tag
	// of a priority without due keys rises to the start of the last claim and never falls, so such a priority neither saves up
	// claims nor loses what it was charged). Within a priority, fairness keys take turns (start-time fair queuing, Goyal et al.
	// 1996, with equal costs); within a fairness key, the key that has been due longest comes first. A store of several shards
	// keeps this order in each shard, and serves the shards in turn. Claim waits up to Wait for the first key; no key is not an
	// error.
	Claim(ctx context.Context, r ClaimRequest) ([]Lease, error)

	// Renew extends the leases to ttl from now and returns those that are no longer held. When a store of several shards does
	// not reach all of them, the error is an *Unrenewed.
	Renew(ctx context.Context, leases []Lease, ttl time.Duration) (lost []Lease, err error)

	// Queue counts the wakes and leases of a kind. In a store of several shards, the numbers of each shard are of their own
	// instant during the call.
	Queue(ctx context.Context, kind string) (Queue, error)

	// Places returns the wake and lease of each key, in the order of keys.
	Places(ctx context.Context, keys []Key) ([]Place, error)

	// Take takes tokens of a limit. A positive wait means that none were taken, and is the time until there may be enough.
	Take(ctx context.Context, l Limit) (wait time.Duration, err error)

	// Watch sends each key of a batch after it was committed. Several batches may be reported as one, and a slow reader misses
	// keys. The channel closes when ctx ends or the store closes.
	Watch(ctx context.Context) (<-chan Key, error)

	// Close ends every waiting call with ErrClosed and frees the store's resources.
	Close() error
}

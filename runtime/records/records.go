package records

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"

	"github.com/runplane/runplane/store"
)

// Config configures a Store. Every field is required.
type Config struct {
	Store  store.Store
	Log    hclog.Logger
	Worker string         // the name of this replica on leases
	Lease  time.Duration  // how long a key that is due stays with the replica that claimed it
	Random func() float64 // returns a number in [0,1), for jitter; it is called from many goroutines
}

// Store is a [store.Store] with the operations that every room needs.
type Store struct {
	*monitored
	Usage Usage // how many records principals keep

	log     hclog.Logger
	worker  string
	lease   time.Duration
	random  func() float64
	cursors cursorKeys
	now     func() time.Time
	day     func() time.Time

	twoTimes bool
}

// New returns a Store; it reads nothing.
func New(c Config) *Store {
	now := store.NewClock(time.Time{}, store.Reading{}).Now
	if own, ok := c.Store.(interface{ Now() time.Time }); ok {
		now = own.Now
	}
	day := now
	clock, twoTimes := c.Store.(interface{ Day() time.Time })
	if twoTimes {
		day = clock.Day
	}
	return &Store{
		now: now, day: day, twoTimes: twoTimes,

		monitored: &monitored{Store: c.Store, log: c.Log}, log: c.Log, worker: c.Worker, lease: c.Lease, random: c.Random,
		cursors: cursorKeys{local: newKey()},
	}
}

// Worker returns the name of this replica on leases.
func (s *Store) Worker() string { return s.worker }

// Lease returns how long a key that is due stays with the replica that claimed it.
func (s *Store) Lease() time.Duration { return s.lease }

// Private returns the prefix of the IDs of a principal's records of a kind: a digest, so that no ID of one principal can be one of
// another's.
func Private(principal, kind string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(principal), principal, kind))
	return hex.EncodeToString(sum[:16]) + ":"
}

// TermPrincipal returns the index term of the records of a principal.
func TermPrincipal(principal string) string { return "principal=" + principal }

// NewID returns a ULID: it sorts by time, and has 80 random bits, so that it cannot be guessed.
func NewID() string { return ulid.MustNew(ulid.Now(), crand.Reader).String() }

// Now returns the time by which deadlines, waits and expiries are measured: that of the store, or a [store.Clock] where the store does not
// show its own. It has the form of [Now].
func (s *Store) Now() time.Time { return inRecords(s.now()) }

// Day returns the time by which schedules fire: the time of day, which follows the machine's clock at once when that is set ahead. A store
// that does not show it has one time for both. It has the form of [Now].
func (s *Store) Day() time.Time { return inRecords(s.day()) }

// TwoTimes reports whether Day may be later than Now.
func (s *Store) TwoTimes() bool { return s.twoTimes }

// Now returns the time of this machine in UTC, in microseconds and without a monotonic part, as records and events keep it: folding the log gives exactly
// the same state.
func Now() time.Time { return inRecords(time.Now()) }

func inRecords(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// OrElse returns b, or otherwise if b is empty.
func OrElse[T ~[]byte](b T, otherwise string) T {
	if len(b) == 0 {
		return T(otherwise)
	}
	return b
}

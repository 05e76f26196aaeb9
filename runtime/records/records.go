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

// Config is what a Store is made of. Every field is required.
type Config struct {
	Store  store.Store
	Log    hclog.Logger
	Worker string         // this replica's name on leases
	Lease  time.Duration  // how long a key that is due stays with the replica that claimed it
	Random func() float64 // [0,1)
}

// Store is a [store.Store] with what every room does with it.
type Store struct {
	*monitored
	Usage Usage // what principals keep, as far as it was counted

	log     hclog.Logger
	worker  string
	lease   time.Duration
	random  func() float64
	cursors cursorKeys
}

// New makes a Store; it reads nothing.
func New(c Config) *Store {
	return &Store{
		monitored: &monitored{Store: c.Store}, log: c.Log, worker: c.Worker, lease: c.Lease, random: c.Random, cursors: cursorKeys{local: newKey()},
	}
}

// Worker is this replica's name on leases.
func (s *Store) Worker() string { return s.worker }

// Lease is how long a key that is due stays with the replica that claimed it.
func (s *Store) Lease() time.Duration { return s.lease }

// Private begins the IDs of a principal's records of a kind: a digest, so that no ID of one principal reaches into another's.
func Private(principal, kind string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(principal), principal, kind))
	return hex.EncodeToString(sum[:16]) + ":"
}

// NewID makes a ULID: sortable by time, with 80 random bits, so that it cannot be guessed.
func NewID() string { return ulid.MustNew(ulid.Now(), crand.Reader).String() }

// Now is the time of events: without a monotonic part, so that a fold of the log gives the very same state.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// OrElse is b, or otherwise where b is empty.
func OrElse[T ~[]byte](b T, otherwise string) T {
	if len(b) == 0 {
		return T(otherwise)
	}
	return b
}

package journal

import (
	"cmp"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// Config configures a Journal. Store, Sessions and UnknownRules are required.
type Config struct {
	Store     *records.Store
	Sessions  *session.Sessions
	Limits    Limits
	Retention time.Duration // how long executions are kept after they ended, for the hint of NotFound; 0: forever
	// UnknownRules returns what the policies say about calls of the target whose outcome is unknown.
	UnknownRules func(*plan.Target) machine.UnknownRules
}

// Limits bound what expressions read, and what a tree of executions may use. Every field but MaxCached and Large is required.
type Limits struct {
	Plan      plan.Limits
	MaxOutput int // bytes of one output or text that an expression reads
	Tree      schemas.Budget
	MaxOpen   int   // executions below a root that are open at once
	MaxCached int64 // bytes that all executions in memory keep for their expressions; 0: DefaultCached
	Large     int   // bytes, see IsLarge; 0: DefaultLarge
	Shown     int   // bytes, of an execution that is read for a caller; 0: see defaultShown
}

// Journal reads executions from the store.
type Journal struct {
	store        *records.Store
	sessions     *session.Sessions
	limits       Limits
	cache        *cache
	large        *semaphore.Weighted // held while an execution that is large is read
	retention    time.Duration
	unknownRules func(*plan.Target) machine.UnknownRules
}

// Open returns a Journal; it reads nothing.
func Open(c Config) *Journal {
	c.Limits.Large = cmp.Or(c.Limits.Large, DefaultLarge)
	c.Limits.Shown = cmp.Or(c.Limits.Shown, defaultShown())
	return &Journal{
		large: semaphore.NewWeighted(1),
		store: c.Store, sessions: c.Sessions, limits: c.Limits, cache: newCache(cmp.Or(c.Limits.MaxCached, DefaultCached)),
		retention: c.Retention, unknownRules: c.UnknownRules,
	}
}

// Reader is the read-only half of the contract Execution. It shows callers their own executions.
type Reader struct{ journal *Journal }

// Reader returns the Reader of the journal.
func (j *Journal) Reader() Reader { return Reader{j} }

package journal

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// Config configures a Journal. Store, Sessions and ForbidsRetryUnknown are required.
type Config struct {
	Store     *records.Store
	Sessions  *session.Sessions
	Limits    Limits
	Retention time.Duration // how long executions are kept after they ended, for the hint of NotFound; 0: forever
	// ForbidsRetryUnknown reports whether the policies forbid that a plan repeats a `once` call of the target whose outcome is unknown.
	ForbidsRetryUnknown func(*plan.Target) bool
}

// Limits bound what expressions read, and what a tree of executions may use. Every field is required.
type Limits struct {
	Plan      plan.Limits
	MaxOutput int // bytes of one output or text that an expression reads
	Tree      schemas.Budget
	MaxOpen   int // executions below a root that are open at once
}

// Journal reads executions from the store.
type Journal struct {
	store               *records.Store
	sessions            *session.Sessions
	limits              Limits
	retention           time.Duration
	forbidsRetryUnknown func(*plan.Target) bool
}

// Open returns a Journal; it reads nothing.
func Open(c Config) *Journal {
	return &Journal{store: c.Store, sessions: c.Sessions, limits: c.Limits, retention: c.Retention, forbidsRetryUnknown: c.ForbidsRetryUnknown}
}

// Reader is the read-only half of the contract Execution. It shows callers their own executions.
type Reader struct{ journal *Journal }

// Reader returns the Reader of the journal.
func (j *Journal) Reader() Reader { return Reader{j} }

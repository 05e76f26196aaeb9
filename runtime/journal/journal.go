package journal

import (
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
)

// Config is what a Journal is made of. Store, Sessions and Forbids are required.
type Config struct {
	Store     *records.Store
	Sessions  *session.Sessions
	Limits    Limits
	Retention time.Duration // after which executions that ended are deleted; 0: never
	// Forbids reports whether a plan may not have a `once` call of the target repeated whose outcome is unknown.
	Forbids func(*plan.Target) bool
}

// Limits bound what expressions read.
type Limits struct {
	Plan      plan.Limits
	MaxOutput int // bytes of one output or text
}

// Journal reads executions from the store.
type Journal struct {
	store               *records.Store
	sessions            *session.Sessions
	limits              Limits
	retention           time.Duration
	forbidsRetryUnknown func(*plan.Target) bool
}

// Open makes a Journal; it reads nothing.
func Open(c Config) *Journal {
	return &Journal{store: c.Store, sessions: c.Sessions, limits: c.Limits, retention: c.Retention, forbidsRetryUnknown: c.Forbids}
}

// Reader is the read-only half of the contract Execution.
type Reader struct{ journal *Journal }

// Reader is for callers: it shows them what is theirs.
func (j *Journal) Reader() Reader { return Reader{j} }

package storetest

import (
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/store"
)

// Clock is the clock of a machine that a test sets by a difference to the real one. Its zero value is right.
type Clock struct{ by, slept, unknown atomic.Int64 }

// Set sets the difference to the real clock, which replaces that of the last Set.
func (c *Clock) Set(by time.Duration) { c.by.Store(int64(by)) }

// Sleep suspends the machine: its time of day goes on, and it does not run.
func (c *Clock) Sleep(d time.Duration) { c.slept.Add(int64(d)) }

// Forget has the machine not know for how long it was suspended.
func (c *Clock) Forget() { c.unknown.Store(1) }

// Reading returns how a store reads the clock. In a test in virtual time it is to be called in the bubble of the test.
func (c *Clock) Reading() store.Reading {
	start := time.Now()
	return store.Reading{
		Time: func() (time.Time, time.Duration) {
			t := time.Now()
			return t.Add(time.Duration(c.by.Load() + c.slept.Load())).Round(0), t.Sub(start)
		},
		Suspended: func() (time.Duration, bool) { return time.Duration(c.slept.Load()), c.unknown.Load() == 0 },
	}
}

package store

import (
	"sync"
	"time"
)

// Clock is the time by which durations are measured that outlive a call: deadlines, leases, wakes and expiries. It follows the clock
// of the machine, but never runs back, and runs by at most a tenth faster or slower than time really passes. So when the machine's
// clock is set, a wait of three seconds takes about three seconds, and what is kept for a day is kept for a day; the difference is made
// up for meanwhile. Time in which the machine was suspended has really passed. What goes by the calendar, such as schedules, goes by Day.
// It is safe for concurrent use.
type Clock struct {
	read Reading

	mu     sync.Mutex
	passed time.Duration // as of the last reading
	asleep time.Duration // as of the last look
	now    time.Time     // what it showed
	off    time.Duration // by how much the machine's clock was ahead of that
	leapt  time.Duration
}

// Reading reads the clocks of the machine.
type Reading struct {
	// Time returns the time of day, which may be set, and how long the machine has run, which only grows; nil: the real ones.
	Time func() (day time.Time, passed time.Duration)
	// Suspended returns for how long it has been suspended since it was started, in which it did not run; nil: the real time.
	Suspended func() (d time.Duration, known bool)
}

const (
	slew       = 10          // the share of the time that passes by which a Clock may run faster or slower
	suspension = time.Second // the difference from which on a Clock looks whether the machine was suspended
)

func (r Reading) filled() Reading {
	if r.Time == nil {
		start := time.Now()
		r.Time = func() (time.Time, time.Duration) {
			t := time.Now()
			return t.Round(0), t.Sub(start)
		}
	}
	if r.Suspended == nil {
		r.Suspended = suspended
	}
	return r
}

// NewClock returns a clock that shows the time of the machine or, if that is later, the time that a store has seen.
func NewClock(seen time.Time, read Reading) *Clock {
	c := &Clock{read: read.filled()}
	day, passed := c.read.Time()
	c.passed, c.now = passed, day
	if seen.After(day) {
		c.now = seen
	}
	c.asleep, _ = c.read.Suspended()
	c.off = day.Sub(c.now)
	return c
}

// Now returns the time, without a monotonic part.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.now
}

// Day returns the time of day: that of the machine or, if this clock shows a later one, Now. It follows a machine's clock that is set ahead
// at once, and one that is set back no further than to Now.
func (c *Clock) Day() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.now.Add(max(0, c.off))
}

// Leapt returns how much the clock has followed the machine's at once where it is not known whether that was suspended or its clock was
// set ahead.
func (c *Clock) Leapt() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.leapt
}

// look reads the machine's clocks. The caller holds mu.
func (c *Clock) look() {
	day, passed := c.read.Time()
	elapsed := max(0, passed-c.passed)
	c.passed += elapsed
	c.now = c.now.Add(elapsed)
	c.off = day.Sub(c.now)
	if c.off > suspension {
		c.step(c.sleptUp())
	}
	c.step(min(max(c.off, -elapsed/slew), elapsed/slew))
}

// step moves the clock towards the machine's. The caller holds mu.
func (c *Clock) step(d time.Duration) { c.now, c.off = c.now.Add(d), c.off-d }

// sleptUp returns how much of the difference to the machine's clock is time in which the machine was suspended; all of it, where that is
// not known. The caller holds mu.
func (c *Clock) sleptUp() time.Duration {
	asleep, known := c.read.Suspended()
	if !known {
		c.leapt += c.off
		return c.off
	}
	slept := asleep - c.asleep
	if slept < suspension/10 { // the clocks are read one after the other
		return 0
	}
	c.asleep = asleep
	return min(slept, c.off)
}

// Off returns by how much the machine's clock is ahead of this one; negative: by how much this one is ahead.
func (c *Clock) Off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.off
}

package upkeep

import (
	"sync/atomic"
	"time"
)

// unbelievedShown is from which difference on it is shown that retention goes by another time than the store's.
const unbelievedShown = time.Hour

// calendar is the time by which the rounds of one kind of retention delete: what is deleted does not come back, so a clock that may be
// ahead is not believed at once (records.Rounds.Begun).
type calendar struct {
	u        *Upkeep
	believed atomic.Pointer[time.Time] // as of the last round that this process has begun; nil: none
}

func (u *Upkeep) newCalendar() *calendar { return &calendar{u: u} }

// begun is called when a round begins.
func (c *calendar) begun(believed time.Time) {
	c.believed.Store(&believed)
	unbelieved := max(0, c.u.store.Now().Sub(believed))
	if before := time.Duration(c.u.unbelieved.Swap(int64(unbelieved))); unbelieved >= unbelievedShown && before < unbelievedShown {
		c.u.log.Warn("nothing ran for long, or a clock is ahead: what has ended is deleted later, as if it were that much earlier",
			"earlier_by", unbelieved.Round(time.Second))
	}
}

// now returns the time that is believed; before the first round, the time of the store.
func (c *calendar) now() time.Time {
	if believed := c.believed.Load(); believed != nil {
		return *believed
	}
	return c.u.store.Now()
}

// Unbelieved returns by how much the time by which retention deletes is earlier than that of the store; less than an hour is zero.
func (u *Upkeep) Unbelieved() time.Duration {
	if d := time.Duration(u.unbelieved.Load()); d >= unbelievedShown {
		return d
	}
	return 0
}

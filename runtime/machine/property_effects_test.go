package machine

import (
	"time"

	"pgregory.net/rapid"

	"github.com/runplane/runplane/runtime/units"
	"github.com/runplane/runplane/schemas"
)

// effect is what a call of unknown outcome really does at its realm, which the execution cannot see.
type effect struct {
	happens bool
	at      time.Time // until when it runs; if it happens, then
}

// runsOn draws what a `once` call does of which the execution knows no outcome: it never happens, has happened, or runs on and happens
// later, at the latest when a realm that settles in time has finished.
func (w *walk) runsOn(unit int, was *units.Unit, timeout time.Duration, ended bool) {
	e := effect{happens: rapid.Bool().Draw(w.t, "happens"), at: w.now}
	latest := was.Since.Add(timeout)
	if !w.died { // its process waited for it until now
		latest = later(latest, w.now)
	}
	latest = latest.Add(schemas.DefaultSettle.Std())
	if left := latest.Sub(w.now); !ended && left > 0 && rapid.IntRange(0, 3).Draw(w.t, "runs on") > 0 {
		e.at = w.now.Add(time.Duration(rapid.Int64Range(1, int64(left)).Draw(w.t, "for")))
	}
	w.effects[unit] = e
}

// notTwice checks a call that starts, or a "no" that is believed: the call before it neither runs nor has happened.
func (w *walk) notTwice(unit int, what string, accepted bool) {
	e, ok := w.effects[unit]
	switch {
	case !ok:
	case e.at.After(w.now):
		w.t.Fatalf("%s: %s while its last call runs until %s, now %s: %s", w.s.Name(unit), what, e.at, w.now, snapshot(w.t, w.s))
	case e.happens && !accepted:
		w.t.Fatalf("%s: %s though its last call happened: %s", w.s.Name(unit), what, snapshot(w.t, w.s))
	}
}

// drawLate draws the late answer of a call of unknown outcome; nil: it happened.
func (w *walk) drawLate(unit int) *schemas.Error {
	e := w.effects[unit]
	switch {
	case e.at.After(w.now):
		return lost // it still runs
	case e.happens:
		return rapid.SampledFrom([]*schemas.Error{nil, nil, ended}).Draw(w.t, "late answer")
	}
	return rapid.SampledFrom([]*schemas.Error{toolError, unavailable, limited, lost, ended, ended}).Draw(w.t, "late answer")
}

// ended is the failure of a call whose outcome is unknown and that can no longer run.
var ended = lost.With(func(e *schemas.Error) { e.Ended = true })

// mayRetry reports whether a person may have the unit called again now, without force.
func (w *walk) mayRetry(unit int) bool { return !w.s.MayRunUntil(unit).After(w.now) }

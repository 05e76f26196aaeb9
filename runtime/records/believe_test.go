package records

import (
	"testing"
	"time"
)

// The time that is believed follows rounds that follow each other, and no clock that jumps.
func TestTimeThatIsBelieved(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := progress{}
	round := func(at, want time.Duration) {
		t.Helper()
		now := start.Add(at)
		p.Believed = p.believe(now)
		p.At = now
		if got := p.Believed.Sub(start); got != want {
			t.Errorf("a round at %v: %v is believed, want %v", at, got, want)
		}
	}
	round(0, 0)
	round(time.Minute, time.Minute)
	round(20*time.Hour, time.Minute) // not before an hour has passed
	round(20*time.Hour+30*time.Minute, time.Hour+time.Minute)
	round(21*time.Hour, 21*time.Hour)
	round(40*time.Hour, 21*time.Hour)
	round(22*time.Hour, 21*time.Hour) // the clock was wrong
	round(22*time.Hour+30*time.Minute, 22*time.Hour)
	round(22*time.Hour+40*time.Minute, 22*time.Hour+20*time.Minute)
	p.At, p.Believed = start.Add(20*time.Hour), start.Add(20*time.Hour)
	round(60*day, 20*time.Hour)           // a clock that is ahead, or a long sleep
	round(60*day+time.Hour, 22*time.Hour) // the difference is made up for
	round(2*day, 22*time.Hour)            // the clock was wrong
	round(2*day+20*time.Hour, 22*time.Hour+40*time.Hour)
	round(3*day, 70*time.Hour)
	round(day, 70*time.Hour) // it does not run back
	round(day+time.Hour, 70*time.Hour)
	round(3*day+30*time.Minute, 70*time.Hour) // more than a day later
	round(3*day+time.Hour, 71*time.Hour)
	round(3*day+4*time.Hour, 3*day+4*time.Hour) // all of it

	p = progress{}
	round(0, 0)
	round(time.Minute, time.Minute)
	round(20*time.Hour, time.Minute)
	round(40*time.Hour, time.Minute) // once more, without an hour of rounds in between
	round(40*time.Hour+30*time.Minute, time.Hour+time.Minute)

	old := progress{At: start} // of an earlier version
	if got := old.believe(start.Add(time.Minute)); !got.Equal(start.Add(time.Minute)) {
		t.Errorf("%v is believed", got)
	}
	if got := old.believe(start.Add(40 * day)); !got.Equal(start) {
		t.Errorf("%v is believed", got)
	}
}

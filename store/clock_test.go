package store

import (
	"testing"
	"time"
)

// machine has clocks that a test sets.
type machine struct {
	day    time.Time
	passed time.Duration
}

func (m *machine) read() (time.Time, time.Duration) { return m.day, m.passed }

// run lets time pass.
func (m *machine) run(d time.Duration) { m.day, m.passed = m.day.Add(d), m.passed+d }

// Each row sets the machine's clock. What takes three seconds must take about three seconds, the clock must not run back, and it must be
// right again after ten times the difference.
func TestClockThatIsSet(t *testing.T) {
	if _, known := suspended(); !known {
		t.Skip("this system does not say how long it was suspended, so its clock is believed when it is set ahead")
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, by := range []time.Duration{0, time.Millisecond, time.Second, time.Minute, 3 * time.Hour, 40 * 24 * time.Hour,
		-time.Millisecond, -time.Second, -time.Minute, -4 * time.Hour, -40 * 24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			m := &machine{day: start}
			c := NewClock(time.Time{}, m.read)
			m.run(time.Minute)
			before := c.Now()
			if !before.Equal(m.day) {
				t.Fatalf("it shows %v, want %v", before, m.day)
			}
			m.day = m.day.Add(by)
			last := before
			for range 30 {
				m.run(100 * time.Millisecond)
				now := c.Now()
				if now.Before(last) {
					t.Fatalf("it ran back from %v to %v", last, now)
				}
				last = now
			}
			if took := last.Sub(before); took < 2700*time.Millisecond || took > 3300*time.Millisecond {
				t.Errorf("three seconds took %v", took)
			}
			for range 1100 { // a little more than ten times the difference
				m.run(by.Abs() / 100)
				c.Now()
			}
			if now := c.Now(); !now.Equal(m.day) || c.Off() != 0 {
				t.Errorf("it shows %v, want %v", now, m.day)
			}
		})
	}
}

func TestClockBeginsAtWhatTheStoreHasSeen(t *testing.T) {
	m := &machine{day: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	seen := m.day.Add(4 * time.Hour)
	c := NewClock(seen, m.read)
	if off := c.Off(); off != -4*time.Hour {
		t.Errorf("off by %v, want -4h", off)
	}
	m.run(10 * time.Second)
	if took := c.Now().Sub(seen); took != 9*time.Second {
		t.Errorf("ten seconds took %v, want 9s", took)
	}
	if c := NewClock(m.day.Add(-time.Hour), m.read); !c.Now().Equal(m.day) {
		t.Errorf("it shows %v, want %v", c.Now(), m.day)
	}
}

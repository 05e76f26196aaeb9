package store

import (
	"testing"
	"time"
)

// machine has clocks that a test sets.
type machine struct {
	day            time.Time
	passed, asleep time.Duration
	forgets        bool // does not know for how long it was suspended
}

func (m *machine) reading() Reading {
	return Reading{
		Time:      func() (time.Time, time.Duration) { return m.day, m.passed },
		Suspended: func() (time.Duration, bool) { return m.asleep, !m.forgets },
	}
}

// run lets time pass.
func (m *machine) run(d time.Duration) { m.day, m.passed = m.day.Add(d), m.passed+d }

// sleep suspends the machine.
func (m *machine) sleep(d time.Duration) { m.day, m.asleep = m.day.Add(d), m.asleep+d }

// set sets its clock.
func (m *machine) set(by time.Duration) { m.day = m.day.Add(by) }

// Each row does something to the machine's clock. What takes three seconds must take about three seconds, the clock must not run back, and
// it must be right again after ten times the difference. The time of day is right at once unless the machine's clock was set back.
func TestClockThatIsSet(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		do      func(m *machine)
		slept   time.Duration // of which the clock shows at once that it has passed
		off     time.Duration // by how much the machine's is ahead then
		leapt   time.Duration
		forgets bool
	}{
		{name: "nothing", do: func(*machine) {}},
		{name: "1ms ahead", do: func(m *machine) { m.set(time.Millisecond) }, off: time.Millisecond},
		{name: "1s ahead", do: func(m *machine) { m.set(time.Second) }, off: time.Second},
		{name: "1m ahead", do: func(m *machine) { m.set(time.Minute) }, off: time.Minute},
		{name: "3h ahead", do: func(m *machine) { m.set(3 * time.Hour) }, off: 3 * time.Hour},
		{name: "40 days ahead", do: func(m *machine) { m.set(40 * day) }, off: 40 * day},
		{name: "1ms back", do: func(m *machine) { m.set(-time.Millisecond) }, off: -time.Millisecond},
		{name: "1m back", do: func(m *machine) { m.set(-time.Minute) }, off: -time.Minute},
		{name: "4h back", do: func(m *machine) { m.set(-4 * time.Hour) }, off: -4 * time.Hour},
		{name: "40 days back", do: func(m *machine) { m.set(-40 * day) }, off: -40 * day},
		{name: "suspended for 8h", do: func(m *machine) { m.sleep(8 * time.Hour) }, slept: 8 * time.Hour},
		{name: "suspended for 3 days", do: func(m *machine) { m.sleep(3 * day) }, slept: 3 * day},
		{name: "suspended, and set ahead", do: func(m *machine) { m.sleep(8 * time.Hour); m.set(time.Hour) }, slept: 8 * time.Hour, off: time.Hour},
		{name: "suspended, and set back", do: func(m *machine) { m.sleep(8 * time.Hour); m.set(-time.Hour) }, slept: 7 * time.Hour},
		{name: "suspended twice", do: func(m *machine) { m.sleep(time.Hour); m.run(0); m.sleep(time.Hour) }, slept: 2 * time.Hour},
		{name: "8h ahead or suspended", do: func(m *machine) { m.sleep(8 * time.Hour) }, slept: 8 * time.Hour, leapt: 8 * time.Hour, forgets: true},
		{name: "1s ahead or suspended", do: func(m *machine) { m.set(time.Second) }, off: time.Second, forgets: true},
		{name: "4h back, not knowing", do: func(m *machine) { m.set(-4 * time.Hour) }, off: -4 * time.Hour, forgets: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{day: start, forgets: tt.forgets}
			c := NewClock(time.Time{}, m.reading())
			m.run(time.Minute)
			before := c.Now()
			if !before.Equal(m.day) || !c.Day().Equal(m.day) {
				t.Fatalf("it shows %v, want %v", before, m.day)
			}
			tt.do(m)
			day, off, leapt := c.Day(), c.Off(), c.Leapt()
			if off != tt.off || leapt != tt.leapt || c.Now().Sub(before) != tt.slept {
				t.Errorf("off by %v after a leap of %v, and %v passed; want %v, %v, %v", off, leapt, c.Now().Sub(before), tt.off, tt.leapt, tt.slept)
			}
			if want := later(m.day, before.Add(tt.slept)); !day.Equal(want) {
				t.Errorf("the time of day is %v, want %v", day, want)
			}
			began := c.Now()
			last := began
			for range 30 {
				m.run(100 * time.Millisecond)
				now := c.Now()
				if now.Before(last) {
					t.Fatalf("it ran back from %v to %v", last, now)
				}
				last = now
			}
			if took := last.Sub(began); took < 2700*time.Millisecond || took > 3300*time.Millisecond {
				t.Errorf("three seconds took %v", took)
			}
			for range 1100 { // a little more than ten times the difference
				m.run(tt.off.Abs() / 100)
				c.Now()
			}
			if now := c.Now(); !now.Equal(m.day) || c.Off() != 0 {
				t.Errorf("it shows %v, want %v", now, m.day)
			}
		})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestClockBeginsAtWhatTheStoreHasSeen(t *testing.T) {
	m := &machine{day: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	seen := m.day.Add(4 * time.Hour)
	c := NewClock(seen, m.reading())
	if off := c.Off(); off != -4*time.Hour {
		t.Errorf("off by %v, want -4h", off)
	}
	m.run(10 * time.Second)
	if took := c.Now().Sub(seen); took != 9*time.Second {
		t.Errorf("ten seconds took %v, want 9s", took)
	}
	if c := NewClock(m.day.Add(-time.Hour), m.reading()); !c.Now().Equal(m.day) {
		t.Errorf("it shows %v, want %v", c.Now(), m.day)
	}
}

// The real clocks of this machine, which is not suspended meanwhile.
func TestRealClock(t *testing.T) {
	c := NewClock(time.Time{}, Reading{})
	if off := c.Off(); off.Abs() > suspension || c.Leapt() != 0 {
		t.Errorf("off by %v, leapt %v", off, c.Leapt())
	}
}

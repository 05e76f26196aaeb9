package server

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// from is a connection of another machine, or of this one.
type from struct {
	net.Conn
	host string
}

func (from) Close() error { return nil }

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.host), Port: 1} }

// arrives is a listener on which connections of these hosts arrive.
type arrives struct {
	net.Listener
	hosts []string
}

func (a *arrives) Accept() (net.Conn, error) {
	host := a.hosts[0]
	a.hosts = a.hosts[1:]
	return from{nil, host}, nil
}

func accept(t *testing.T, cs *connections, host string) *connection {
	t.Helper()
	c, err := countingListener{&arrives{hosts: []string{host}}, cs}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*connection)
}

// in puts a connection into a phase that began some time ago.
func in(c *connection, p phase, ago time.Duration) *connection {
	c.enter(p)
	c.since.Add(-int64(ago))
	return c
}

func TestConnectionsThatDoLeastGiveWay(t *testing.T) {
	type state struct {
		phase phase
		ago   time.Duration
	}
	handled := state{phaseAnswering, time.Hour}
	for _, tt := range []struct {
		name  string
		open  []state
		gives int // which gives way; -1: none, and the new one is spare
	}{
		{"all are handled", []state{handled, handled, handled}, -1},
		{"one is idle", []state{handled, {phaseIdle, time.Second}, handled}, 1},
		{"the next request may be on its way", []state{handled, {phaseIdle, time.Second - 1}, handled}, -1},
		{"the longest idle", []state{{phaseIdle, time.Second}, {phaseIdle, time.Minute}, {phaseIdle, 0}}, 1},
		{"idle before stalled", []state{{phaseFresh, time.Hour}, {phaseWriting, time.Hour}, {phaseIdle, time.Second}}, 2},
		{"just accepted", []state{handled, {phaseFresh, time.Second - 1}, handled}, -1},
		{"silent", []state{handled, {phaseFresh, time.Second}, handled}, 1},
		{"header in time", []state{handled, {phaseHeader, 2*time.Second - 1}, handled}, -1},
		{"header not in time", []state{handled, {phaseHeader, 2 * time.Second}, handled}, 1},
		{"body in time", []state{handled, handled, {phaseBody, 3*time.Second - 1}}, -1},
		{"body not in time", []state{handled, handled, {phaseBody, 3 * time.Second}}, 2},
		{"answer being read", []state{{phaseWriting, 3*time.Second - 1}, handled, handled}, -1},
		{"answer not read", []state{{phaseWriting, 3 * time.Second}, handled, handled}, 0},
		{"silent before an answer that is not read", []state{{phaseWriting, time.Hour}, {phaseFresh, time.Second}, handled}, 1},
	} {
		synctest.Test(t, func(t *testing.T) { // time does not pass
			cs := newConnections(len(tt.open), &load{})
			var open []*connection
			for _, s := range tt.open {
				open = append(open, accept(t, cs, "127.0.0.1"))
				in(open[len(open)-1], s.phase, s.ago)
			}
			c := accept(t, cs, "127.0.0.1")
			if c.isSpare() != (tt.gives < 0) || cs.count() != len(tt.open) {
				t.Errorf("%s: it is spare: %v; %d connections", tt.name, c.isSpare(), cs.count())
			}
			for i, o := range open {
				if cs.open[o] != (i != tt.gives) {
					t.Errorf("%s: connection %d is open: %v", tt.name, i, cs.open[o])
				}
			}
			if dropped := cs.load.dropped.Load(); (dropped == 1) != (tt.gives >= 0) {
				t.Errorf("%s: %d were dropped", tt.name, dropped)
			}
		})
	}
}

// Spare connections give way to one another, those that are being handled last, and the oldest has full service as soon as there is a place.
func TestSpareConnections(t *testing.T) {
	cs := newConnections(2, &load{})
	first, second := in(accept(t, cs, "::1"), phaseAnswering, 0), in(accept(t, cs, "::1"), phaseAnswering, 0)
	var spare []*connection
	for i := range spareConnections {
		spare = append(spare, in(accept(t, cs, "::1"), phaseFresh, time.Duration(100-i)*time.Millisecond))
	}
	in(spare[0], phaseAnswering, time.Hour)
	for i := range 3 * spareConnections {
		c := accept(t, cs, "::1")
		if !c.isSpare() || len(cs.open) != 2+spareConnections || !cs.open[spare[0]] || !cs.open[c] {
			t.Fatalf("connection %d: %d are open, the handled one: %v", i, len(cs.open), cs.open[spare[0]])
		}
	}
	if slices.ContainsFunc(spare[1:], func(c *connection) bool { return cs.open[c] }) {
		t.Error("an older spare connection is still open")
	}
	for c := range cs.open {
		if c != first && c != second && c != spare[0] {
			in(c, phaseAnswering, time.Minute)
		}
	}
	accept(t, cs, "::1")
	if cs.open[spare[0]] {
		t.Error("when all are handled, the oldest is still open")
	}
	second.Close()
	second.Close()
	last := accept(t, cs, "::1")
	if last.isSpare() || cs.count() != 2 {
		t.Errorf("there is a place, and it is spare; %d connections", cs.count())
	}
	first.Close()
	for c := range cs.open {
		if c != last {
			if c.isSpare() {
				t.Error("there is a place for a spare one")
			}
			break
		}
	}
	if cs.count() != 2 {
		t.Errorf("%d connections", cs.count())
	}
}

// A spare connection has full service as soon as another one may give way.
func TestSpareConnectionReplacesAnIdleOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConnections(1, &load{})
		idle := in(accept(t, cs, "::1"), phaseIdle, 0)
		c := accept(t, cs, "::1")
		if !c.isSpare() || !cs.open[idle] {
			t.Error("a connection gives way although it was used just now")
		}
		time.Sleep(time.Second)
		if c.isSpare() || cs.open[idle] || cs.count() != 1 || cs.load.dropped.Load() != 1 {
			t.Errorf("spare: %v, the idle one is open: %v, %d connections", c.isSpare(), cs.open[idle], cs.count())
		}
	})
}

// One other machine has at most half of the places when few are left. All clients of this machine have one address, and are not counted.
func TestOneMachineDoesNotTakeAllPlaces(t *testing.T) {
	cs := newConnections(16, &load{})
	for i := range 40 {
		c := in(accept(t, cs, "192.0.2.1"), phaseAnswering, 0)
		if c.isSpare() != (i >= 14) {
			t.Errorf("connection %d of one machine is spare: %v", i, c.isSpare())
		}
	}
	for i := range 2 {
		if in(accept(t, cs, fmt.Sprintf("192.0.2.%d", 10+i)), phaseAnswering, 0).isSpare() {
			t.Errorf("another machine has no place")
		}
	}
	local := newConnections(8, &load{})
	for i := range 8 {
		if in(accept(t, local, "127.0.0.1"), phaseAnswering, 0).isSpare() {
			t.Errorf("connection %d of this machine has no place", i)
		}
	}
}

func TestConnectionsLeaveFilesForTheRest(t *testing.T) {
	for files, want := range map[int]int{0: 512, 64: 24, 100: 60, 256: 184, 1024: 512, 40: 1, 10: 1, 1 << 20: 512} {
		l := Limits{}.withDefaults(files)
		if l.Connections != want || l.Streams > max(1, l.Connections*3/4) || l.Streams < 1 || l.Sessions < 2*l.Streams {
			t.Errorf("%d files: %+v, want %d connections", files, l, want)
		}
		if files >= 64 && l.Connections+spareConnections+max(reservedFiles, files/4) > files {
			t.Errorf("%d files: %+v leaves too few", files, l)
		}
	}
}

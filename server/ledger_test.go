package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytesHaveALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(100, &load{})
		a := l.answering(nil)
		if !a.grow(t.Context(), 60, 0) || !a.grow(t.Context(), 100, 0) || l.held() != 100 || l.hasRoom() {
			t.Fatalf("%d bytes", l.held())
		}
		b := l.answering(nil)
		began := time.Now()
		if b.grow(t.Context(), 1, time.Second) || time.Since(began) != time.Second {
			t.Errorf("without room it took %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if b.grow(ctx, 1, time.Second) {
			t.Error("there was room after the context had ended")
		}
		go func() { time.Sleep(time.Millisecond); a.free(); a.free() }()
		if !b.grow(t.Context(), 100, time.Minute) || l.held() != 100 {
			t.Errorf("%d bytes after the others were freed", l.held())
		}
		b.free()
		(*hold)(nil).free()
		if l.held() != 0 || len(l.holds) != 0 {
			t.Errorf("%d bytes, %d messages", l.held(), len(l.holds))
		}
	})
}

// Large messages leave room for small ones, and those for what is not counted; one large message and one answer always have room.
func TestMessagesLeaveRoomForOthers(t *testing.T) {
	const whole = messageCopies * (maxMessage + 1)
	const small = messageCopies * (smallMessage + 1)
	for _, tt := range []struct{ limit, large, small int64 }{
		{whole, whole, whole - whole/8},
		{16 << 20, whole, 14 << 20},
		{4 * whole, 3 * whole, 4*whole - whole/2},
		{64 << 20, 48 << 20, 56 << 20},
	} {
		fill := func(l *ledger, n int64) (used int64) {
			for l.message(nil).grow(t.Context(), n, 0) {
			}
			return l.held()
		}
		l := newLedger(tt.limit, &load{})
		if !l.message(nil).grow(t.Context(), tt.large, 0) || l.message(nil).grow(t.Context(), small+1, 0) {
			t.Errorf("of %d bytes large messages hold %d, want %d", tt.limit, l.held(), tt.large)
		}
		if used := fill(l, small); used > max(tt.large, tt.small) || used <= tt.small-small {
			t.Errorf("of %d bytes large and small messages hold %d, want %d", tt.limit, used, tt.small)
		}
		if used := fill(newLedger(tt.limit, &load{}), 1000); used > tt.small || used < tt.small-1000 {
			t.Errorf("of %d bytes small messages hold %d, want %d", tt.limit, used, tt.small)
		}
		if tt.large <= tt.small && !l.hasRoom() {
			t.Errorf("limit %d: messages keep those out that are not counted", tt.limit)
		}
		if !l.answering(nil).grow(t.Context(), l.forAnswer(1<<30), 0) || l.held() > tt.limit {
			t.Errorf("limit %d: messages keep an answer out; %d bytes are held", tt.limit, l.held())
		}
	}
}

// The largest answer has room beside others, and an answer takes what is left as soon as no other one is being sent: it does not wait for
// messages that could themselves wait until they are answered.
func TestAnswersHaveRoom(t *testing.T) {
	l := newLedger(100, &load{})
	if l.forAnswer(10) != 10*answerCopies {
		t.Errorf("a small answer holds %d bytes", l.forAnswer(10))
	}
	if !l.answering(nil).grow(t.Context(), 50, 0) || !l.answering(nil).grow(t.Context(), l.forAnswer(1<<30), 0) {
		t.Error("a large answer has no room although half of the limit is free")
	}
	for _, tt := range []struct {
		other string // has 60 of 100 bytes
		n     int64
		waits bool
		has   int64
	}{
		{"", 101, false, 100},
		{"", 1 << 40, false, 100},
		{"message", 1000, false, 40},
		{"message", 41, false, 40},
		{"answer", 40, false, 40},
		{"answer", 41, true, 41},
		{"answer", 1000, true, 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger(100, &load{})
			if tt.other != "" {
				other := l.message(nil)
				other.answer = tt.other == "answer"
				if !other.grow(t.Context(), 60, 0) {
					t.Fatal("no room")
				}
				time.AfterFunc(time.Second, other.free)
			}
			began, h := time.Now(), l.answering(nil)
			if !h.grow(t.Context(), tt.n, time.Minute) || h.n != tt.has || l.held() > 100 || (time.Since(began) > 0) != tt.waits {
				t.Errorf("%+v: it has %d bytes, of %d, after %s", tt, h.n, l.held(), time.Since(began))
			}
			h.free()
			time.Sleep(time.Minute)
			if l.held() != 0 || l.answers != 0 {
				t.Errorf("%d bytes, %d answers are left", l.held(), l.answers)
			}
		})
	}
}

// Of what is stalled, what is being received gives way before what is being sent, the longest first; what makes progress, or is handled, does not.
func TestWhatMakesNoProgressGivesWay(t *testing.T) {
	type state struct {
		answer, handled bool
		ago             time.Duration // since the last progress
	}
	for _, tt := range []struct {
		name  string
		held  []state
		gives int // -1: none
	}{
		{"all make progress", []state{{ago: stalledAfter - 1}, {answer: true, ago: stalledAfter - 1}}, -1},
		{"all are handled", []state{{handled: true, ago: time.Hour}, {handled: true}}, -1},
		{"one is stalled", []state{{ago: time.Second}, {ago: stalledAfter}}, 1},
		{"the longest", []state{{ago: 3 * time.Second}, {ago: 4 * time.Second}, {ago: 2 * time.Second}}, 1},
		{"a body before an answer", []state{{answer: true, ago: time.Hour}, {ago: stalledAfter}}, 1},
		{"an answer beside a body that makes progress", []state{{ago: time.Second}, {answer: true, ago: stalledAfter}}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger(100, &load{})
			var holds []*hold
			for _, s := range tt.held {
				h := l.message(func() {})
				h.answer = s.answer
				if s.handled {
					h.settle()
				}
				if !h.grow(t.Context(), 80/int64(len(tt.held)), 0) {
					t.Fatalf("%s: no room", tt.name)
				}
				h.progress()
				h.since = h.since.Add(-s.ago)
				holds = append(holds, h)
			}
			if l.message(nil).grow(t.Context(), 50, 0) {
				t.Errorf("%s: there is room", tt.name)
			}
			for i, h := range holds {
				if h.wasCut() != (i == tt.gives) {
					t.Errorf("%s: message %d gave way: %v", tt.name, i, h.wasCut())
				}
			}
		})
	}
}

// What is received or sent for longest gives way, unless it is quick; what is handled does not.
func TestStalledMessagesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(100, &load{})
		var holds []*hold
		for i := range 4 {
			var h *hold
			h = l.answering(func() { time.AfterFunc(0, func() { h.free() }) })
			if !h.grow(t.Context(), 25, 0) {
				t.Fatal("no room")
			}
			if i == 0 {
				h.settle() // it is handled
			}
			holds = append(holds, h)
			time.Sleep(100 * time.Millisecond)
		}
		later := l.answering(nil)
		if later.grow(t.Context(), 25, roomTime) {
			t.Error("a message gave way at once")
		}
		if !later.grow(t.Context(), 25, 2*time.Second) || later.wasCut() {
			t.Error("none gave way")
		}
		for i, h := range holds {
			if h.wasCut() != (i == 1) {
				t.Errorf("message %d gave way: %v", i, h.wasCut())
			}
		}
		if holds[1].grow(t.Context(), 26, 0) {
			t.Error("a message that gave way grows")
		}
		if n := l.load.dropped.Load(); n != 1 || l.held() != 100 {
			t.Errorf("%d gave way, %d bytes", n, l.held())
		}
	})
}

func TestBytesAreFreedWhateverHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(1000, &load{})
		var wg sync.WaitGroup
		for i := range 200 {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(10000))*time.Millisecond)
				defer cancel()
				h := l.message(nil)
				h.answer = i%2 == 0
				if i%3 == 0 {
					h.settle()
				}
				defer h.free()
				for n := int64(0); n < 500; {
					n += random.Int64N(100)
					if !h.grow(ctx, n, time.Second) {
						return
					}
					if held := l.held(); held > 1000 || held < 0 {
						t.Errorf("%d bytes", held)
					}
					time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		if l.held() != 0 || len(l.holds) != 0 {
			t.Errorf("%d bytes, %d messages are left", l.held(), len(l.holds))
		}
	})
}

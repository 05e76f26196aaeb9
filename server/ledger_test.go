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
		a := l.hold(nil)
		if !a.grow(t.Context(), 60, 0) || !a.grow(t.Context(), 100, 0) || a.grow(t.Context(), 101, 0) || l.held() != 100 || l.hasRoom() {
			t.Fatalf("%d bytes", l.held())
		}
		b := l.hold(nil)
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

// Messages that are being received leave room for the others; one always has room.
func TestReceivingLeavesRoom(t *testing.T) {
	const whole = messageCopies * (maxMessage + 1)
	for limit, most := range map[int64]int64{whole: whole, whole + 100: whole, 4 * whole: 3 * whole} {
		l := newLedger(limit, &load{})
		if body := l.receiving(func() {}); body.grow(t.Context(), most+1, 0) || !body.grow(t.Context(), most, 0) {
			t.Errorf("%d bytes of a limit of %d are received", l.held(), limit)
		}
		if another := l.receiving(func() {}); another.grow(t.Context(), 1, 0) {
			t.Errorf("limit %d: another message is received", limit)
		}
		if !l.hold(nil).grow(t.Context(), limit-most, 0) {
			t.Errorf("limit %d: messages that are being received keep others out", limit)
		}
	}
}

// The largest answer has room beside others.
func TestAnswersHaveRoom(t *testing.T) {
	l := newLedger(100, &load{})
	if l.answer(10) != 10*answerCopies {
		t.Errorf("a small answer holds %d bytes", l.answer(10))
	}
	if !l.hold(nil).grow(t.Context(), 50, 0) || !l.hold(nil).grow(t.Context(), l.answer(1<<30), 0) {
		t.Error("a large answer has no room although half of the limit is free")
	}
}

// What is received or sent for longest gives way, unless it is quick; what is handled does not.
func TestStalledMessagesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(100, &load{})
		var holds []*hold
		for i := range 4 {
			var h *hold
			h = l.hold(func() { time.AfterFunc(0, func() { h.free() }) })
			if !h.grow(t.Context(), 25, 0) {
				t.Fatal("no room")
			}
			if i == 0 {
				h.settle() // it is handled
			}
			holds = append(holds, h)
			time.Sleep(100 * time.Millisecond)
		}
		later := l.hold(nil)
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
				h := l.hold(nil)
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

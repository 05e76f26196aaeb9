package server

import (
	"context"
	"sync"
	"time"
)

const (
	// freeBytes is what a message may have without being counted: the number of connections bounds such messages.
	freeBytes = 16 << 10
	// A message is in memory more than once while it is received and handled, and so is an answer while it is sent.
	messageCopies = 3
	answerCopies  = 2
	// A message that is being received or sent for this long gives way when there is no room for another one.
	stalledAfter = 2 * time.Second
	// roomTime is how long a message waits for room.
	roomTime = time.Second
)

// ledger counts the bytes that messages of clients hold, within a limit.
type ledger struct {
	limit int64
	load  *load

	mu    sync.Mutex
	used  int64
	holds map[*hold]bool
	freed chan struct{} // closed when bytes are freed, and replaced
}

// hold is what one message holds.
type hold struct {
	ledger *ledger
	limit  int64  // of all messages together, for this one
	cut    func() // ends the receiving or sending; nil: it does not give way
	since  time.Time
	n      int64
	isCut  bool
}

func newLedger(limit int64, load *load) *ledger {
	return &ledger{limit: limit, load: load, holds: map[*hold]bool{}, freed: make(chan struct{})}
}

// hold begins to count a message, which holds nothing yet; free ends it.
func (l *ledger) hold(cut func()) *hold {
	return l.holdWithin(l.limit, cut)
}

// receiving begins to count a message that is being received. A quarter of the limit is not for such ones, as long as one of them has
// room, since a client decides how long they take: small messages are handled and answers are sent whatever clients do not send to the end.
func (l *ledger) receiving(cut func()) *hold {
	return l.holdWithin(min(l.limit, max(l.limit-l.limit/4, messageCopies*(maxMessage+1))), cut)
}

func (l *ledger) holdWithin(limit int64, cut func()) *hold {
	h := &hold{ledger: l, limit: limit, cut: cut, since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds[h] = true
	return h
}

// grow has the message hold n bytes in all. Without room it waits, for at most patience, and has what is stalled give way. It reports
// whether there is room, and the message did not give way itself.
func (h *hold) grow(ctx context.Context, n int64, patience time.Duration) bool {
	l := h.ledger
	var timeout, again <-chan time.Time
	for {
		l.mu.Lock()
		if h.isCut {
			l.mu.Unlock()
			return false
		}
		if more := n - h.n; more <= 0 || l.used+more <= h.limit {
			if h.n == 0 {
				h.since = time.Now()
			}
			l.used, h.n = l.used+max(0, more), max(h.n, n)
			l.mu.Unlock()
			return true
		}
		l.cutStalled(h)
		freed := l.freed
		l.mu.Unlock()
		if timeout == nil {
			timer, ticker := time.NewTimer(patience), time.NewTicker(roomTime/4)
			defer timer.Stop()
			defer ticker.Stop()
			timeout, again = timer.C, ticker.C
		}
		select {
		case <-freed:
		case <-again: // another one may be stalled now
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// cutStalled has the message give way that has been received or sent for longest; the caller holds mu.
func (l *ledger) cutStalled(but *hold) {
	var oldest *hold
	for h := range l.holds {
		if h != but && h.cut != nil && h.n > 0 && !h.isCut && (oldest == nil || h.since.Before(oldest.since)) {
			oldest = h
		}
	}
	if oldest != nil && time.Since(oldest.since) >= stalledAfter {
		oldest.isCut = true
		l.load.dropped.Add(1)
		oldest.cut()
	}
}

// wasCut reports whether the message gave way.
func (h *hold) wasCut() bool {
	if h == nil {
		return false
	}
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	return h.isCut
}

// settle has the message keep its bytes, and not give way any more: it was received.
func (h *hold) settle() {
	if h == nil {
		return
	}
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	h.cut = nil
}

// free ends the holding. It may be called twice, and on nil.
func (h *hold) free() {
	if h == nil {
		return
	}
	l := h.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.holds[h] {
		return
	}
	delete(l.holds, h)
	if h.n > 0 {
		l.used -= h.n
		close(l.freed)
		l.freed = make(chan struct{})
	}
}

// answer returns how much an answer of n bytes is to hold. It is at most half of the limit, so that the largest has room when few others are
// in memory; how large it may be is limited where it is made.
func (l *ledger) answer(n int) int64 { return min(answerCopies*int64(n), l.limit/2) }

// room waits until an eighth of the limit is free, for at most patience.
func (l *ledger) room(ctx context.Context, patience time.Duration) bool {
	h := l.hold(nil)
	defer h.free()
	return h.grow(ctx, l.limit/8, patience)
}

// hasRoom reports whether an eighth of the limit is free now.
func (l *ledger) hasRoom() bool { return l.held() <= l.limit-l.limit/8 }

// held returns how many bytes are held now.
func (l *ledger) held() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}

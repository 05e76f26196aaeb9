package server

import (
	"context"
	"sync"
	"time"
)

const (
	// smallMessage is what a message may have to count as small: others leave room for such ones.
	smallMessage = 64 << 10
	// freeBytes is what a message may have without being counted: the number of connections bounds such messages.
	freeBytes = 16 << 10
	// A message is in memory more than once while it is received and handled, and so is an answer while it is sent.
	messageCopies = 3
	answerCopies  = 2
	// A message that is being sent, or of which less than progressStep has been received, for this long gives way when there is no room for
	// another one.
	stalledAfter = 2 * time.Second
	progressStep = 64 << 10
	// roomTime is how long a message waits for room.
	roomTime = time.Second
)

// ledger counts the bytes that messages of clients hold, within a limit.
type ledger struct {
	limit int64
	load  *load

	mu      sync.Mutex
	used    int64
	answers int // that have room
	frees   int // how often room was freed
	holds   map[*hold]bool
	freed   chan struct{} // closed when bytes are freed, and replaced
}

// hold is what one message holds.
type hold struct {
	ledger  *ledger
	answer  bool
	cut     func() // ends the receiving or sending; nil: it does not give way
	since   time.Time
	n       int64
	entered bool // it has room
	isCut   bool
}

func newLedger(limit int64, load *load) *ledger {
	return &ledger{limit: limit, load: load, holds: map[*hold]bool{}, freed: make(chan struct{})}
}

// message begins to count a message of a client, which holds nothing yet; free ends it.
func (l *ledger) message(cut func()) *hold { return l.hold(&hold{cut: cut}) }

// answering begins to count an answer, or what else is sent.
func (l *ledger) answering(cut func()) *hold { return l.hold(&hold{cut: cut, answer: true}) }

func (l *ledger) hold(h *hold) *hold {
	h.ledger, h.since = l, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds[h] = true
	return h
}

// most is how much all messages together may hold with one that holds n bytes. A client decides how long it takes to send a message, and
// its call how long it is handled. So large ones leave a quarter of the limit for the others, as long as one of them has room, and small
// ones an eighth for those that are not counted.
func (l *ledger) most(h *hold, n int64) int64 {
	switch {
	case h.answer:
		return l.limit
	case n > messageCopies*(smallMessage+1):
		return min(l.limit, max(l.limit-l.limit/4, messageCopies*(maxMessage+1)))
	}
	return l.limit - l.limit/8
}

// forAnswer is how much an answer of n bytes is to hold. It is at most half of the limit, so that the largest has room when few others are
// in memory; how large it may be is limited where it is made.
func (l *ledger) forAnswer(n int) int64 { return min(answerCopies*int64(n), l.limit/2) }

// needs is how much the message takes beyond what it holds if it is to hold n bytes. An answer takes what is left if no other one has
// room: it never waits for messages that could themselves wait for room for their answers.
func (l *ledger) needs(h *hold, n int64) int64 {
	more := max(0, n-h.n)
	if h.answer && l.answers == 0 {
		more = min(more, max(0, l.limit-l.used))
	}
	return more
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
		if more := l.needs(h, n); more == 0 || l.used+more <= l.most(h, n) {
			if !h.entered {
				h.entered, h.since = true, time.Now()
				if h.answer {
					l.answers++
				}
			}
			l.used, h.n = l.used+more, h.n+more
			l.mu.Unlock()
			return true
		}
		l.cutStalled(h)
		freed := l.freed
		l.mu.Unlock()
		if patience <= 0 {
			return false
		}
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

// progress records that more of the message has been received.
func (h *hold) progress() {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	h.since = time.Now()
}

// cutStalled has a stalled message give way: one that is being received before one that is being sent, and the one that has been stalled
// for longest. The caller holds mu.
func (l *ledger) cutStalled(but *hold) {
	var first *hold
	for h := range l.holds {
		if h == but || h.cut == nil || !h.entered || h.isCut || time.Since(h.since) < stalledAfter {
			continue
		}
		if first == nil || first.answer && !h.answer || first.answer == h.answer && h.since.Before(first.since) {
			first = h
		}
	}
	if first != nil {
		first.isCut = true
		l.load.dropped.Add(1)
		first.cut()
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
	if h.entered {
		l.used -= h.n
		l.frees++
		if h.answer {
			l.answers--
		}
		close(l.freed)
		l.freed = make(chan struct{})
	}
}

// room waits until an eighth of the limit is free, for at most patience: that is where answers begin.
func (l *ledger) room(ctx context.Context, patience time.Duration) bool {
	if l.hasRoom() {
		return true
	}
	h := l.message(nil)
	defer h.free()
	return h.grow(ctx, 1, patience)
}

// hasRoom reports whether an eighth of the limit is free now.
func (l *ledger) hasRoom() bool { return l.held() <= l.limit-l.limit/8 }

// held returns how many bytes are held now.
func (l *ledger) held() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}

// freedRoom returns how often room was freed.
func (l *ledger) freedRoom() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frees
}

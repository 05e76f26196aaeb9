package server

import (
	"context"
	"encoding/json"
	"math"
	"sync/atomic"
	"time"
)

// A message of more than freeBytes is counted until it is answered. A client on /sse is one of several: its message is refused if there is
// no room, or if it would have more than half of the limit in flight. A client on stdio is alone: its messages wait for room, in turn. What
// waits is only text, and as much of it as the limit; then reading pauses, see [lineReader]. Controls are small and overtake what waits.

// waitingRoom is where large messages of a client on stdio wait.
type waitingRoom struct {
	texts *ledger // what those that wait hold
	lines [2]struct {
		count atomic.Int32
		first chan struct{} // size 1: the first one waits for room, the others for their turn
	} // of small and of large ones
}

func newWaitingRoom(limit int64) *waitingRoom {
	w := &waitingRoom{texts: newLedger(limit, &load{})}
	for i := range w.lines {
		w.lines[i].first = make(chan struct{}, 1)
	}
	return w
}

// lineOf returns the index of the line in which a message of n bytes waits.
func lineOf(n int) int {
	if n <= smallMessage {
		return 0
	}
	return 1
}

// wait waits until it is the turn of a message of n bytes and there is room for it, or ctx ends.
func (p *peer) wait(ctx context.Context, n int) (held *hold, ok bool) {
	line := &p.waiting.lines[lineOf(n)]
	line.count.Add(1)
	defer line.count.Add(-1)
	select {
	case line.first <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	defer func() { <-line.first }()
	return p.take(ctx, messageCopies*int64(n), math.MaxInt64)
}

// take waits for room, for at most patience.
func (p *peer) take(ctx context.Context, needs int64, patience time.Duration) (held *hold, ok bool) {
	held = p.server.bytes.message(nil)
	if !held.grow(ctx, needs, patience) {
		held.free()
		return nil, false
	}
	p.holding.Add(needs)
	return held, true
}

// free ends what hold or wait began.
func (p *peer) free(held *hold) {
	if held != nil {
		p.holding.Add(-held.n)
		held.free()
	}
}

// hold counts a message of n bytes, unless it needs no room; it does not wait.
func (p *peer) hold(ctx context.Context, n int) (held *hold, ok bool) {
	if n <= freeBytes {
		return nil, true
	}
	needs := messageCopies * int64(n)
	if p.waiting != nil {
		if p.waiting.lines[lineOf(n)].count.Load() > 0 {
			return nil, false
		}
	} else if has := p.holding.Load(); has > 0 && has+needs > p.server.limits.Bytes/2 {
		return nil, false
	}
	return p.take(ctx, needs, 0)
}

// refuse answers that there is no room for a request.
func (p *peer) refuse(id json.RawMessage) {
	p.server.load.refused.Add(1)
	e := p.server.noRoom()
	p.send(protocolError(id, busyCode, e.Message, e))
}

package engine

import (
	"context"
	"sync"
)

// uncommitted counts the bytes of the values in turns of all executions that are not committed yet. When all turns together hold as much as
// they may, one that holds some commits them, and an owner that begins one waits first, unless a caller waits for the owner. So turns
// never wait for each other in a circle. The zero value is ready for use.
type uncommitted struct {
	mu    sync.Mutex
	bytes int
	room  chan struct{} // closed when there is room again; nil: no turn waits
}

// maxUncommitted limits what all turns hold together; each may exceed it by what one node makes.
const maxUncommitted = 64 << 20

// add counts bytes, or with a negative number that they are committed or given up.
func (u *uncommitted) add(bytes int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += bytes
	if u.room != nil && u.bytes < maxUncommitted {
		close(u.room)
		u.room = nil
	}
}

// full reports whether turns hold as much as they may.
func (u *uncommitted) full() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes >= maxUncommitted
}

// wait waits until they hold less, or ctx has ended.
func (u *uncommitted) wait(ctx context.Context) error {
	for {
		u.mu.Lock()
		if u.bytes < maxUncommitted {
			u.mu.Unlock()
			return nil
		}
		if u.room == nil {
			u.room = make(chan struct{})
		}
		room := u.room
		u.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hold counts a value of an event of the turn, until the turn ends.
func (t *turn) hold(bytes int) {
	if bytes > 0 {
		t.held += bytes
		t.r.uncommitted.add(bytes)
	}
}

// release ends what hold has counted, and gives the count of the inputs to the calls that are made now.
func (t *turn) release() {
	t.r.inputs.Add(-int64(t.inputs))
	t.inputs = 0
	if t.held > 0 {
		t.r.uncommitted.add(-t.held)
		t.held = 0
	}
}

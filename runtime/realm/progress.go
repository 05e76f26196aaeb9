package realm

import (
	"sync"

	"github.com/runplane/runplane/runtime/call"
)

// progressSink delivers the progress of one call to its receiver in order, in a goroutine other than the read loop.
type progressSink struct {
	receive func(call.Progress)
	mu      sync.Mutex
	queue   []call.Progress
	running bool
	closed  bool
	idle    sync.Cond
}

// maxQueued is the most undelivered notifications of a slow receiver; then the oldest is dropped.
const maxQueued = 256

func newProgressSink(receive func(call.Progress)) *progressSink {
	s := &progressSink{receive: receive}
	s.idle.L = &s.mu
	return s
}

// push never blocks. It starts the goroutine that delivers if it is not running; close waits for it.
func (s *progressSink) push(p call.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if len(s.queue) == maxQueued {
		s.queue = append(s.queue[:0], s.queue[1:]...)
	}
	s.queue = append(s.queue, p)
	if !s.running {
		s.running = true
		go s.deliver()
	}
}

func (s *progressSink) deliver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		p := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.receive(p)
		s.mu.Lock()
	}
	s.running = false
	s.idle.Broadcast()
}

// close returns when everything that was pushed has been delivered; nothing is delivered after it.
func (s *progressSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.running {
		s.idle.Wait()
	}
}

// progressTable is the sinks by progress token.
type progressTable struct {
	mu    sync.Mutex
	sinks map[int64]*progressSink
}

func (t *progressTable) add(token int64, s *progressSink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sinks == nil {
		t.sinks = map[int64]*progressSink{}
	}
	t.sinks[token] = s
}

func (t *progressTable) remove(token int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sinks, token)
}

// push delivers the fields of a progress notification; without a sink for its token it is dropped. redact is applied
// to its message.
func (t *progressTable) push(fields map[string]any, redact func(string) string) {
	token, ok := fields["progressToken"].(float64)
	if !ok {
		return
	}
	t.mu.Lock()
	s := t.sinks[int64(token)]
	t.mu.Unlock()
	if s == nil {
		return
	}
	var p call.Progress
	p.Done, _ = fields["progress"].(float64)
	p.Total, _ = fields["total"].(float64)
	message, _ := fields["message"].(string)
	p.Message = redact(clean(message, maxProgressMessage))
	s.push(p)
}

const maxProgressMessage = 1 << 10

package server

import (
	"context"
	"sync"
	"time"
)

// An idle stream gives way to a new one: at once if it was never used, else after a while.
const (
	unusedStream   = 2 * time.Second
	idleStream     = time.Minute
	sessionStreams = 4 // open streams of one session
)

// streams are the open event streams: of /sse, of GET /mcp, and of subscriptions/listen.
type streams struct {
	limit int
	load  *load

	mu        sync.Mutex
	open      map[*openStream]bool
	bySession map[string]int // how many of open
}

func newStreams(limit int, load *load) *streams {
	return &streams{limit: limit, load: load, open: map[*openStream]bool{}, bySession: map[string]int{}}
}

// openStream is one of them.
type openStream struct {
	session string // empty: none
	end     context.CancelCauseFunc
	used    bool // the client has sent something beside it
	last    time.Time
	busy    func() bool // requests are in flight; nil: never
}

// errStreamDropped ends a stream that gave way.
var errStreamDropped = busy("this stream was idle, and gave way to another one: too many are open").
	WithHint("open it again when it is needed; limits.max_streams is how many may be open")

// add makes a place for a stream; it reports false if there is none. The stream is counted until it is removed.
func (s *streams) add(o *openStream) bool {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o.last = now
	victim := (*openStream)(nil)
	if len(s.open) >= s.limit {
		if victim = s.victim(now); victim == nil {
			return false
		}
	} else if o.session != "" {
		victim = s.surplus(o.session)
	}
	if victim != nil {
		s.load.dropped.Add(1)
		s.delete(victim)
		victim.end(errStreamDropped)
	}
	s.open[o] = true
	s.bySession[o.session]++
	return true
}

// delete forgets a stream; the caller holds mu.
func (s *streams) delete(o *openStream) {
	if !s.open[o] {
		return
	}
	delete(s.open, o)
	if s.bySession[o.session]--; s.bySession[o.session] == 0 {
		delete(s.bySession, o.session)
	}
}

// victim returns the stream that gives way; the caller holds mu.
func (s *streams) victim(now time.Time) (oldest *openStream) {
	for o := range s.open {
		idle := now.Sub(o.last)
		if o.busy != nil && o.busy() || !o.used && idle < unusedStream || o.used && idle < idleStream {
			continue
		}
		if oldest == nil || oldest.used && !o.used || oldest.used == o.used && o.last.Before(oldest.last) {
			oldest = o
		}
	}
	return oldest
}

// surplus returns the oldest stream of a session that has as many as it may, or nil; the caller holds mu.
func (s *streams) surplus(session string) (oldest *openStream) {
	if s.bySession[session] < sessionStreams {
		return nil
	}
	for o := range s.open {
		if o.session == session && (oldest == nil || o.last.Before(oldest.last)) {
			oldest = o
		}
	}
	return oldest
}

// use records that the client of a stream has sent something.
func (s *streams) use(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.used, o.last = true, time.Now()
}

// useSession is use for the streams of a session.
func (s *streams) useSession(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bySession[session] == 0 {
		return
	}
	for o := range s.open {
		if o.session == session {
			o.used, o.last = true, time.Now()
		}
	}
}

// has reports whether a session has an open stream.
func (s *streams) has(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySession[session] > 0
}

// endSession ends the streams of a session.
func (s *streams) endSession(session string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.open {
		if o.session == session {
			o.end(cause)
		}
	}
}

func (s *streams) remove(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delete(o)
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

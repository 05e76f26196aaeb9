package server

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// An idle stream gives way to a new one: soon if it was never used, else after a while. Its client may be alive and open it again at once.
// So streams give way one after another, except unused ones to one that is in use, and the session of a stream that gave way has no other
// one give way for a while: more clients than there are places would replace one another for ever.
const (
	unusedStream   = 2 * time.Second
	unusedPace     = 250 * time.Millisecond // between two that give way
	idleStream     = time.Minute
	idlePace       = time.Second
	sessionStreams = 4                // open streams of one session
	streamPause    = time.Minute      // of a session whose stream gave way
	retryStream    = 15 * time.Second // when a client may try again for which there is no place
	maxPauses      = 10_000           // sessions whose pause is remembered
)

// streams are the open event streams: of /sse, of GET /mcp, and of subscriptions/listen.
type streams struct {
	limit int
	load  *load

	mu        sync.Mutex
	open      map[*openStream]bool
	bySession map[string]int       // how many of open
	paused    map[string]time.Time // by session: when one of its streams gave way
	gaveWay   time.Time            // when a stream gave way
}

func newStreams(limit int, load *load) *streams {
	return &streams{limit: limit, load: load, open: map[*openStream]bool{}, bySession: map[string]int{}, paused: map[string]time.Time{}}
}

// openStream is one of them.
type openStream struct {
	session string // empty: none
	end     context.CancelCauseFunc
	used    bool // the client has sent something beside it
	opened  time.Time
	last    time.Time   // when it was opened or used
	busy    func() bool // requests are in flight; nil: never
}

// errStreamDropped ends a stream that gave way.
var errStreamDropped = busy("this stream was idle, and gave way to another one: too many are open").WithRetryAfter(retryStream).
	WithHint("open it again when it is needed; limits.max_streams is how many may be open")

// add makes a place for a stream. If there is none it returns why, with the time after which the client may try again. The stream is
// counted until it is removed.
func (s *streams) add(o *openStream) *schemas.Error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o.opened, o.last = now, now
	own := s.bySession[o.session] >= sessionStreams && o.session != ""
	if own || len(s.open) >= s.limit {
		pause := s.paused[o.session].Add(streamPause).Sub(now)
		var victim *openStream
		if own {
			victim = s.oldest(o.session)
		} else {
			victim = s.victim(now, o.used)
		}
		switch {
		case own && pause > 0:
			return busy("the session has %d open streams, as many as it may, and one of them was replaced in the last minute", s.bySession[o.session]).
				WithRetryAfter(pause.Truncate(time.Second) + time.Second)
		case victim == nil || pause > 0:
			return busy("%d event streams are open and in use, as many as may be (limits.max_streams)", len(s.open)).WithRetryAfter(retryStream)
		}
		s.dropped(victim, now)
	}
	s.open[o] = true
	s.bySession[o.session]++
	return nil
}

// dropped ends a stream that gives way; the caller holds mu.
func (s *streams) dropped(victim *openStream, now time.Time) {
	s.load.dropped.Add(1)
	s.delete(victim)
	victim.end(errStreamDropped)
	s.gaveWay = now
	if victim.session == "" {
		return
	}
	if len(s.paused) >= maxPauses {
		maps.DeleteFunc(s.paused, func(_ string, at time.Time) bool { return now.Sub(at) >= streamPause })
	}
	if len(s.paused) < maxPauses {
		s.paused[victim.session] = now
	}
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

// victim returns the stream that gives way to one that is in use, or not; nil: none. The caller holds mu.
func (s *streams) victim(now time.Time, isUsed bool) (oldest *openStream) {
	for o := range s.open {
		idle := now.Sub(o.last)
		if o.busy != nil && o.busy() || !o.used && idle < unusedStream || o.used && idle < idleStream {
			continue
		}
		if oldest == nil || oldest.used && !o.used || oldest.used == o.used && o.last.Before(oldest.last) {
			oldest = o
		}
	}
	if oldest == nil {
		return nil
	}
	pace := time.Duration(0)
	switch {
	case oldest.used:
		pace = idlePace
	case !isUsed:
		pace = unusedPace
	}
	if now.Sub(s.gaveWay) < pace {
		return nil
	}
	return oldest
}

// oldest returns the oldest stream of a session; the caller holds mu.
func (s *streams) oldest(session string) (oldest *openStream) {
	for o := range s.open {
		if o.session == session && (oldest == nil || o.opened.Before(oldest.opened)) {
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

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/schemas"
)

func TestIdleStreamsGiveWay(t *testing.T) {
	type state struct {
		used, busy bool
		idle       time.Duration
	}
	for _, tt := range []struct {
		name  string
		open  []state
		gives int // which gives way; -1: none
	}{
		{"all are new", []state{{}, {}}, -1},
		{"one was never used", []state{{used: true}, {idle: 2 * time.Second}}, 1},
		{"the oldest that was never used", []state{{idle: 2 * time.Second}, {idle: 3 * time.Second}}, 1},
		{"one was used lately", []state{{used: true, idle: 59 * time.Second}, {used: true}}, -1},
		{"one was not used lately", []state{{used: true}, {used: true, idle: time.Minute}}, 1},
		{"never used before not lately used", []state{{used: true, idle: time.Hour}, {idle: 2 * time.Second}}, 1},
		{"requests are in flight", []state{{busy: true, idle: time.Hour}, {used: true, busy: true, idle: time.Hour}}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStreams(len(tt.open), &load{})
			var ended []error
			for i, o := range tt.open {
				ended = append(ended, nil)
				stream := &openStream{end: func(cause error) { ended[i] = cause }, busy: func() bool { return o.busy }}
				if s.add(stream) != nil {
					t.Fatal("no place")
				}
				stream.used, stream.last = o.used, time.Now().Add(-o.idle)
			}
			if ok := s.add(&openStream{}) == nil; ok != (tt.gives >= 0) || s.count() != len(tt.open) {
				t.Errorf("there is a place: %v; %d streams", ok, s.count())
			}
			for i, cause := range ended {
				if (cause != nil) != (i == tt.gives) || cause != nil && !errors.Is(cause, errStreamDropped) {
					t.Errorf("stream %d ended with %v", i, cause)
				}
			}
		})
	}
}

// One session has a few streams; the oldest is replaced, but only one in a while. Use of a session, or of a stream, keeps its streams.
func TestStreamsOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(100, &load{})
		var open []context.Context
		begin := func() *schemas.Error {
			ctx, end := context.WithCancelCause(t.Context())
			t.Cleanup(func() { end(nil) })
			refused := s.add(&openStream{session: "a", end: end})
			if refused == nil {
				open = append(open, ctx)
			}
			return refused
		}
		for range sessionStreams + 1 {
			if begin() != nil || !s.has("a") {
				t.Fatal("no place")
			}
			time.Sleep(time.Millisecond)
		}
		s.useSession("a")
		for range 3 {
			began := time.Now()
			for refused := begin(); refused != nil; refused = begin() {
				if refused.RetryAfter() < time.Second || refused.RetryAfter() > streamPause+time.Second || refused.Code != schemas.CodeRateLimited {
					t.Fatalf("refused with %+v", refused)
				}
				time.Sleep(refused.RetryAfter())
			}
			if took := time.Since(began); took < streamPause-time.Second || took > streamPause+2*time.Second {
				t.Errorf("the next one is replaced after %s", took)
			}
		}
		left := slices.IndexFunc(open, func(ctx context.Context) bool { return ctx.Err() == nil })
		if s.count() != sessionStreams || left != len(open)-sessionStreams {
			t.Errorf("%d streams, the first one of %d that is left is %d", s.count(), len(open), left)
		}
		time.Sleep(time.Hour)
		s.useSession("a")
		s.useSession("unknown")
		for o := range s.open {
			if !o.used || time.Since(o.last) != 0 {
				t.Errorf("%+v", o)
			}
		}
		s.endSession("a", errSessionEnded)
		if ctx := open[len(open)-1]; !errors.Is(context.Cause(ctx), errSessionEnded) {
			t.Errorf("it ended with %v", context.Cause(ctx))
		}
		for o := range s.open {
			s.remove(o)
			s.remove(o)
		}
		if s.has("a") || s.count() != 0 || len(s.bySession) != 0 {
			t.Errorf("%d streams are left, %v", s.count(), s.bySession)
		}
	})
}

// More clients than there are places, which open their streams again at once, replace one another seldom, and all of them try again later.
// Those that are in use come before those that are not.
func TestStreamsDoNotReplaceOneAnotherForEver(t *testing.T) {
	const limit, clients = 16, 24
	for name, row := range map[string]struct {
		used, sessions bool
		most           int // streams that give way in an hour
	}{
		"in use, with sessions":     {true, true, clients * 60},
		"in use, without sessions":  {true, false, limit * 60},
		"not in use, with sessions": {false, true, clients * 60},
		"not in use, without":       {false, false, (clients - limit) * 3600 / int(retryStream/time.Second)},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStreams(limit, &load{})
			over, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			var wg sync.WaitGroup
			served := make([]bool, clients)
			for i := range clients {
				session := ""
				if row.sessions {
					session = fmt.Sprint(i)
				}
				wg.Go(func() {
					for over.Err() == nil {
						ctx, end := context.WithCancelCause(over)
						o := &openStream{session: session, end: end, used: row.used}
						if refused := s.add(o); refused != nil {
							end(nil)
							time.Sleep(refused.RetryAfter())
							continue
						}
						served[i] = true
						<-ctx.Done()
						s.remove(o)
						if errors.Is(context.Cause(ctx), errStreamDropped) {
							time.Sleep(errStreamDropped.RetryAfter()) // as the last line of its stream says
						}
						end(nil)
					}
				})
			}
			wg.Wait()
			if n := s.load.dropped.Load(); n > int64(row.most) {
				t.Errorf("%s: %d streams gave way, at most %d may", name, n, row.most)
			}
			if slices.Contains(served, false) {
				t.Errorf("%s: some clients never had a stream: %v", name, served)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(limit, &load{})
		for range limit {
			s.add(&openStream{end: func(error) {}})
		}
		time.Sleep(unusedStream)
		for i := range limit {
			if s.add(&openStream{end: func(error) {}, used: true}) != nil {
				t.Errorf("stream %d in use has no place beside those that are not", i)
			}
		}
	})
}

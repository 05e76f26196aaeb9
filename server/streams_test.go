package server

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
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
				if !s.add(stream) {
					t.Fatal("no place")
				}
				stream.used, stream.last = o.used, time.Now().Add(-o.idle)
			}
			if ok := s.add(&openStream{}); ok != (tt.gives >= 0) || s.count() != len(tt.open) {
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

// One session has a few streams; the oldest is replaced. Use of a session, or of a stream, keeps its streams.
func TestStreamsOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(100, &load{})
		var open []context.Context
		for range 2 * sessionStreams {
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			open = append(open, ctx)
			if !s.add(&openStream{session: "a", end: end}) || !s.has("a") {
				t.Fatal("no place")
			}
			time.Sleep(time.Millisecond)
		}
		left := slices.IndexFunc(open, func(ctx context.Context) bool { return ctx.Err() == nil })
		if s.count() != sessionStreams || left != sessionStreams {
			t.Errorf("%d streams, the first one that is left is %d", s.count(), left)
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

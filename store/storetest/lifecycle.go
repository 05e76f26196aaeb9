package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runplane/runplane/store"
)

// calls is every method with valid arguments.
var calls = []struct {
	name string
	call func(ctx context.Context, s store.Store) error
}{
	{"get", func(ctx context.Context, s store.Store) error { _, err := s.Get(ctx, key("x", "a")); return err }},
	{"list", func(ctx context.Context, s store.Store) error {
		_, err := s.List(ctx, store.Query{Kind: "x"})
		return err
	}},
	{"commit", func(ctx context.Context, s store.Store) error {
		_, err := s.Commit(ctx, store.Batch{Puts: []store.Put{{Key: key("x", "a"), Version: store.AnyVersion}}})
		return err
	}},
	{"log", func(ctx context.Context, s store.Store) error { _, err := s.Log(ctx, key("x", "a"), 0, 0); return err }},
	{"claim", func(ctx context.Context, s store.Store) error {
		_, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: time.Hour})
		return err
	}},
	{"renew", func(ctx context.Context, s store.Store) error {
		_, err := s.Renew(ctx, []store.Lease{{Key: key("x", "a"), Owner: "o", Token: 1}}, time.Hour)
		return err
	}},
	{"queue", func(ctx context.Context, s store.Store) error { _, err := s.Queue(ctx, "x"); return err }},
	{"places", func(ctx context.Context, s store.Store) error {
		_, err := s.Places(ctx, []store.Key{key("x", "a")})
		return err
	}},
	{"take", func(ctx context.Context, s store.Store) error {
		_, err := s.Take(ctx, store.Limit{Key: "k", Rate: 1})
		return err
	}},
	{"watch", func(ctx context.Context, s store.Store) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		_, err := s.Watch(ctx)
		return err
	}},
}

var lifecycleTests = []test{
	{"a call with an ended context returns its cause", func(f *fixture) {
		why := errors.New("cancelled by the test")
		ctx, cancel := context.WithCancelCause(f.ctx)
		cancel(why)
		for _, c := range calls {
			if err := c.call(ctx, f.s); !errors.Is(err, why) {
				f.Errorf("%s: got %v, want the context's cause", c.name, err)
			}
		}
	}},
	{"a deadline ends a waiting claim", func(f *fixture) {
		ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
		defer cancel()
		_, err := f.s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) {
			f.Fatalf("got %v, want deadline exceeded", err)
		}
	}},
	{"a closed store returns ErrClosed, and may be closed again", func(f *fixture) {
		if err := f.s.Close(); err != nil {
			f.Fatal(err)
		}
		for _, c := range calls {
			if err := c.call(f.ctx, f.s); !errors.Is(err, store.ErrClosed) {
				f.Errorf("%s: got %v, want closed", c.name, err)
			}
		}
		if err := f.s.Close(); err != nil {
			f.Errorf("close again: %v", err)
		}
	}},
	{"close ends waiting claims", func(f *fixture) {
		const n = 5
		errs := make(chan error, n)
		for range n {
			go func() {
				_, err := f.s.Claim(f.ctx, store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: time.Hour})
				errs <- err
			}()
		}
		if err := f.s.Close(); err != nil {
			f.Fatal(err)
		}
		for range n {
			if err := <-errs; !errors.Is(err, store.ErrClosed) {
				f.Errorf("got %v, want closed", err)
			}
		}
	}},
	{"close under load ends every call", func(f *fixture) {
		started := make(chan struct{}, 2)
		var group sync.WaitGroup
		for range 2 {
			for _, c := range calls {
				group.Go(func() {
					ctx, cancel := context.WithTimeout(f.ctx, deadline)
					defer cancel()
					for n := 0; ; n++ {
						err := c.call(ctx, f.s)
						if errors.Is(err, store.ErrClosed) {
							return
						}
						if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
							f.Errorf("%s: %v", c.name, err)
							return
						}
						if n == 3 && c.name == "commit" {
							started <- struct{}{}
						}
					}
				})
			}
		}
		for range 2 {
			<-started
		}
		if err := f.s.Close(); err != nil {
			f.Error(err)
		}
		group.Wait()
	}},
}

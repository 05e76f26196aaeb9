package storetest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// A store that loses requests and answers, but nothing else, passes.
func TestLostRequestsAndAnswersPass(t *testing.T) {
	inner, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	s := &lossy{Store: inner}
	storetest.RunWithFaults(t, s, func(r *rand.Rand) {
		s.lose.Store(int64(1 + r.IntN(2)))
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		s.lose.Store(0)
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
	})
	if s.lost.Load() == 0 {
		t.Error("nothing was lost")
	}
}

type lossy struct {
	store.Store
	lose atomic.Int64 // 1: requests, 2: answers
	lost atomic.Int64
}

func (s *lossy) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	lose := s.lose.Load()
	if lose == 1 {
		s.lost.Add(1)
		return store.Committed{}, errors.New("the request was lost")
	}
	c, err := s.Store.Commit(ctx, b)
	if lose == 2 {
		s.lost.Add(1)
		return store.Committed{}, errors.New("the answer was lost")
	}
	return c, err
}

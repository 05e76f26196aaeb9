package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/runplane/runplane/store"
)

// While the committer is busy, large batches wait unencoded once the encoded ones take maxWaiting bytes; small ones are queued
// nevertheless. A batch that is larger than all the room is written too.
func TestLargeBatchesWaitBeforeTheyAreEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Mem: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stuck := &request{done: make(chan struct{})} // the committer waits until this answer is taken
		if err := s.commits.add(stuck); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		commit := func(ctx context.Context, id string, bytes int, want error) {
			all.Go(func() {
				b := store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "x", ID: id}, Value: make([]byte, bytes)}}}
				if _, err := s.Commit(ctx, b); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", id, err, want)
				}
			})
			synctest.Wait()
		}
		const each = 3 << 20
		for i := range 40 {
			commit(t.Context(), fmt.Sprint("large", i), each, nil)
		}
		gone, cancel := context.WithCancel(t.Context())
		commit(gone, "given up", each, context.Canceled)
		cancel()
		commit(t.Context(), "larger than all", maxWaiting+1, nil)
		for i := range 40 {
			commit(t.Context(), fmt.Sprint("small", i), 1000, nil)
		}
		s.commits.mu.Lock()
		bytes, queued := 0, len(s.commits.queue)
		for _, r := range s.commits.queue {
			bytes += r.size()
		}
		s.commits.mu.Unlock()
		if bytes > maxWaiting+100_000 || bytes < maxWaiting/2 || queued < 40 {
			t.Errorf("%d batches of %d bytes are encoded and wait (limit %d)", queued, bytes, maxWaiting)
		}
		<-stuck.done
		all.Wait()
		for _, id := range []string{"large39", "small39", "larger than all"} {
			if _, err := s.Get(t.Context(), store.Key{Kind: "x", ID: id}); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if !s.commits.room.TryAcquire(maxWaiting) {
			t.Error("not all room was given back")
		}
	})
}

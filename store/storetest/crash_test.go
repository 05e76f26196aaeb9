package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

func TestCrashAtEachCommit(t *testing.T) {
	ctx := context.Background()
	k := store.Key{Kind: "x", ID: "a"}
	for _, mode := range storetest.CrashModes {
		for failAt := 1; failAt <= 4; failAt++ {
			t.Run(fmt.Sprintf("%s/%d", mode, failAt), func(t *testing.T) {
				inner, err := bolt.Open(bolt.Options{Mem: true})
				if err != nil {
					t.Fatal(err)
				}
				c := storetest.Crash(inner, failAt, mode)
				defer c.Close()
				keys, err := c.Watch(ctx)
				if err != nil {
					t.Fatal(err)
				}
				waiting := make(chan error, 1)
				go func() {
					_, err := c.Claim(ctx, store.ClaimRequest{Kind: "y", Owner: "o", TTL: time.Hour, Wait: time.Hour})
					waiting <- err
				}()
				acknowledged := int64(0)
				for n := int64(0); n < 10; n++ {
					got, err := c.Commit(ctx, store.Batch{Puts: []store.Put{{Key: k, Version: n}}})
					if err != nil {
						if !errors.Is(err, storetest.ErrCrashed) {
							t.Fatal(err)
						}
						break
					}
					acknowledged = got.Versions[0]
				}
				if want := int64(failAt - 1); acknowledged != want {
					t.Errorf("%d commits were acknowledged, want %d", acknowledged, want)
				}
				if !c.Crashed() || c.Commits() != failAt {
					t.Errorf("crashed %v after %d commits, want %d", c.Crashed(), c.Commits(), failAt)
				}
				<-c.Dead()
				if err := <-waiting; !errors.Is(err, storetest.ErrCrashed) {
					t.Errorf("the waiting claim got %v", err)
				}
				for range keys { // closes with the crash
				}
				if _, err := c.Get(ctx, k); !errors.Is(err, storetest.ErrCrashed) {
					t.Errorf("get after the crash: %v", err)
				}

				written := acknowledged
				if mode == storetest.CrashAfter {
					written++
				}
				r, err := c.Unwrap().Get(ctx, k)
				if r.Version != written {
					t.Errorf("the store holds version %d, %v, want %d", r.Version, err, written)
				}
				c.Reset(0)
				if _, err := c.Commit(ctx, store.Batch{Puts: []store.Put{{Key: k, Version: written}}}); err != nil {
					t.Errorf("commit by the next process: %v", err)
				}
				if c.Crashed() || c.Commits() != 1 {
					t.Errorf("crashed %v, %d commits by the next process", c.Crashed(), c.Commits())
				}
			})
		}
	}
}

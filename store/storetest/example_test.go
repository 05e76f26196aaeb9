package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// The test of a store passes a function that opens an empty one, and ends it with t.Cleanup.
func ExampleRun() {
	testConformance := func(t *testing.T) { // in the store's package: func TestConformance(t *testing.T)
		storetest.Run(t, func(t *testing.T) store.Store {
			s, err := bolt.Open(bolt.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		})
	}
	_ = testConformance
}

// A test of durability crashes at each commit in turn, and goes on with what the wrapped store holds.
func ExampleCrasher() {
	ctx := context.Background()
	inner, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := storetest.Crash(inner, 2, storetest.CrashAfter)
	defer c.Close()

	key := store.Key{Kind: "counter", ID: "a"}
	for version := range int64(2) {
		_, err := c.Commit(ctx, store.Batch{Puts: []store.Put{{Key: key, Version: version}}})
		fmt.Println("commit:", err)
	}
	_, err = c.Get(ctx, key)
	fmt.Println("get:", errors.Is(err, storetest.ErrCrashed))

	c.Reset(0) // the next process
	r, err := c.Get(ctx, key)
	fmt.Println("version:", r.Version, err)
	// Output:
	// commit: <nil>
	// commit: the process crashed
	// get: true
	// version: 2 <nil>
}

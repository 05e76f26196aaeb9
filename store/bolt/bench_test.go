package bolt_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/storetest"
)

// BenchmarkCommit is the hot path, see storetest.BenchmarkCommits.
func BenchmarkCommit(b *testing.B) {
	for _, place := range []string{"file", "mem"} {
		for _, committers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/committers=%d", place, committers), func(b *testing.B) {
				o := bolt.Options{Mem: true}
				if place == "file" {
					o = bolt.Options{Dir: b.TempDir()}
				}
				s, err := bolt.Open(o)
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				storetest.BenchmarkCommits(b, s, committers)
			})
		}
	}
}

// BenchmarkFloor is the least that a durable commit costs on this machine: the same callers, one bare bbolt Put of 600
// bytes each, one transaction for all that wait.
func BenchmarkFloor(b *testing.B) {
	for _, place := range []string{"file", "mem"} {
		for _, committers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/committers=%d", place, committers), func(b *testing.B) {
				db, err := bbolt.Open(filepath.Join(b.TempDir(), "floor.db"), 0o600, &bbolt.Options{
					NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: place == "mem", NoGrowSync: place == "mem", InitialMmapSize: 1 << 30})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				type put struct {
					key  []byte
					done chan error
				}
				puts := make(chan put, 64)
				value := make([]byte, 600)
				var group sync.WaitGroup
				group.Go(func() {
					for p := range puts {
						batch := []put{p}
						for len(puts) > 0 {
							batch = append(batch, <-puts)
						}
						err := db.Update(func(tx *bbolt.Tx) error {
							bucket, err := tx.CreateBucketIfNotExists([]byte("floor"))
							for i := 0; i < len(batch) && err == nil; i++ {
								err = bucket.Put(batch[i].key, value)
							}
							return err
						})
						for _, p := range batch {
							p.done <- err
						}
					}
				})
				storetest.Concurrently(b, committers, func(w int) func() error {
					key := binary.BigEndian.AppendUint64(nil, uint64(w))
					n, done := uint64(0), make(chan error, 1)
					return func() error {
						n++
						puts <- put{binary.BigEndian.AppendUint64(key[:8:8], n), done}
						return <-done
					}
				})
				close(puts)
				group.Wait()
			})
		}
	}
}

// BenchmarkOpenDue is what a restart takes that finds 10,000 open executions: open, claim all of them, close.
func BenchmarkOpenDue(b *testing.B) {
	dir := b.TempDir()
	openDue(b, dir)
	for b.Loop() {
		claimDue(b, dir)
	}
}

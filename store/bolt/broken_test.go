//go:build linux || darwin

package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// Each row does something to the file of a store while it is in use. Every call must end with a fault soon, none with a panic, and
// nothing may be acknowledged any more.
func TestFileThatIsLostWhileItIsUsed(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(path string) error
		says string
	}{
		{"removed", os.Remove, "removed"},
		{"its folder removed", func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, "removed"},
		{"renamed", func(path string) error { return os.Rename(path, path+".old") }, "removed"},
		{"replaced", func(path string) error {
			if err := os.WriteFile(path+".new", make([]byte, 1<<20), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, "replaced"},
		{"cut to nothing", func(path string) error { return os.Truncate(path, 0) }, "cut off"},
		{"cut to a page", func(path string) error { return os.Truncate(path, 4096) }, "cut off"},
		{"cut to three pages", func(path string) error { return os.Truncate(path, 3*4096) }, ""},
		{"written over with nothing", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "cut off"},
		{"written over with zeros", func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write(make([]byte, info.Size()))
			return err
		}, "overwritten"},
		{"put back from an older copy", func(path string) error {
			b, err := os.ReadFile(path + ".copy")
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write(b)
			return err
		}, "overwritten"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "runplane.db")
			var mu sync.Mutex
			var warnings []string
			s := must(bolt.Open(bolt.Options{Dir: dir, Warn: func(w string) {
				mu.Lock()
				defer mu.Unlock()
				warnings = append(warnings, w)
			}}))
			if err := os.WriteFile(path+".copy", must(os.ReadFile(path)), 0o600); err != nil {
				t.Fatal(err)
			}
			keys := fill(t, s, 12)
			// Callers are in flight all the time.
			var callers sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				callers.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						_, err := s.Get(ctx(), keys[n%len(keys)])
						_, err2 := s.Log(ctx(), keys[n%len(keys)], 0, 0)
						for _, err := range []error{err, err2} {
							if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.As(err, new(*bolt.Fault)) {
								t.Errorf("%v, want a fault", err)
								return
							}
						}
					}
				})
			}
			if err := tt.do(path); err != nil {
				t.Fatal(err)
			}
			put := func() error {
				_, err := s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: keys[0], Value: []byte("new"), Version: store.AnyVersion}}})
				return err
			}
			var f *bolt.Fault
			if err := put(); !errors.As(err, &f) {
				t.Fatalf("commit: %v, want a fault", err)
			}
			close(stop)
			callers.Wait()
			if !strings.Contains(f.Error(), path) || !strings.Contains(f.Error(), tt.says) || f.Hint() == "" || !f.Lasting() {
				t.Errorf("the fault is %q, hint %q", f, f.Hint())
			}
			_, get := s.Get(ctx(), keys[0])
			_, list := s.List(ctx(), store.Query{Kind: "state"})
			_, claim := s.Claim(ctx(), store.ClaimRequest{Kind: "state", Owner: "o", TTL: time.Hour})
			_, queue := s.Queue(ctx(), "state")
			_, take := s.Take(ctx(), store.Limit{Key: "k", Rate: 1})
			_, renew := s.Renew(ctx(), nil, time.Hour)
			_, watch := s.Watch(ctx())
			_, places := s.Places(ctx(), keys[:1])
			for what, err := range map[string]error{"get": get, "list": list, "claim": claim, "queue": queue, "take": take, "renew": renew,
				"watch": watch, "places": places, "commit": put()} {
				if !errors.As(err, new(*bolt.Fault)) {
					t.Errorf("%s: %v, want a fault", what, err)
				}
			}
			mu.Lock()
			ends := 0
			for _, w := range warnings { // a call in flight may have met damage before
				if strings.Contains(w, f.Message()) && strings.Contains(w, "answers no more") {
					ends++
				}
			}
			if ends != 1 {
				t.Errorf("warnings %q, want one of the fault", warnings)
			}
			mu.Unlock()
			s.Close()
		})
	}
}

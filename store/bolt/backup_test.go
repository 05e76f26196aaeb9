package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// Backups that are made while callers write: each is a sound store that one commit left, and nothing is left beside the store.
func TestBackupBesideWriters(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	defer s.Close()
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := 0; writing.Err() == nil; n++ {
				text := []byte(strconv.Itoa(n) + strings.Repeat("x", n%3000))
				a, b := store.Key{Kind: "k", ID: fmt.Sprintf("p%d/a", w)}, store.Key{Kind: "k", ID: fmt.Sprintf("p%d/b", w)}
				_, err := s.Commit(ctx(), store.Batch{
					Puts:    []store.Put{{Key: a, Value: text, Version: store.AnyVersion}, {Key: b, Value: text, Version: store.AnyVersion}},
					Appends: []store.Append{{Key: a, Value: text}}, Wakes: []store.Wake{{Key: b, At: time.Now().Add(time.Hour)}},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 2 {
		to := filepath.Join(out, strconv.Itoa(i))
		report, err := bolt.Backup(t.Context(), dir, to)
		if err != nil || report.Kinds["k"].Records < 2 {
			t.Fatalf("%+v, %v", report, err)
		}
		restored := t.TempDir()
		if _, err := bolt.Restore(to, restored); err != nil {
			t.Fatal(err)
		}
		r := must(bolt.Open(bolt.Options{Dir: restored}))
		for w := range 4 {
			a := must(r.Get(ctx(), store.Key{Kind: "k", ID: fmt.Sprintf("p%d/a", w)}))
			b := must(r.Get(ctx(), store.Key{Kind: "k", ID: fmt.Sprintf("p%d/b", w)}))
			log := must(r.Log(ctx(), a.Key, a.Version-1, 0))
			if a.Version != b.Version || !bytes.Equal(a.Value, b.Value) || len(log) != 1 || !bytes.Equal(log[0].Value, a.Value) {
				t.Errorf("backup %d: versions %d and %d, %d entries after them", i, a.Version, b.Version, len(log))
			}
		}
		r.Close()
	}
	stop()
	writers.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, "runplane.backup*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// A store that no process serves is copied under its lock; nothing is overwritten, and what is damaged is neither kept nor taken.
func TestBackupAndRestoreRefuse(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	key := store.Key{Kind: "k", ID: "p/a"}
	must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: key, Value: []byte("left-right")}}}))
	s.Close()
	backup := filepath.Join(out, "b")
	if report, err := bolt.Backup(t.Context(), dir, backup); err != nil || report.Kinds["k"].Records != 1 || report.Path != backup {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := bolt.Backup(t.Context(), dir, backup); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("over another one: %v", err)
	}
	if _, err := bolt.Restore(backup, dir); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("over a store: %v", err)
	}
	whole := must(os.ReadFile(backup))
	if want := must(os.ReadFile(filepath.Join(dir, "runplane.db"))); !bytes.Equal(whole, want) {
		t.Error("the copy differs from the file, which no process serves")
	}
	for name, data := range map[string][]byte{
		"a value":        bytes.ReplaceAll(whole, []byte("left-right"), []byte("left-riGht")),
		"cut off":        whole[:3*os.Getpagesize()],
		"empty":          {},
		"not one":        []byte("hello"),
		"two formats on": bytes.ReplaceAll(whole, []byte("format2"), []byte("format4")),
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(data, whole) {
				t.Fatal("nothing was changed")
			}
			from, to := filepath.Join(t.TempDir(), "damaged"), t.TempDir()
			if err := os.WriteFile(from, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := bolt.Restore(from, to)
			if err == nil || strings.Contains(err.Error(), ".part-") {
				t.Errorf("got %v", err)
			}
			if left := must(os.ReadDir(to)); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A request that is not one is removed and does nothing; beside another request a backup is refused.
func TestRequestsForBackups(t *testing.T) {
	dir := t.TempDir()
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	defer s.Close()
	ask := filepath.Join(dir, "runplane.backup")
	for _, text := range []string{"../x", "/etc/passwd", strings.Repeat("A", 1<<16)} {
		if err := os.WriteFile(ask, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Lstat(ask); errors.Is(err, os.ErrNotExist) {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it is still there")
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "runplane.backup*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := os.WriteFile(ask, []byte(""), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Backup(t.Context(), dir, filepath.Join(t.TempDir(), "b")); !errors.Is(err, store.ErrInUse) {
		t.Errorf("beside another request: %v", err)
	}
}

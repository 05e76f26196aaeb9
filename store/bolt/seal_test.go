package bolt_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// unsealedStore is the folder of a store of format 1, which had no checksums: five executions, each with a record beside it.
func unsealedStore(t *testing.T) (dir string) {
	t.Helper()
	z := must(gzip.NewReader(bytes.NewReader(must(os.ReadFile("testdata/format1.db.gz")))))
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "runplane.db"), must(io.ReadAll(z)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change replaces every occurrence of old in the file of a store, and fails if there is none.
func change(t *testing.T, dir, old, fresh string) {
	t.Helper()
	path := filepath.Join(dir, "runplane.db")
	b := must(os.ReadFile(path))
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("the file does not contain %q", old)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(old), []byte(fresh)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStoreWithoutChecksumsIsServed(t *testing.T) {
	dir := unsealedStore(t)
	for round := range 2 {
		s := must(bolt.Open(bolt.Options{Dir: dir}))
		rs, err := s.List(ctx(), store.Query{Kind: "execution", Term: "status=open"})
		if err != nil || len(rs) != 5 {
			t.Fatalf("round %d: %d records, %v, want 5", round, len(rs), err)
		}
		for i, r := range rs {
			if want := fmt.Sprint("value ", i); i < 4 && string(r.Value) != want || r.Version != 1 {
				t.Errorf("round %d: got %q version %d, want %q", round, r.Value, r.Version, want)
			}
			log, err := s.Log(ctx(), r.Key, 0, 0)
			if err != nil || len(log) != 3 || string(log[2].Value) != "three" {
				t.Errorf("round %d: log %v, %v, want three entries", round, log, err)
			}
			if p, err := s.Places(ctx(), []store.Key{r.Key}); err != nil || p[0].Wake == nil || p[0].Wake.Priority != 2 || p[0].Wake.Fairness != "f" {
				t.Errorf("round %d: places %+v, %v", round, p, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// An older program does not open it any more.
	db := must(bbolt.Open(filepath.Join(dir, "runplane.db"), 0o600, nil))
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		if got := string(tx.Bucket([]byte("about")).Get([]byte("format"))); got != "2" {
			t.Errorf("format %q, want 2", got)
		}
		return nil
	})
}

// What an old store has is sealed when it is written again; everything that is done with it works before and after.
func TestEntriesAreSealedWhenTheyAreWrittenAgain(t *testing.T) {
	dir := unsealedStore(t)
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	for i := range 4 {
		k := store.Key{Kind: "execution", ID: fmt.Sprint("e", i)}
		b := store.Batch{
			Puts:    []store.Put{{Key: k, Value: fmt.Appendf(nil, "again %d", i), Version: 1, Terms: []string{"status=ended"}}},
			Appends: []store.Append{{Key: k, Value: []byte("four")}},
			Wakes:   []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}},
		}
		if i == 3 {
			b = store.Batch{Deletes: []store.Key{k}}
		}
		if _, err := s.Commit(ctx(), b); err != nil {
			t.Fatal(err)
		}
	}
	if ls, err := s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "o", Max: 9, TTL: time.Hour}); err != nil || len(ls) != 3 {
		t.Errorf("claimed %d, %v, want 3", len(ls), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, dir, "again 1", "agaim 1")
	s = must(bolt.Open(bolt.Options{Dir: dir}))
	defer s.Close()
	get := func(id string) error {
		_, err := s.Get(ctx(), store.Key{Kind: "execution", ID: id})
		return err
	}
	if err := get("e1"); !errors.As(err, new(*bolt.Fault)) {
		t.Errorf("the record that was changed: %v, want a fault", err)
	}
	if err := errors.Join(get("e0"), get("e2"), get("e4")); err != nil {
		t.Error(err)
	}
	if err := get("e3"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the record that was deleted: %v", err)
	}
}

// Each row changes one thing that a store has written; what is read of it is a fault, and nothing else is.
func TestChangedBytesAreFaults(t *testing.T) {
	k := store.Key{Kind: "execution", ID: "an-id"}
	for _, tt := range []struct {
		name, old, fresh string
		faults           []string
	}{
		{"a value", "the value", "the velue", []string{"get", "list", "term"}},
		{"a term in the record and in the index", "status=open", "status=opem", []string{"open"}},
		{"an entry of a log", "an entry", "an envry", []string{"log"}},
		{"a fairness key in the wake and in the queue", "by-whom", "by-whem", []string{"open"}},
		{"all keys", "an-id", "an-jd", []string{"open"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := must(bolt.Open(bolt.Options{Dir: dir}))
			must(s.Commit(ctx(), store.Batch{
				Puts:    []store.Put{{Key: k, Value: append(bytes.Repeat([]byte("x"), 600), "the value"...), Terms: []string{"status=open"}}},
				Appends: []store.Append{{Key: k, Value: append(bytes.Repeat([]byte("x"), 600), "an entry"...)}},
				Wakes:   []store.Wake{{Key: k, At: time.Now().Add(time.Hour), Fairness: "by-whom"}},
			}))
			s.Close()
			change(t, dir, tt.old, tt.fresh)
			var got []string
			note := func(what string, err error) {
				if errors.As(err, new(*bolt.Fault)) {
					got = append(got, what)
				} else if err != nil {
					t.Errorf("%s: %v, want no error or a fault", what, err)
				}
			}
			s, err := bolt.Open(bolt.Options{Dir: dir})
			note("open", err)
			if err == nil {
				defer s.Close()
				_, err = s.Get(ctx(), k)
				note("get", err)
				_, err = s.List(ctx(), store.Query{Kind: k.Kind})
				note("list", err)
				_, err = s.List(ctx(), store.Query{Kind: k.Kind, Term: "status=open"})
				note("term", err)
				_, err = s.List(ctx(), store.Query{Kind: k.Kind, Bare: true})
				note("bare", err)
				_, err = s.Log(ctx(), k, 0, 0)
				note("log", err)
				_, err = s.Places(ctx(), []store.Key{k})
				note("places", err)
			}
			if !slices.Equal(got, tt.faults) {
				t.Errorf("faults of %v, want %v", got, tt.faults)
			}
		})
	}
}

package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// Each row changes a key of a store in Redis. What is read of it is a fault that names the key and the cure, or as it was written; other
// records, claims and commits work.
func TestDamagedValues(t *testing.T) {
	server := redistest.Standalone(t)
	const id = "an-id"
	for n, tt := range []struct {
		name    string
		do      func(base string) []string // a command
		faults  string                     // of what is read
		foreign bool                       // the faults are of that kind
	}{
		{"nothing", func(string) []string { return []string{"PING"} }, "", false},
		{"another value", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "d", "the velue"} }, "get list term", false},
		{"a value cut off", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "d", "the val"} }, "get list term", false},
		{"no value", func(b string) []string { return []string{"HDEL", b + ":r:x:an-id", "d"} }, "get list term", false},
		{"an empty value", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "d", ""} }, "get list term", false},
		{"the value of another", func(b string) []string {
			return []string{"COPY", b + ":r:x:other", b + ":r:x:an-id", "REPLACE"}
		}, "get list term", false},
		{"no version", func(b string) []string { return []string{"HDEL", b + ":r:x:an-id", "v"} }, "get list term bare", false},
		{"a text as version", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "v", "one"} }, "get list term bare put", false},
		{"a negative version", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "v", "-1"} }, "get list term bare put", false},
		{"other terms", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "t", "\x00\x01a"} }, "get list term", false},
		{"terms cut off", func(b string) []string {
			return []string{"HSET", b + ":r:x:an-id", "t", "\x00\x0bstatus"}
		}, "get list term bare", false},
		{"terms cut in a length", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "t", "\x00"} }, "get list term bare", false},
		{"no terms", func(b string) []string { return []string{"HDEL", b + ":r:x:an-id", "t"} }, "get list term bare", false},
		{"a text as expiry", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "x", "soon"} }, "get list term bare put", false},
		{"a text as checksum", func(b string) []string { return []string{"HSET", b + ":r:x:an-id", "c", "none"} }, "get list term", false},
		{"no checksum, as of an earlier version", func(b string) []string { return []string{"HDEL", b + ":r:x:an-id", "c"} }, "", false},
		{"the checksum of another version", func(b string) []string {
			return []string{"HSET", b + ":r:x:an-id", "v", "2", "d", "of an earlier replica"}
		}, "", false},
		{"the record as a text", func(b string) []string { return []string{"SET", b + ":r:x:an-id", "text"} }, "get list term bare put", true},
		{"the log as a text", func(b string) []string { return []string{"SET", b + ":l:x:an-id", "text"} }, "log", true},
		{"a wake without a time", func(b string) []string { return []string{"HSET", b + ":w:x", id, "3"} }, "places", false},
		{"a wake of another priority", func(b string) []string { return []string{"HSET", b + ":w:x", id, "9123:f"} }, "places", false},
		{"an empty wake", func(b string) []string { return []string{"HSET", b + ":w:x", id, "x"} }, "places", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(t.Context(), Options{URL: server.URL(), Prefix: fmt.Sprint("d", n)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			k, other := store.Key{Kind: "x", ID: id}, store.Key{Kind: "x", ID: "other"}
			commit := func(b store.Batch) error { _, err := s.Commit(t.Context(), b); return err }
			for _, k := range []store.Key{k, other} {
				if err := commit(store.Batch{
					Puts:    []store.Put{{Key: k, Value: []byte("the value"), Terms: []string{"status=open"}}},
					Appends: []store.Append{{Key: k, Value: []byte("an entry")}},
					Wakes:   []store.Wake{{Key: k, At: time.Now().Add(time.Hour)}},
				}); err != nil {
					t.Fatal(err)
				}
			}
			sh := s.shardOf(id)
			if e, bad := server.Do(tt.do(sh.base)...).(redistest.Error); bad {
				t.Fatal(e)
			}
			var got []string
			note := func(what string, err error) {
				t.Helper()
				var f *Fault
				switch {
				case err == nil:
				case !errors.As(err, &f):
					t.Errorf("%s: %v, want no error or a fault", what, err)
				case tt.foreign != (f.Kind == Foreign) || !tt.foreign && (f.Kind != Damaged || !f.Lasting() || !strings.Contains(f.Error(), sh.base)):
					t.Errorf("%s: %s %v", what, f.Kind, f)
				case f.Hint() == "" || strings.Contains(f.Message(), "user_script"):
					t.Errorf("%s: %v, hint %q", what, f, f.Hint())
				default:
					got = append(got, what)
				}
			}
			_, err = s.Get(t.Context(), k)
			note("get", err)
			_, err = s.List(t.Context(), store.Query{Kind: "x"})
			note("list", err)
			_, err = s.List(t.Context(), store.Query{Kind: "x", Term: "status=open"})
			note("term", err)
			_, err = s.List(t.Context(), store.Query{Kind: "x", Bare: true})
			note("bare", err)
			_, err = s.Log(t.Context(), k, 0, 0)
			note("log", err)
			_, err = s.Places(t.Context(), []store.Key{k})
			note("places", err)
			note("put", commit(store.Batch{Puts: []store.Put{{Key: k, Value: []byte("new"), Version: store.AnyVersion, Terms: []string{"status=ended"}}}}))
			if want := strings.Fields(tt.faults); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("faults of %v, want %v", got, want)
			}
			if !strings.Contains(tt.faults, "put") { // the record is whole again
				if r, err := s.Get(t.Context(), k); err != nil || string(r.Value) != "new" {
					t.Errorf("after a put: %q, %v", r.Value, err)
				}
			}
			// All others work, and the key can be woken and deleted.
			if r, err := s.Get(t.Context(), other); err != nil || string(r.Value) != "the value" {
				t.Errorf("the other record: %q, %v", r.Value, err)
			}
			for _, k := range []store.Key{k, other} {
				if err := commit(store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now().Add(-time.Second)}}}); err != nil {
					t.Error(err)
				}
			}
			if q, err := s.Queue(t.Context(), "x"); err != nil || q.Sleeping+q.Leased > 1 {
				t.Errorf("queue %+v, %v", q, err)
			}
			ls, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", Max: 5, TTL: time.Hour})
			if err != nil || len(ls) != 2 {
				t.Errorf("claimed %v, %v, want both", ls, err)
			}
			if tt.foreign {
				return
			}
			if err := commit(store.Batch{Deletes: []store.Key{k}}); err != nil {
				t.Error(err)
			}
			if _, err := s.Get(t.Context(), k); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after a delete: %v", err)
			}
		})
	}
}

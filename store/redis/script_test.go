package redis

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// all is every script, by the name of its file.
var all = map[string][]*script{
	"commit.lua": {commitScript, freeScript}, "claim.lua": {claimScript}, "peek.lua": {peekScript}, "renew.lua": {renewScript},
	"get.lua": {getScript}, "list.lua": {listScript}, "queue.lua": {queueScript}, "places.lua": {placesScript},
	"sweep.lua": {sweepScript}, "about.lua": {aboutScript}, "rights.lua": {rightsScript},
}

func TestEveryScriptHasAHeader(t *testing.T) {
	files, err := filepath.Glob("scripts/*.lua")
	if err != nil || len(files) != len(all)+1 {
		t.Fatalf("%d files, %v; want those of %d scripts and wakes.lua", len(files), err, len(all))
	}
	for _, f := range files {
		name := filepath.Base(f)
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if name == "wakes.lua" {
			continue
		}
		head, _, _ := strings.Cut(string(text), "\nlocal")
		purpose := strings.HasPrefix(head, "-- "+strings.TrimSuffix(name, ".lua")+" ")
		if !purpose || !strings.Contains(head, "-- KEYS  ") || !strings.Contains(head, "-- returns ") {
			t.Errorf("%s has no header with its purpose, KEYS and returns", name)
		}
		for _, sc := range all[name] {
			if !strings.HasSuffix(sc.text, string(text)) {
				t.Errorf("the script sent as %s is not the text of the file", name)
			}
		}
		if len(all[name]) == 0 {
			t.Errorf("%s is not used", name)
		}
	}
}

// Redis forgets scripts when it restarts, and with SCRIPT FLUSH.
func TestForgottenScriptsAreLoadedAgain(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	for name, scripts := range all {
		for _, sc := range scripts {
			if got := server.Do("SCRIPT", "LOAD", sc.text); got != sc.sha {
				t.Errorf("%s: its hash is %v in Redis and %s here", name, got, sc.sha)
			}
		}
	}
	k := store.Key{Kind: "x", ID: "a"}
	for round := range int64(3) {
		for _, call := range []func() error{
			func() error {
				_, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: k, Version: round}}, Wakes: []store.Wake{{Key: k, At: time.Now()}}})
				return err
			},
			func() error { _, err := s.Get(t.Context(), k); return err },
			func() error { _, err := s.List(t.Context(), store.Query{Kind: "x"}); return err },
			func() error {
				ls, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
				if err == nil {
					_, err = s.Commit(t.Context(), store.Batch{Release: &ls[0]})
				}
				return err
			},
			func() error {
				_, err := s.Renew(t.Context(), []store.Lease{{Key: k, Token: 1}}, time.Hour)
				return err
			},
			func() error { _, err := s.Queue(t.Context(), "x"); return err },
			func() error { _, err := s.Places(t.Context(), []store.Key{k}); return err },
			func() error { _, err := s.Take(t.Context(), store.Limit{Key: "k", Rate: 100}); return err },
		} {
			server.Do("SCRIPT", "FLUSH")
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func openURL(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

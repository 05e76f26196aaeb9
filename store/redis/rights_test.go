package redis

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// A command may be missing in the server, not only in the ACL.
func TestTakenAway(t *testing.T) {
	for text, want := range map[string]bool{
		"ERR unknown command 'INFO', with args beginning with: ": true, "NOPERM this user has no permissions to run the 'info' command": true,
		"LOADING Redis is loading the dataset in memory": false, "ERR unknown subcommand": false,
	} {
		if got := isTakenAway(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// What the store sends is among what is tried at the start.
func TestRightsAreThoseOfAllScripts(t *testing.T) {
	files, err := filepath.Glob("scripts/*.lua")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	tried := regexp.MustCompile(`try\('([A-Z]+)'`).FindAllStringSubmatch(rightsText, -1)
	sent := 0
	for _, file := range append(files, "read.go", "claim.go", "commit.go", "renew.go", "list.go", "queue.go", "take.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:call\(['"]|plain\(")([A-Za-z]+)`).FindAllStringSubmatch(string(text), -1) {
			sent++
			if !slices.ContainsFunc(tried, func(one []string) bool { return one[1] == strings.ToUpper(m[1]) }) {
				t.Errorf("%s sends %s, which rights.lua does not try", file, m[1])
			}
		}
	}
	if sent < 50 {
		t.Errorf("%d commands were found", sent)
	}
}

// A user with the rights that the hint names runs the store; one without INFO or CONFIG too, and is warned; one that lacks what is needed
// is refused at the start with one error that tells of the ACL.
func TestUsersWithFewRights(t *testing.T) {
	server := redistest.Standalone(t)
	rights := strings.Fields(strings.ReplaceAll(rightsOf("rp"), "'", ""))
	without := func(lacking ...string) []string {
		return slices.DeleteFunc(slices.Clone(rights), func(r string) bool { return slices.Contains(lacking, r) })
	}
	for name, tt := range map[string]struct {
		rights []string
		lacks  string // in the error; empty: it runs
		warned string
	}{
		"as the hint says":      {rights, "", ""},
		"all but the dangerous": {[]string{"~*", "&*", "+@all", "-@dangerous"}, "", "INFO and CONFIG GET"},
		"no info":               {without("+info"), "", ""},
		"no config":             {without("+config|get"), "", ""},
		"neither":               {without("+info", "+config|get"), "", "INFO and CONFIG GET"},
		"no time":               {without("+time"), "TIME", ""},
		"no select":             {without("+@connection"), "select", ""},
		"no scripts":            {without("+@scripting"), "what the store needs", ""},
		"no channels":           {without("+@pubsub"), "PUBSUB, SPUBLISH, SSUBSCRIBE", ""},
		"other channels":        {append(without("&{rp*"), "&other*"), "SPUBLISH, SSUBSCRIBE", ""},
		"other keys":            {append(without("~{rp*"), "~other*"), "what the store needs", ""},
		"only reads":            {without("+@write"), "HSET", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do(append([]string{"ACL", "SETUSER", "few", "reset", "on", ">pw"}, tt.rights...)...)
			var warned []string
			s, err := Open(t.Context(), Options{
				URL: "redis://few:pw@" + server.Addr + "/1", Warn: func(text string) { warned = append(warned, text) },
			})
			if tt.lacks != "" {
				f, ok := errors.AsType[*Fault](err)
				if !ok || f.Kind != Denied || !strings.Contains(f.Error(), "ACL") || !strings.Contains(f.Error(), tt.lacks) ||
					!strings.Contains(f.Hint(), "ACL SETUSER") || !strings.Contains(f.Hint(), "+time") {
					t.Errorf("got %v, want that it lacks %s", err, tt.lacks)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !strings.Contains(strings.Join(warned, "\n"), tt.warned) {
				t.Errorf("warned %q", warned)
			}
			k := store.Key{Kind: "k", ID: "p/a"}
			if _, err := s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: k, Value: []byte("v"), Version: store.AnyVersion}}}); err != nil {
				t.Error(err)
			}
			if _, err := s.Get(t.Context(), k); err != nil {
				t.Error(err)
			}
			if left, err := s.single.Keys(t.Context(), "*rights*").Result(); err == nil && len(left) > 0 {
				t.Errorf("the trial left %q", left)
			}
		})
	}
}

// What is refused in a script later, when the ACL has changed, has an error that says so.
func TestRightsThatAreTakenAway(t *testing.T) {
	server := redistest.Standalone(t)
	s, err := Open(t.Context(), Options{URL: "redis://" + server.Addr + "/1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server.Do("ACL", "SETUSER", "default", "-hset")
	_, err = s.Commit(t.Context(), store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "k", ID: "p/a"}, Value: []byte("v")}}})
	if f, ok := errors.AsType[*Fault](err); !ok || f.Kind != Denied || !strings.Contains(f.Error(), "ACL") {
		t.Errorf("got %v", err)
	}
}

// README has the line of the hint.
func TestRightsInReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil || !strings.Contains(string(text), "redis-cli ACL SETUSER runplane on '>PASSWORD' "+rightsOf("rp")+"\n") {
		t.Errorf("README has not: %s, %v", rightsOf("rp"), err)
	}
}

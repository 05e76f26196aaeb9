package runtime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// discovered pages through the capabilities, each page asked of the next replica.
func discovered(t *testing.T, replicas ...*process) (names []string) {
	t.Helper()
	q := schemas.DiscoverQuery{Query: "x"}
	for i := 0; ; i++ {
		d, err := replicas[i%len(replicas)].Capabilities.Discover(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.Capabilities {
			names = append(names, c.CapabilityName)
		}
		if q.Cursor = d.NextCursor; q.Cursor == "" {
			return names
		}
	}
}

func TestCursorsOfDiscoveryAreSealed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world, s store.Store) {
		p, other := live(w, s), live(w, s)
		if got := discovered(t, p, other); fmt.Sprint(got) != "[idempotent once read]" {
			t.Errorf("the pages have %v", got)
		}
		page, err := p.Capabilities.Discover(t.Context(), schemas.DiscoverQuery{Query: "x"})
		if err != nil {
			t.Fatal(err)
		}
		c := page.NextCursor
		middle := len(c) / 2
		swapped := map[byte]string{'A': "B"}[c[middle]]
		if swapped == "" {
			swapped = "A"
		}
		for name, q := range map[string]schemas.DiscoverQuery{
			"what the realms make of it": {Query: "x", Cursor: "once"},
			"another query":              {Query: "y", Cursor: c},
			"another realm":              {Query: "x", Realm: "r", Cursor: c},
			"changed":                    {Query: "x", Cursor: c[:middle] + swapped + c[middle+1:]},
			"cut":                        {Query: "x", Cursor: c[:len(c)-4]},
		} {
			_, err := p.Capabilities.Discover(t.Context(), q)
			if e := schemas.AsError(err); codeOf(err) != schemas.CodeInvalidArgument || e.Field != "cursor" || !strings.Contains(e.Message, "discover_capabilities") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Capabilities.Discover(as(t, "other"), schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("another principal: %v", err)
		}
		away := live(w, &recordstest.Outage{Store: s, From: time.Now(), To: time.Now().Add(time.Minute)})
		if _, err := away.Capabilities.Discover(t.Context(), schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeUnavailable {
			t.Errorf("a replica that cannot know whose it is: %v", err)
		}
		w.end()
		time.Sleep(records.CursorTTL + time.Second) // a day of running processes is long, also in virtual time
		p = live(w, s)
		if _, err := p.Capabilities.Discover(t.Context(), schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("a day later: %v", err)
		}
	})
}

// What is known can be discovered, page by page, while the store is away, whether or not the key of its cursors was read before.
func TestDiscoveryGoesOnWithoutTheStore(t *testing.T) {
	for _, hang := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprintf("hang %v, key known %v", hang, before), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world, s store.Store) {
					began := time.Now()
					p := live(w, &recordstest.Outage{Store: s, Hang: hang, From: began.Add(time.Minute), To: began.Add(2 * time.Minute)})
					defer p.stop()
					if before {
						discovered(t, p)
					}
					time.Sleep(time.Minute)
					asked := time.Now()
					if got := discovered(t, p); fmt.Sprint(got) != "[idempotent once read]" {
						t.Errorf("the pages have %v", got)
					}
					if took := time.Since(asked); took > 10*time.Second {
						t.Errorf("three pages took %s", took)
					}
					time.Sleep(time.Minute)
					if got := discovered(t, p); fmt.Sprint(got) != "[idempotent once read]" {
						t.Errorf("later the pages have %v", got)
					}
				})
			})
		}
	}
}

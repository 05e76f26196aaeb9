package capability_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// onePerPage are realms that list one capability on each page; their cursor is the name of the last one.
type onePerPage struct{ capability.Realms }

var names = []string{"idempotent", "once", "read"}

func (onePerPage) Discover(_ context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	at := slices.Index(names, q.Cursor) + 1
	d := schemas.Discovery{Capabilities: []schemas.Capability{{Realm: "r", CapabilityName: names[at]}}}
	if at+1 < len(names) {
		d.NextCursor = names[at]
	}
	return d, nil
}

func replica(s store.Store) *capability.Capabilities {
	r, log := recordstest.Replica(s), hclog.NewNullLogger()
	return capability.New(capability.Config{
		Store: r, Log: log, Sessions: session.New(session.Config{Store: r, Log: log}), Realms: onePerPage{}, NewID: records.NewID, Random: rand.Float64,
	})
}

// discovered pages through the capabilities, each page asked of the next replica.
func discovered(t *testing.T, replicas ...*capability.Capabilities) (names []string) {
	t.Helper()
	q := schemas.DiscoverQuery{Query: "x"}
	for i := 0; ; i++ {
		d, err := replicas[i%len(replicas)].Discover(t.Context(), q)
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

func codeOf(err error) schemas.Code {
	if e := schemas.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

func TestCursorsOfDiscoveryAreSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		p, other := replica(s), replica(s)
		if got := discovered(t, p, other); !slices.Equal(got, names) {
			t.Errorf("the pages have %v", got)
		}
		page, err := p.Discover(t.Context(), schemas.DiscoverQuery{Query: "x"})
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
			"the cursor of the realms": {Query: "x", Cursor: "once"},
			"another query":            {Query: "y", Cursor: c},
			"another realm":            {Query: "x", Realm: "r", Cursor: c},
			"changed":                  {Query: "x", Cursor: c[:middle] + swapped + c[middle+1:]},
			"cut":                      {Query: "x", Cursor: c[:len(c)-4]},
		} {
			_, err := p.Discover(t.Context(), q)
			if e := schemas.AsError(err); codeOf(err) != schemas.CodeInvalidArgument || e.Field != "cursor" || !strings.Contains(e.Message, "discover_capabilities") {
				t.Errorf("%s: %v", name, err)
			}
		}
		bob := caller.With(t.Context(), caller.Caller{Principal: "bob"})
		if _, err := p.Discover(bob, schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("another principal: %v", err)
		}
		away := replica(recordstest.Outage(s, false, time.Now(), time.Now().Add(time.Minute)))
		if _, err := away.Discover(t.Context(), schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeUnavailable {
			t.Errorf("a replica that cannot check the cursor: %v", err)
		}
		time.Sleep(records.CursorTTL + time.Second)
		if _, err := p.Discover(t.Context(), schemas.DiscoverQuery{Query: "x", Cursor: c}); codeOf(err) != schemas.CodeInvalidArgument {
			t.Errorf("a day later: %v", err)
		}
	})
}

// What is known can be discovered, page by page, while the store cannot be reached, whether or not the key of its cursors was read before.
func TestDiscoveryGoesOnWithoutTheStore(t *testing.T) {
	for _, hang := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprintf("hang %v, key known %v", hang, before), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					p := replica(recordstest.Outage(recordstest.Memory(t), hang, began.Add(time.Minute), began.Add(2*time.Minute)))
					if before {
						discovered(t, p)
					}
					time.Sleep(time.Minute)
					asked := time.Now()
					if got := discovered(t, p); !slices.Equal(got, names) {
						t.Errorf("the pages have %v", got)
					}
					if took := time.Since(asked); took > 10*time.Second {
						t.Errorf("three pages took %s", took)
					}
					time.Sleep(time.Minute)
					if got := discovered(t, p); !slices.Equal(got, names) {
						t.Errorf("later the pages have %v", got)
					}
				})
			})
		}
	}
}

package realm

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// listing is all tools of a realm as they were at one time. What is told of it never changes.
type listing struct {
	at    time.Time
	raw   []json.RawMessage // as the realm gave them; what the cache keeps
	names []string          // sorted
	tools map[string]*tool

	once sync.Once // guards docs
	docs map[string]document
}

// newListing parses the definitions. One that is unusable is left out and logged; of two with one name the first counts.
func newListing(at time.Time, raw []json.RawMessage, limits Limits, policy func(name string) schemas.Policy, log hclog.Logger) *listing {
	l := &listing{at: at, tools: make(map[string]*tool, len(raw))}
	for _, definition := range raw {
		t, err := parseTool(definition, limits, policy)
		if err != nil {
			log.Warn("left a tool out of the catalog", "definition", printable(definition, 80), "error", err)
			continue
		}
		if _, twice := l.tools[t.name]; twice {
			log.Warn("left a tool out of the catalog: its name is there already", "capability", t.name)
			continue
		}
		l.tools[t.name] = t
		l.names = append(l.names, t.name)
		l.raw = append(l.raw, definition)
	}
	slices.Sort(l.names)
	return l
}

// saved is the form in which a CatalogCache keeps a listing. Spec ties it to where it was read from.
type saved struct {
	Spec     string            `json:"spec"`
	At       time.Time         `json:"at"`
	Server   string            `json:"server,omitempty"`
	Protocol string            `json:"protocol,omitempty"`
	Tools    []json.RawMessage `json:"tools"`
}

// specDigest changes when a realm's entry points somewhere else. Secrets (env, headers) are no part of it.
func specDigest(spec schemas.Realm) string {
	where, _, _ := strings.Cut(spec.URL, "?")
	return hashOf(spec.Command, strings.Join(spec.Args, "\x00"), spec.Cwd, where)
}

package realm

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// listing is all tools of a realm at one time. But for seen it is immutable.
type listing struct {
	at    time.Time
	seen  atomic.Int64      // Unix nanoseconds: when the realm last listed the same; 0: at
	sent  []json.RawMessage // as the realm sent them
	raw   []json.RawMessage // the valid ones, for the cache
	names []string          // sorted
	tools map[string]*tool

	about string // name and title of the server

	once  sync.Once // guards index
	index *index
}

// newListing parses the definitions. An invalid one is omitted and logged, and so is a second one with the same name.
func newListing(at time.Time, raw []json.RawMessage, limits Limits, policy func(name string) schemas.Policy, log hclog.Logger) *listing {
	l := &listing{at: at, sent: raw, tools: make(map[string]*tool, len(raw))}
	for _, definition := range raw {
		definition, notes, flaw := schemas.Mend(definition, limits.MaxDepth)
		if flaw != nil {
			log.Warn("tool omitted from the catalog: most clients could not read its definition", "flaw", unreadable{flaw}.Error())
			continue
		}
		t, err := parseTool(definition, limits, policy)
		if err != nil {
			log.Warn("tool omitted from the catalog", "definition", printable(definition, 80), "error", err)
			continue
		}
		if _, duplicate := l.tools[t.name]; duplicate {
			log.Warn("tool omitted from the catalog: duplicate name", "capability", t.name)
			continue
		}
		t.warnings = append(t.warnings, notes...)
		l.tools[t.name] = t
		l.names = append(l.names, t.name)
		l.raw = append(l.raw, definition)
	}
	slices.Sort(l.names)
	return l
}

// saved is a listing in a CatalogCache. Spec is the digest of the spec of the realm.
type saved struct {
	Spec     string            `json:"spec"`
	At       time.Time         `json:"at"`
	Server   string            `json:"server,omitempty"`
	Title    string            `json:"title,omitempty"`
	Protocol string            `json:"protocol,omitempty"`
	Tools    []json.RawMessage `json:"tools"`
}

// specDigest changes when a realm's entry refers to another server. Secrets (env, headers) are not part of it.
func specDigest(spec schemas.Realm) string {
	where, _, _ := strings.Cut(spec.URL, "?")
	return hashOf(spec.Command, strings.Join(spec.Args, "\x00"), spec.Cwd, where)
}

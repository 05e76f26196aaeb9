package health

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	clientMemory  = 15 * time.Minute // how long a client is remembered after its last call
	maxClients    = 256              // remembered at once; a new one replaces the one whose last call is oldest
	maxClientName = 80               // bytes
	maxShown      = 5
)

// clients remembers the clients that called lately, by the names and versions that they give themselves, which are shown to people and
// not trusted. The zero value is ready.
type clients struct {
	mu     sync.Mutex
	byName map[string]client
}

type client struct {
	last  time.Time
	calls int
}

// RecordClient records a call of a client, by the name and version that it gives itself.
func (h *Health) RecordClient(name string) { h.clients.record(name, time.Now()) }

func (c *clients) record(name string, now time.Time) {
	if name = printable(name); name == "" {
		name = "unnamed"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]client{}
	}
	if _, known := c.byName[name]; !known && len(c.byName) >= maxClients {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(c.byName)), func(a, b string) int { return c.byName[a].last.Compare(c.byName[b].last) })
		delete(c.byName, oldest)
	}
	c.byName[name] = client{now, c.byName[name].calls + 1}
}

// printable returns a name that a client chose, in a form that can be shown to people.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(name[:min(len(name), maxClientName)]))
}

// recent returns the names of the clients that called within clientMemory, sorted, and the number of their calls; it forgets the others.
func (c *clients) recent(now time.Time) (names []string, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.byName, func(_ string, seen client) bool { return now.Sub(seen.last) > clientMemory })
	for name, seen := range c.byName {
		names = append(names, name)
		calls += seen.calls
	}
	slices.Sort(names)
	return names, calls
}

// firstNames returns ": " and the first few names; nothing if there are none.
func firstNames(names []string) string {
	switch {
	case len(names) == 0:
		return ""
	case len(names) > maxShown:
		return ": " + strings.Join(names[:maxShown], ", ") + ", …"
	}
	return ": " + strings.Join(names, ", ")
}

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
	clientMemory  = 15 * time.Minute // how long a client counts as there after its last call
	maxClients    = 256              // remembered at once; the one that was silent longest gives way
	maxClientName = 80
	shownClients  = 5
)

// clients remembers who called lately, by the name and version that a client gives of itself: told to people, trusted in
// nothing. The zero value is ready.
type clients struct {
	mu   sync.Mutex
	seen map[string]client
}

type client struct {
	last  time.Time
	calls int
}

// Saw notes a call of a client.
func (r *Health) Saw(name string) { r.clients.saw(name, time.Now()) }

func (c *clients) saw(name string, now time.Time) {
	if name = clean(name); name == "" {
		name = "unnamed"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]client{}
	}
	if _, known := c.seen[name]; !known && len(c.seen) >= maxClients {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(c.seen)), func(a, b string) int { return c.seen[a].last.Compare(c.seen[b].last) })
		delete(c.seen, oldest)
	}
	c.seen[name] = client{now, c.seen[name].calls + 1}
}

// clean is a name that others chose as people may be shown it.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(name[:min(len(name), maxClientName)]))
}

// lately names who called within clientMemory, sorted, and counts their calls; the others are forgotten.
func (c *clients) lately(now time.Time) (names []string, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.seen, func(_ string, seen client) bool { return now.Sub(seen.last) > clientMemory })
	for name, seen := range c.seen {
		names = append(names, name)
		calls += seen.calls
	}
	slices.Sort(names)
	return names, calls
}

// listed shows the first few names.
func listed(names []string) string {
	switch {
	case len(names) == 0:
		return ""
	case len(names) > shownClients:
		return ": " + strings.Join(names[:shownClients], ", ") + ", …"
	}
	return ": " + strings.Join(names, ", ")
}

package realm

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// How much Discover returns of each capability.
const (
	DetailNames   = "names"   // name and effect
	DetailSummary = "summary" // also title and description
	DetailSchema  = "schema"  // also schemas and annotations
)

// Pages of Discover.
const (
	defaultPage  = 8
	defaultNames = 50 // of names alone
	maxPage      = 500
	maxPageBytes = 64 << 10 // of a page for which a limit or schemas were asked for; else schemas.MaxAnswer
	maxSummary   = 500      // bytes of a description, unless schemas are asked for
	maxArguments = 400      // bytes of the arguments in short
	discoverRest = 400      // room for what an answer has beside realms and capabilities
)

// Resolve describes one capability in full. It starts its realm if necessary. The error is not_found, with the nearest names, or
// why the realm's tools are not known.
func (p *Pool) Resolve(ctx context.Context, realm, name string) (schemas.Capability, error) {
	r, err := p.realm(realm)
	if err != nil {
		return schemas.Capability{}, err
	}
	l, err := r.waitListing(ctx, r.listingWait())
	if err != nil {
		return schemas.Capability{}, err
	}
	t, ok := l.tools[name]
	if !ok {
		return schemas.Capability{}, schemas.Errorf(schemas.CodeNotFound, "no capability %q in realm %q", name, realm).
			WithField("capability_name").WithHint("list all with discover_capabilities").WithOutcome(schemas.NotRun).
			WithCandidates(schemas.Nearest(name, l.names, maxCandidates))
	}
	c := t.capability(realm, true, p.limits.MaxText)
	health := r.health()
	c.Health = &health
	c.Limits = &schemas.CapabilityLimits{Timeout: schemas.Duration(p.defaultTimeout), TimeoutFrom: "built-in default", Retry: t.policy.Retry}
	if t.policy.Timeout != nil {
		c.Limits.Timeout, c.Limits.TimeoutFrom = *t.policy.Timeout, t.policy.TimeoutFrom
	}
	return c, nil
}

// Discover lists capabilities: of one realm or, with an empty realm, of all; those that fit the query, best first and none far behind, or
// with an empty query all, in the order of realm and name. limit is the size of a page, and cursor the NextCursor of the previous page. Without a
// limit a page has the best eight, or 50 names, and all of it at most schemas.MaxAnswer bytes. While a realm starts, its last known catalog
// is used. Without one Discover waits for CachedWait, or if the realm was named as long as a start may take.
//
// Of the realms it shows the one that was named; those that are not ready, of which capabilities may be missing; and the first page of an
// empty query shows all in short.
func (p *Pool) Discover(ctx context.Context, realm, query, detail string, limit int, cursor string) (schemas.Discovery, error) {
	m := p.members.Load()
	names := m.names
	wait := p.limits.CachedWait
	if realm != "" {
		r, ok := m.realms[realm]
		if !ok {
			_, err := p.realm(realm)
			return schemas.Discovery{}, err
		}
		names, wait = []string{realm}, r.listingWait()
	}
	switch detail {
	case "":
		detail = DetailSummary
	case DetailNames, DetailSummary, DetailSchema:
	default:
		return schemas.Discovery{}, schemas.Errorf(schemas.CodeInvalidArgument, "unknown detail %q", detail).WithField("detail").
			WithHint("one of %s, %s, %s", DetailNames, DetailSummary, DetailSchema).
			WithCandidates(schemas.Nearest(detail, []string{DetailNames, DetailSummary, DetailSchema}, 1))
	}
	after, err := openCursor(cursor)
	if err != nil {
		return schemas.Discovery{}, err
	}
	most := maxPageBytes
	if limit <= 0 {
		if limit = defaultPage; detail == DetailNames {
			limit = defaultNames
		}
		if detail != DetailSchema {
			most = schemas.MaxAnswer
		}
	}
	limit = min(limit, maxPage)

	found := rank(m.listings(ctx, names, wait), names, query)
	start := 0
	if after != nil {
		start, _ = slices.BinarySearchFunc(found, *after, func(m, at match) int {
			return cmp.Or(m.compare(at), -1) // after it
		})
	}
	out := schemas.Discovery{Realms: []schemas.RealmHealth{}, Capabilities: []schemas.Capability{}}
	out.Realms = m.shownRealms(names, realm != "", query == "" && cursor == "", most/2)
	left := most - discoverRest - schemas.Size(out.Realms)
	end := start
	for _, m := range found[start:min(start+limit, len(found))] {
		c := m.tool.discovered(m.realm, detail, p.limits.MaxText)
		if left -= schemas.Size(c) + 1; left < 0 && end > start {
			break
		}
		out.Capabilities = append(out.Capabilities, c)
		end++
	}
	if end < len(found) {
		out.NextCursor = found[end-1].cursor()
	}
	return out, nil
}

// shownRealms returns the realms as Discover shows them, in at most so many bytes unless one was named.
func (m *members) shownRealms(names []string, named, all bool, most int) []schemas.RealmHealth {
	list := []schemas.RealmHealth{}
	for _, name := range names {
		h := m.realms[name].health()
		switch ready := h.State == schemas.RealmReady; {
		case named:
			return append(list, h)
		case ready && !all:
			continue
		case ready:
			h = schemas.RealmHealth{Realm: h.Realm, State: h.State, Transport: h.Transport, Capabilities: h.Capabilities}
		default:
			h = schemas.RealmHealth{Realm: h.Realm, State: h.State, Transport: h.Transport, Capabilities: h.Capabilities, Error: h.Error.Brief(most / 4)}
		}
		if most -= schemas.Size(h) + 1; most < 0 { // check_health shows the others
			break
		}
		list = append(list, h)
	}
	return list
}

// discovered describes the tool in a list.
func (t *tool) discovered(realm, detail string, limit int) schemas.Capability {
	c := t.capability(realm, detail == DetailSchema, limit)
	c.Capability = realm + "." + t.name
	switch detail {
	case DetailNames:
		c.Title, c.Description = "", ""
	case DetailSummary:
		c.Description = schemas.Cut(c.Description, maxSummary, "… (cut)")
		c.Arguments = schemas.Cut(schemas.ArgumentsOf(schemas.Object(object(t.inputSchema))), maxArguments, "… (cut)")
	}
	return c
}

// listings returns the listings of the realms, fetched concurrently. A known listing is used even if it may be old.
func (m *members) listings(ctx context.Context, names []string, wait time.Duration) map[string]*listing {
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]*listing{}
	for _, name := range names {
		wg.Go(func() {
			l, err := m.realms[name].anyListing(ctx, wait)
			if err != nil {
				return // the realm's health has the error
			}
			mu.Lock()
			defer mu.Unlock()
			all[name] = l
		})
	}
	wg.Wait()
	return all
}

// compare orders the best first, then by realm and name.
func (m match) compare(o match) int {
	return cmp.Or(cmp.Compare(o.score, m.score), cmp.Compare(m.realm, o.realm), cmp.Compare(m.name, o.name))
}

// cursor is where a page ended. It is not signed; package capability signs cursors for callers.
func (m match) cursor() string {
	return strings.Join([]string{strconv.Itoa(m.score), m.realm, m.name}, "\n")
}

// openCursor parses a cursor; nil: the start.
func openCursor(cursor string) (*match, error) {
	if cursor == "" {
		return nil, nil
	}
	if parts := strings.SplitN(cursor, "\n", 3); len(parts) == 3 {
		if score, err := strconv.Atoi(parts[0]); err == nil {
			return &match{score: score, realm: parts[1], name: parts[2]}, nil
		}
	}
	return nil, schemas.Errorf(schemas.CodeInvalidArgument, "invalid cursor").WithField("cursor").
		WithHint("pass next_cursor of the previous page, with the same query")
}

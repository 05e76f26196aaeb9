package realm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Catalog is an immutable snapshot, in memory, of the tools of the realms.
type Catalog struct {
	names    []string
	listings map[string]*listing
	errors   map[string]error
}

var _ plan.Catalog = (*Catalog)(nil)

// Catalog takes a snapshot of these realms; none means all. It starts realms whose tools are not known, concurrently, and waits
// for them for Limits.FirstWait, or for Limits.CachedWait if an earlier catalog is known or the last start failed.
func (p *Pool) Catalog(ctx context.Context, realms []string) *Catalog {
	m := p.members.Load()
	c := &Catalog{names: m.names, listings: map[string]*listing{}, errors: map[string]error{}}
	if len(realms) == 0 {
		realms = m.names
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range realms {
		r, ok := m.realms[name]
		if !ok {
			continue // Tools returns the error
		}
		wg.Go(func() {
			l, err := r.waitListing(ctx, r.catalogWait())
			mu.Lock()
			defer mu.Unlock()
			if c.errors[name] = err; l != nil {
				c.listings[name] = l
			}
		})
	}
	wg.Wait()
	return c
}

// Realms lists the names of the configured realms, sorted.
func (c *Catalog) Realms() []string { return c.names }

// Tools lists the names of a realm's tools, sorted. The error is why they are not known, with a hint.
func (c *Catalog) Tools(realm string) ([]string, error) {
	if l := c.listings[realm]; l != nil {
		return l.names, nil
	}
	if err := c.errors[realm]; err != nil {
		return nil, err
	}
	if !slices.Contains(c.names, realm) {
		return nil, schemas.Errorf(schemas.CodeNotFound, "no realm %q", realm).WithCandidates(schemas.Nearest(realm, c.names, maxCandidates))
	}
	return nil, schemas.Errorf(schemas.CodeInternal, "realm %q is not in this snapshot", realm)
}

// Tool returns one tool.
func (c *Catalog) Tool(realm, name string) (plan.Tool, bool) {
	l := c.listings[realm]
	if l == nil {
		return plan.Tool{}, false
	}
	t, ok := l.tools[name]
	if !ok {
		return plan.Tool{}, false
	}
	return t.plan(), true
}

// listingWait is how long a realm may take until its tools are listed.
func (r *realm) listingWait() time.Duration { return r.startTimeout() + r.limits.ListTimeout }

// catalogWait is how long a snapshot waits for the realm. Where it is bounded, a caller that checks a plan again waits less for a realm whose
// start has failed.
func (r *realm) catalogWait() time.Duration {
	if r.limits.FirstWait <= 0 {
		return r.listingWait()
	}
	wait := r.limits.FirstWait
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures > 0 {
		wait = min(wait, r.limits.CachedWait)
	}
	return wait
}

// waitListing returns the realm's tools: those of the live connection, or after CachedWait the last known ones. Without either
// it waits up to wait. The error is a *schemas.Error.
func (r *realm) waitListing(ctx context.Context, wait time.Duration) (*listing, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing != nil {
		wait = min(wait, r.limits.CachedWait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	before := r.attempts
	for {
		refusal := r.waitError(before)
		switch {
		case r.state == schemas.RealmReady && r.listErr == nil && r.listing != nil:
			return r.listing, nil
		case r.state == schemas.RealmReady && r.listErr != nil:
			return r.lastListing(r.listingError())
		case refusal != nil:
			return r.lastListing(refusal)
		}
		changed := r.changed
		if r.state != schemas.RealmReady {
			r.requestStart()
		}
		r.mu.Unlock()
		late := false
		select {
		case <-changed:
		case <-timer.C:
			late = true
		case <-ctx.Done():
		}
		r.mu.Lock()
		switch {
		case late:
			return r.lastListing(r.stillStarting())
		case ctx.Err() != nil:
			return r.lastListing(cancelledError("realm "+r.name, &fault{cause: context.Cause(ctx)}))
		}
	}
}

// lastListing is the last known listing, or without one the error. The caller holds r.mu.
func (r *realm) lastListing(err error) (*listing, error) {
	if r.listing != nil {
		return r.listing, nil
	}
	return nil, err
}

// anyListing returns the last known tools at once, and requests a start if the realm is not ready. Without known tools it waits
// like waitListing.
func (r *realm) anyListing(ctx context.Context, wait time.Duration) (*listing, error) {
	r.mu.Lock()
	l, ready := r.listing, r.state == schemas.RealmReady
	r.mu.Unlock()
	if l == nil {
		return r.waitListing(ctx, wait)
	}
	if !ready {
		r.requestStart()
	}
	return l, nil
}

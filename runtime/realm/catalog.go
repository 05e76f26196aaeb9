package realm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Catalog is a snapshot of what the realms offer. It answers from memory and never changes.
type Catalog struct {
	names    []string
	listings map[string]*listing
	errors   map[string]error
}

var _ plan.Catalog = (*Catalog)(nil)

// Catalog takes a snapshot for these realms; none means all. It starts those whose tools are not known, in parallel, and
// waits for them at most as long as a start may take, and much shorter where an earlier catalog can stand in.
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
			continue // Tools says so
		}
		wg.Go(func() {
			l, err := r.listed(ctx, r.limits.StartTimeout+r.limits.ListTimeout)
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

// Tools lists the names of a realm's tools, sorted. The error says why they are not known and what to do about it.
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

// Tool finds one tool.
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

// listed returns the realm's tools: those of the live connection, or within a short wait those last known. Without either
// it waits up to wait. The error, a *schemas.Error, says why there are none.
func (r *realm) listed(ctx context.Context, wait time.Duration) (*listing, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing != nil {
		wait = min(wait, r.limits.CachedWait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	before := r.attempts
	for {
		refusal := r.refusal(before)
		switch {
		case r.state == schemas.RealmReady && r.listErr == nil && r.listing != nil:
			return r.listing, nil
		case r.state == schemas.RealmReady && r.listErr != nil:
			return r.standIn(r.unlisted())
		case refusal != nil:
			return r.standIn(refusal)
		}
		changed := r.changed
		if r.state != schemas.RealmReady {
			r.ask()
		}
		r.mu.Unlock()
		var late error
		select {
		case <-changed:
		case <-timer.C:
			late = schemas.Errorf(schemas.CodeUnavailable, "realm %q is still starting", r.name).WithHint("try again shortly; check_health tells how it is")
		case <-ctx.Done():
			late = ended("realm "+r.name, &fault{cause: context.Cause(ctx)})
		}
		r.mu.Lock()
		if late != nil {
			return r.standIn(late)
		}
	}
}

// standIn is the last listing where there is one, else the error; r.mu is held.
func (r *realm) standIn(err error) (*listing, error) {
	if r.listing != nil {
		return r.listing, nil
	}
	return nil, err
}

// known returns the last known tools at once, and has the realm started if it is not. Where nothing is known it waits as
// listed does.
func (r *realm) known(ctx context.Context, wait time.Duration) (*listing, error) {
	r.mu.Lock()
	l, ready := r.listing, r.state == schemas.RealmReady
	r.mu.Unlock()
	if l == nil {
		return r.listed(ctx, wait)
	}
	if !ready {
		r.ask()
	}
	return l, nil
}

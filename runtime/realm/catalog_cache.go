package realm

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runplane/runplane/schemas"
)

// setListing makes the raw definitions the realm's listing, with the current policies.
func (r *realm) setListing(at time.Time, raw []json.RawMessage) *listing {
	for {
		under := r.policies.Load()
		l := r.parseListing(at, raw)
		current := false
		r.update(func() {
			if current = r.policies.Load() == under; current {
				r.listing, r.listErr = l, nil
			}
		})
		if current {
			return l
		}
	}
}

// parseListing is called by the run goroutine, or by one that holds r.mu.
func (r *realm) parseListing(at time.Time, raw []json.RawMessage) *listing {
	policies := r.policies.Load()
	l := newListing(at, raw, r.limits, func(tool string) schemas.Policy { return policies.For(r.name, tool) }, r.log)
	l.about = r.server + " " + r.title
	return l
}

// loadCatalog loads the listing that an earlier process saved, if it is of the same spec.
func (r *realm) loadCatalog(ctx context.Context) {
	if r.cache == nil {
		return
	}
	data, err := r.cache.Load(ctx, r.name)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("cached catalog cannot be read; the realm will be asked", "error", err)
		return
	}
	data = r.redact.JSON(data) // what an earlier version saved may have secrets
	var s saved
	if len(data) == 0 || json.Unmarshal(data, &s) != nil || s.Spec != specDigest(r.spec) {
		return
	}
	r.update(func() { r.server, r.title, r.protocol = s.Server, s.Title, s.Protocol })
	l := r.setListing(s.At, s.Tools)
	r.saved = savedFor{l, s.Server, s.Protocol}
}

// saveCatalog reports whether it has saved the listing, or need not.
func (r *realm) saveCatalog(ctx context.Context, l *listing, cn *conn) bool {
	if r.cache == nil {
		return true
	}
	data, err := json.Marshal(saved{Spec: specDigest(r.spec), At: l.at, Server: cn.server, Title: cn.title, Protocol: cn.version, Tools: l.raw})
	if err == nil {
		err = r.cache.Save(ctx, r.name, data)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("catalog cannot be cached; the next listing will be tried again", "error", err)
	}
	return err == nil
}

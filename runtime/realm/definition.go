package realm

import (
	"context"

	"github.com/runplane/runplane/runtime/plan"
)

// Definition is the tool as the live connection of its realm lists it: after a restart, and if the list is no longer fresh, the
// realm is asked again first, so that a change is not missed. It starts the realm if necessary, and waits for its list. false: the
// realm has no such tool, or cannot be asked now, in which case a call fails too.
func (p *Pool) Definition(ctx context.Context, realm, capability string) (t plan.Tool, known bool) {
	r, err := p.realm(realm)
	if err != nil {
		return t, false
	}
	for verified := false; ; {
		cn, err := r.connected(ctx)
		if err != nil {
			return t, false
		}
		r.mu.Lock()
		changed := r.changed
		listing, listErr := r.listing, r.listErr
		r.mu.Unlock()
		if cn.listed.Load() && !verified {
			r.verify(ctx, cn, false)
			verified = true
			continue
		}
		if cn.listed.Load() {
			if listing == nil || listErr != nil {
				return t, false
			}
			found, ok := listing.tools[capability]
			if !ok {
				return t, false
			}
			return found.plan(), true
		}
		select {
		case <-changed:
		case <-cn.done:
			return t, false
		case <-ctx.Done():
			return t, false
		}
	}
}

// plan is the tool as plans see it.
func (t *tool) plan() plan.Tool {
	return plan.Tool{InputSchema: t.inputSchema, OutputSchema: t.outputSchema, Effect: t.effect, Hash: t.hash, Policy: t.policy}
}

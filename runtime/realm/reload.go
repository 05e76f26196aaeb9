package realm

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Change is what a new configuration changes: sorted names of realms.
type Change struct {
	Added, Removed []string
	Restarted      []string // the command, URL or protocol changed
	Policies       []string // only policies changed
}

// Empty reports whether nothing changed.
func (c Change) Empty() bool {
	return len(c.Added)+len(c.Removed)+len(c.Restarted)+len(c.Policies) == 0
}

// errRemoved is the cause of the end of a realm that was removed or changed.
var errRemoved = errors.New("the configuration of the realm changed")

// Reload applies another configuration of the realms completely, or returns an error and changes nothing. Unchanged realms are
// not affected. A realm that is removed or restarted takes no more calls, lets those in flight finish within Limits.LeaveGrace
// and is ended; new calls go to its replacement at once. Reload does not wait for the end.
func (p *Pool) Reload(specs map[string]schemas.Realm, policies schemas.Policies) (Change, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	after, change, err := p.membersFor(specs, policies)
	if err != nil || change.Empty() {
		return change, err
	}
	before := p.members.Swap(after)
	for _, name := range change.Policies {
		after.realms[name].setPolicies(&policies)
	}
	for _, name := range slices.Concat(change.Removed, change.Restarted) {
		p.removeRealm(before.realms[name])
	}
	for _, name := range slices.Concat(change.Added, change.Restarted) {
		p.startRealm(after.realms[name])
	}
	return change, nil
}

// removeRealm ends a realm after its calls. The caller holds p.mu.
func (p *Pool) removeRealm(r *realm) {
	cn := r.remove()
	if p.root == nil || p.root.Err() != nil {
		return
	}
	p.realms.Go(func() {
		if cn != nil {
			cn.drain(p.root, p.limits.LeaveGrace)
		}
		close(r.drained)
	})
}

// remove accepts no more calls, and returns the connection whose calls may finish; nil: there is none.
func (r *realm) remove() *conn {
	r.update(func() { r.removed = true }) // after this no other conn is stored
	cn := r.conn.Load()
	if cn != nil {
		cn.retired.Store(true)
	}
	return cn
}

func (r *realm) isRemoved() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed
}

// drain waits for the calls in flight on a retired conn, at most for the grace period.
func (c *conn) drain(ctx context.Context, grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for c.calls.Load() > 0 {
		select {
		case <-c.idle:
		case <-c.done:
			return
		case <-timer.C:
			c.log.Warn("calls on a removed realm were cut off", "calls", c.calls.Load(), "after", grace)
			return
		case <-ctx.Done():
			return
		}
	}
}

// setPolicies parses the known tools again with other policies.
func (r *realm) setPolicies(policies *schemas.Policies) {
	r.update(func() {
		r.policies.Store(policies)
		if r.listing != nil {
			r.listing = r.parseListing(r.listing.at, r.listing.raw)
		}
	})
}

// sameSpec compares everything. A nil list or map equals an empty one.
func sameSpec(a, b schemas.Realm) bool {
	for _, s := range []*schemas.Realm{&a, &b} {
		if len(s.Args) == 0 {
			s.Args = nil
		}
		if len(s.Env) == 0 {
			s.Env = nil
		}
		if len(s.Headers) == 0 {
			s.Headers = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func samePolicies(a, b *schemas.Policies, realm string) bool {
	return reflect.DeepEqual(a.Default, b.Default) && reflect.DeepEqual(a.Realms[realm], b.Realms[realm])
}

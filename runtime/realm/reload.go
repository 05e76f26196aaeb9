package realm

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Change is what a new configuration changes, by the names of realms, sorted.
type Change struct {
	Added, Removed []string
	Restarted      []string // what they are reached by is another
	Policies       []string // only what is allowed or assumed of them
}

// Empty is true where nothing changed.
func (c Change) Empty() bool {
	return len(c.Added)+len(c.Removed)+len(c.Restarted)+len(c.Policies) == 0
}

// errLeft ends a realm that the configuration has no more.
var errLeft = errors.New("the configuration of the realm changed")

// Reload takes another configuration of the realms: all of it, or nothing with an error. Realms that stay the same go on
// undisturbed. A realm that is removed, or reached by other means, takes no more calls, has those under way finish within
// Limits.LeaveGrace and is ended then; new calls go to the new one at once. Reload does not wait for that.
func (p *Pool) Reload(specs map[string]schemas.Realm, policies schemas.Policies) (Change, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	after, change, err := p.plan(specs, policies)
	if err != nil || change.Empty() {
		return change, err
	}
	before := p.members.Swap(after)
	for _, name := range change.Policies {
		after.realms[name].reinterpret(&policies)
	}
	for _, name := range slices.Concat(change.Removed, change.Restarted) {
		p.dismiss(before.realms[name])
	}
	for _, name := range slices.Concat(change.Added, change.Restarted) {
		p.launch(after.realms[name])
	}
	return change, nil
}

// dismiss has a realm leave; p.mu is held.
func (p *Pool) dismiss(r *realm) {
	cn := r.leave()
	if p.root == nil || p.root.Err() != nil {
		return
	}
	p.realms.Go(func() {
		if cn != nil {
			cn.drain(p.root, p.limits.LeaveGrace)
		}
		close(r.gone)
	})
}

// leave lets nobody in any more, and returns the connection whose calls may finish; nil: there is none.
func (r *realm) leave() *conn {
	r.update(func() { r.left = true }) // after which no conn is put into its place
	cn := r.conn.Load()
	if cn != nil {
		cn.retired.Store(true)
	}
	return cn
}

func (r *realm) hasLeft() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

// drain waits for the calls under way on a retired conn, at most so long.
func (c *conn) drain(ctx context.Context, grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for c.calls.Load() > 0 {
		select {
		case <-c.over:
		case <-c.died:
			return
		case <-timer.C:
			c.log.Warn("calls on a realm that left were cut off", "calls", c.calls.Load(), "after", grace)
			return
		case <-ctx.Done():
			return
		}
	}
}

// reinterpret reads the known tools anew under other policies.
func (r *realm) reinterpret(policies *schemas.Policies) {
	r.update(func() {
		r.policies.Store(policies)
		if r.listing != nil {
			r.listing = r.read(r.listing.at, r.listing.raw)
		}
	})
}

// sameSpec ignores what does not matter to a connection: nothing. An absent list or map is an empty one.
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

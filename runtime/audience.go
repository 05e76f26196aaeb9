package runtime

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

const (
	publishedPoll = 10 * time.Second // how old the knowledge of what others published may be where the watch missed it
	maxAudience   = 1000             // principals that are remembered
)

// audience knows what lists of published workflows clients of this process were shown, and tells when one of them is not
// true any more.
type audience struct {
	there  chan struct{} // one token: somebody was shown a list
	mu     sync.Mutex
	lists  map[string][]Published // by principal
	notify []*func(principal string)
}

// OnPublished has f called after the published workflows of a principal changed who has asked for them, whoever changed
// them; off ends that. Where the runtime does not run f learns of this process's changes alone. f must not block.
func (r *Runtime) OnPublished(f func(principal string)) (off func()) {
	a := &r.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notify = append(a.notify, &f)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for i, other := range a.notify {
			if other == &f {
				a.notify = append(a.notify[:i:i], a.notify[i+1:]...)
				return
			}
		}
	}
}

// shown remembers what a principal was shown first; later changes are told by recheck.
func (a *audience) shown(principal string, list []Published) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lists == nil {
		a.lists = map[string][]Published{}
	}
	if _, known := a.lists[principal]; !known && len(a.lists) < maxAudience {
		a.lists[principal] = list
		select {
		case a.there <- struct{}{}:
		default:
		}
	}
}

// changed takes note of a principal's list and returns who is to be told that it is another one.
func (a *audience) changed(principal string, list []Published) []*func(string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.lists[principal]
	if !known || reflect.DeepEqual(before, list) {
		return nil
	}
	a.lists[principal] = list
	return a.notify
}

func (a *audience) principals() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.lists {
		names = append(names, name)
	}
	return names
}

func (a *audience) knows(principal string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.lists[principal]
	return known && len(a.notify) > 0
}

// recheck reads what a principal has published, and tells who wants to know if it has changed.
func (r *Runtime) recheck(ctx context.Context, principal string) {
	if !r.audience.knows(principal) {
		return
	}
	list, err := r.publishedOf(ctx, principal)
	if err != nil {
		r.log.Debug("read the published workflows", "error", err)
		return
	}
	r.tell(principal, list)
}

// tell passes on that a principal's list is another one than it was.
func (r *Runtime) tell(principal string, list []Published) {
	for _, f := range r.audience.changed(principal, list) {
		(*f)(principal)
	}
}

// workflowChanged looks after the principal to whom a workflow's key belongs.
func (r *Runtime) workflowChanged(ctx context.Context, key store.Key) {
	for _, principal := range r.audience.principals() {
		if strings.HasPrefix(key.ID, records.Private(principal, kindWorkflow)) {
			r.recheck(ctx, principal)
			return
		}
	}
}

// pollPublished is for changes that no watch told of. It does nothing until somebody was shown a list.
func (r *Runtime) pollPublished(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.audience.there:
	}
	tick := time.NewTicker(publishedPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, principal := range r.audience.principals() {
			r.recheck(ctx, principal)
		}
	}
}

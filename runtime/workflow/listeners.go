package workflow

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
	PublishedPoll = 10 * time.Second // how old the knowledge of what others published may be where the watch missed it
	maxAudience   = 1000             // principals that are remembered
)

// listeners knows what lists of published workflows clients of this process were shown, and tells when one of them is not
// true any more.
type listeners struct {
	there  records.Signal // somebody was shown a list
	mu     sync.Mutex
	lists  map[string][]Published // by principal
	notify []*func(principal string)
}

// OnPublished has f called after the published workflows of a principal changed who has asked for them, whoever changed
// them; off ends that. Where the runtime does not run f learns of this process's changes alone. f must not block.
func (r *Workflows) OnPublished(f func(principal string)) (off func()) {
	a := &r.listeners
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

// remember remembers what a principal was shown first; later changes are told by recheck.
func (a *listeners) remember(principal string, list []Published) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lists == nil {
		a.lists = map[string][]Published{}
	}
	if _, known := a.lists[principal]; !known && len(a.lists) < maxAudience {
		a.lists[principal] = list
		a.there.Set()
	}
}

// changed takes note of a principal's list and returns who is to be told that it is another one.
func (a *listeners) changed(principal string, list []Published) []*func(string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, known := a.lists[principal]
	if !known || reflect.DeepEqual(before, list) {
		return nil
	}
	a.lists[principal] = list
	return a.notify
}

func (a *listeners) principals() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.lists {
		names = append(names, name)
	}
	return names
}

func (a *listeners) hasListeners(principal string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.lists[principal]
	return known && len(a.notify) > 0
}

// recheck reads what a principal has published, and tells who wants to know if it has changed.
func (r *Workflows) recheck(ctx context.Context, principal string) {
	if !r.listeners.hasListeners(principal) {
		return
	}
	list, err := r.publishedOf(ctx, principal)
	if err != nil {
		r.log.Debug("read the published workflows", "error", err)
		return
	}
	r.notify(principal, list)
}

// notify passes on that a principal's list is another one than it was.
func (r *Workflows) notify(principal string, list []Published) {
	for _, f := range r.listeners.changed(principal, list) {
		(*f)(principal)
	}
}

// Changed takes note that the store's watch named a record: the principal to whom a workflow belongs is looked after.
func (r *Workflows) Changed(ctx context.Context, key store.Key) {
	if key.Kind != Kind {
		return
	}
	for _, principal := range r.listeners.principals() {
		if strings.HasPrefix(key.ID, records.Private(principal, Kind)) {
			r.recheck(ctx, principal)
			return
		}
	}
}

// pollPublished is for changes that no watch told of. It does nothing until somebody was shown a list.
func (r *Workflows) pollPublished(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.listeners.there:
	}
	tick := time.NewTicker(PublishedPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, principal := range r.listeners.principals() {
			r.recheck(ctx, principal)
		}
	}
}

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
	// PublishedPoll is how late a change of published workflows that the store's watch missed is noticed at most.
	PublishedPoll = 10 * time.Second

	maxRemembered = 1000 // principals
)

// listeners remembers the lists of published workflows that clients of this process were shown, and whom to notify when one of them
// has changed.
type listeners struct {
	remembered records.Signal // a list was remembered
	mu         sync.Mutex
	lists      map[string][]Published // by principal
	notify     []*func(principal string)
}

// OnPublished calls f after the published workflows of a principal have changed, on any replica, if the principal has listed them in this
// process; stop ends that. While Run does not run, f is called for changes of this process only. f must not block.
func (w *Workflows) OnPublished(f func(principal string)) (stop func()) {
	l := &w.listeners
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notify = append(l.notify, &f)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, other := range l.notify {
			if other == &f {
				l.notify = append(l.notify[:i:i], l.notify[i+1:]...)
				return
			}
		}
	}
}

// remember remembers the list that a principal was shown first; checkPublished and notify find later changes.
func (l *listeners) remember(principal string, list []Published) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil {
		l.lists = map[string][]Published{}
	}
	if _, known := l.lists[principal]; !known && len(l.lists) < maxRemembered {
		l.lists[principal] = list
		l.remembered.Set()
	}
}

// changed remembers a principal's list, and returns the functions to be called if it is another one than before.
func (l *listeners) changed(principal string, list []Published) []*func(string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.lists[principal]
	if !known || reflect.DeepEqual(before, list) {
		return nil
	}
	l.lists[principal] = list
	return l.notify
}

func (l *listeners) principals() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.lists {
		names = append(names, name)
	}
	return names
}

// hasListeners reports whether a change of the principal's list would be notified.
func (l *listeners) hasListeners(principal string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.lists[principal]
	return known && len(l.notify) > 0
}

// checkPublished reads the published workflows of a principal, and notifies listeners if they have changed.
func (w *Workflows) checkPublished(ctx context.Context, principal string) {
	if !w.listeners.hasListeners(principal) {
		return
	}
	list, err := w.publishedOf(ctx, principal)
	if err != nil {
		w.log.Debug("read the published workflows: trying again later", "error", err)
		return
	}
	w.notify(principal, list)
}

// notify calls the listeners if a principal's list is another one than before.
func (w *Workflows) notify(principal string, list []Published) {
	for _, f := range w.listeners.changed(principal, list) {
		(*f)(principal)
	}
}

// Changed checks the published workflows of a principal if the record is a workflow of it; it is called with each key that the store's
// watch names.
func (w *Workflows) Changed(ctx context.Context, key store.Key) {
	if key.Kind != Kind {
		return
	}
	for _, principal := range w.listeners.principals() {
		if strings.HasPrefix(key.ID, records.Private(principal, Kind)) {
			w.checkPublished(ctx, principal)
			return
		}
	}
}

// pollPublished finds changes that the store's watch missed. It does nothing until a list was shown.
func (w *Workflows) pollPublished(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-w.listeners.remembered:
	}
	tick := time.NewTicker(PublishedPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, principal := range w.listeners.principals() {
			w.checkPublished(ctx, principal)
		}
	}
}

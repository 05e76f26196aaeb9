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
	maxRemembered = 1000             // principals that are remembered
)

// listeners knows what lists of published workflows clients of this process were shown, and tells when one of them is not
// true any more.
type listeners struct {
	remembered records.Signal // somebody was shown a list
	mu         sync.Mutex
	lists      map[string][]Published // by principal
	notify     []*func(principal string)
}

// OnPublished has f called after the published workflows of a principal changed who has asked for them, whoever changed
// them; off ends that. Where the runtime does not run f learns of this process's changes alone. f must not block.
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

// remember remembers what a principal was shown first; later changes are told by recheck.
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

// changed takes note of a principal's list and returns who is to be told that it is another one.
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

func (l *listeners) hasListeners(principal string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.lists[principal]
	return known && len(l.notify) > 0
}

// checkPublished reads what a principal has published, and tells who wants to know if it has changed.
func (w *Workflows) checkPublished(ctx context.Context, principal string) {
	if !w.listeners.hasListeners(principal) {
		return
	}
	list, err := w.publishedOf(ctx, principal)
	if err != nil {
		w.log.Debug("read the published workflows", "error", err)
		return
	}
	w.notify(principal, list)
}

// notify passes on that a principal's list is another one than it was.
func (w *Workflows) notify(principal string, list []Published) {
	for _, f := range w.listeners.changed(principal, list) {
		(*f)(principal)
	}
}

// Changed takes note that the store's watch named a record: the principal to whom a workflow belongs is looked after.
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

// pollPublished is for changes that no watch told of. It does nothing until somebody was shown a list.
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

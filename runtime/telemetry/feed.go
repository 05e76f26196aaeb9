// Package telemetry delivers committed events to subscribers. It owns the subscriptions of this process. Package engine publishes each
// commit to a [Feed]; it subscribes for callers that wait for an execution, and so does the progress display of the command line. It
// calls no hooks.
package telemetry

import (
	"sync"

	"github.com/runplane/runplane/schemas"
)

// Feed delivers committed events to subscribers. The zero value is ready. Publishing never blocks: a subscription whose buffer is
// full is closed, and its reader continues from the log.
type Feed struct {
	mu   sync.RWMutex
	byID map[string]map[*Subscription]struct{} // by execution; "": all executions
}

// Update is one batch of events of one execution as it was committed.
type Update struct {
	ExecutionID string
	Events      []schemas.Event
	Execution   schemas.Execution // after the batch; without nodes
}

// Subscription receives updates until Close, or until its buffer is full when an update comes.
type Subscription struct {
	C    <-chan Update
	c    chan Update
	id   string
	feed *Feed
}

// Subscribe subscribes to one execution, or with an empty id to all; buffer is the most unread updates.
func (f *Feed) Subscribe(id string, buffer int) *Subscription {
	c := make(chan Update, buffer)
	s := &Subscription{C: c, c: c, id: id, feed: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[string]map[*Subscription]struct{}{}
	}
	if f.byID[id] == nil {
		f.byID[id] = map[*Subscription]struct{}{}
	}
	f.byID[id][s] = struct{}{}
	return s
}

// Close ends the subscription and closes C; a second call does nothing.
func (s *Subscription) Close() { s.feed.drop(s) }

func (f *Feed) drop(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.byID[s.id][s]; !ok {
		return
	}
	delete(f.byID[s.id], s)
	if len(f.byID[s.id]) == 0 {
		delete(f.byID, s.id)
	}
	close(s.c)
}

// Watched reports whether an update of the execution has subscribers, so that none is prepared without.
func (f *Feed) Watched(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.byID[id]) > 0 || len(f.byID[""]) > 0
}

// Publish sends an update to its subscribers.
func (f *Feed) Publish(u Update) {
	var slow []*Subscription
	f.mu.RLock()
	for _, id := range [2]string{u.ExecutionID, ""} {
		for s := range f.byID[id] {
			select {
			case s.c <- u:
			default:
				slow = append(slow, s)
			}
		}
	}
	f.mu.RUnlock()
	for _, s := range slow {
		f.drop(s)
	}
}

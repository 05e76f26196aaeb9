// Package telemetry folds committed events into what people watch.
package telemetry

import (
	"sync"

	"github.com/runplane/runplane/schemas"
)

// Feed fans committed events out to whoever watches. The zero value is ready. Publishing never waits: a reader who lags
// behind by more than his buffer is dropped, his channel closes, and he reads on from the log.
type Feed struct {
	mu   sync.RWMutex
	byID map[string]map[*Subscription]struct{} // "" watches every execution
}

// Update is one batch of events of one execution as it was committed.
type Update struct {
	ExecutionID string
	Events      []schemas.Event
	Execution   schemas.Execution // as it was behind the batch; without nodes
}

// Subscription receives updates until it is closed, by Close or for lagging.
type Subscription struct {
	C    <-chan Update
	c    chan Update
	id   string
	feed *Feed
}

// Subscribe watches one execution, or all with an empty id; buffer is how many batches may be unread.
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

// Close ends the subscription; a second call does nothing.
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

// Watched tells whether anybody would see an update of the execution, so that nobody prepares one for nothing.
func (f *Feed) Watched(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.byID[id]) > 0 || len(f.byID[""]) > 0
}

// Publish hands an update to its watchers.
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

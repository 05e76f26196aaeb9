package records

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// handling runs Handle until the function that it returns is called, which returns when Handle has.
func handling(d *Dirty[string], workers int, handle func(string)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.Handle(ctx, workers, handle); close(done) }()
	return func() { cancel(); <-done }
}

// handled counts how often each key was handled, and fails the test where a key is handled twice at the same time.
type handled struct {
	t    *testing.T
	mu   sync.Mutex
	n    map[string]int
	busy map[string]bool
}

func newHandled(t *testing.T) *handled {
	t.Helper()
	return &handled{t: t, n: map[string]int{}, busy: map[string]bool{}}
}

// takes is a handler that needs some time for each key.
func (h *handled) takes(d time.Duration) func(string) {
	return func(key string) {
		h.mu.Lock()
		if h.busy[key] {
			h.t.Errorf("%s is handled by two goroutines", key)
		}
		h.busy[key] = true
		h.mu.Unlock()
		time.Sleep(d)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy[key] = false
		h.n[key]++
	}
}

func (h *handled) want(counts map[string]int) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !maps.Equal(h.n, counts) {
		h.t.Errorf("handled %v, want %v", h.n, counts)
	}
}

func TestKeyAddedWhileItIsHandledIsHandledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := NewDirty[string](10), newHandled(t)
		defer handling(d, 4, h.takes(time.Second))()
		d.Add("a")
		time.Sleep(500 * time.Millisecond)
		for range 5 {
			d.Add("a")
		}
		time.Sleep(600 * time.Millisecond)
		h.want(map[string]int{"a": 1})
		time.Sleep(10 * time.Second)
		h.want(map[string]int{"a": 2})
	})
}

func TestDirtySetIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := NewDirty[string](2), newHandled(t)
		for _, tt := range []struct {
			key  string
			want bool
		}{{"a", true}, {"b", true}, {"c", false}, {"a", true}} {
			if got := d.Add(tt.key); got != tt.want {
				t.Errorf("Add(%q) = %v, want %v", tt.key, got, tt.want)
			}
		}
		defer handling(d, 1, h.takes(0))()
		h.want(map[string]int{"a": 1, "b": 1})
		if !d.Add("c") {
			t.Error("an empty set takes no key")
		}
		h.want(map[string]int{"a": 1, "b": 1, "c": 1})
	})
}

// What is in the set when Handle is stopped is handled before it returns, also a key that rests or is handled at that moment.
func TestHandleEndsWithAnEmptySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := NewDirty[string](10), newHandled(t)
		stop := handling(d, 1, h.takes(time.Second))
		d.Add("a")
		synctest.Wait()
		d.Add("a")
		d.Add("b")
		d.Add("c")
		stop()
		h.want(map[string]int{"a": 2, "b": 1, "c": 1})
		if len(d.keys) > 0 {
			t.Errorf("left: %v", d.keys)
		}
	})
}

// A key that is added without end gets half of the time of one worker, and no other key waits for it.
func TestKeyRestsAsLongAsItTookToHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := NewDirty[string](10), newHandled(t)
		defer handling(d, 1, func(key string) {
			if key == "busy" {
				h.takes(time.Second)(key)
			} else {
				h.takes(0)(key)
			}
		})()
		for range 100 {
			d.Add("busy")
			time.Sleep(100 * time.Millisecond)
		}
		h.want(map[string]int{"busy": 5})
		time.Sleep(1500 * time.Millisecond) // the last change is handled, and the key rests
		d.Add("busy")
		d.Add("other")
		h.want(map[string]int{"busy": 6, "other": 1})
	})
}

package journal

import (
	"encoding/json"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/runplane/runplane/runtime/plan/expr"
)

// DefaultCached is how many bytes the caches of all executions take together if [Limits].MaxCached is 0.
const DefaultCached = 64 << 20

// cache bounds what all executions in memory keep for their expressions: outputs and texts as they were read, decoded values, lists. All of
// it can be read or made again, so the execution that has used its part least recently loses it when they take more than they may.
type cache struct {
	limit int64
	clock atomic.Int64 // counts what is kept

	mu      sync.Mutex
	held    int64
	shelves map[*shelf]struct{}
}

func newCache(limit int64) *cache { return &cache{limit: limit, shelves: map[*shelf]struct{}{}} }

// shelf is what one execution keeps. Its maps are used by the execution alone.
type shelf struct {
	outputs  map[int]*expr.Value       // by unit
	texts    map[int]string            // large ones, by unit
	contents map[int]*expr.Value       // content blocks, by unit
	errors   map[int]*expr.Value       // lists of what failed, by node that has ended
	lists    map[int][]json.RawMessage // that for_each nodes run over, by node
	inputs   *expr.Value               // of the plan
	session  *expr.Value

	used  atomic.Int64 // the clock when it was used last
	place *place

	// The mutex of the cache guards these.
	bytes   int64
	dropped bool
}

// place is where an execution finds its shelf, until the cache drops it.
type place struct{ atomic.Pointer[shelf] }

// shelf returns what x keeps; it may have lost all of it.
func (x *Execution) shelf() *shelf {
	s := x.place.Load()
	if s == nil {
		if !x.cleaned { // an execution that only reads is not released by an owner
			runtime.AddCleanup(x, x.cache.drop, x.place)
			x.cleaned = true
		}
		s = &shelf{
			outputs: map[int]*expr.Value{}, texts: map[int]string{}, errors: map[int]*expr.Value{}, lists: map[int][]json.RawMessage{}, place: x.place,
		}
		x.cache.add(s)
	}
	s.used.Store(x.cache.clock.Load())
	return s
}

// value makes a value whose memory counts as that of s.
func (x *Execution) value(s *shelf, raw []byte) *expr.Value {
	c := x.cache
	c.grow(s, len(raw))
	return expr.NewCounted(raw, func(bytes int) { c.grow(s, bytes) })
}

// DropCache removes what x keeps for its expressions.
func (x *Execution) DropCache() { x.cache.drop(x.place) }

func (c *cache) add(s *shelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shelves[s] = struct{}{}
	s.place.Store(s)
}

func (c *cache) drop(p *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := p.Load(); s != nil {
		c.remove(s)
	}
}

// grow counts bytes that s keeps now; they are negative if it keeps less. It drops shelves while all of them take more than they may.
func (c *cache) grow(s *shelf, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.dropped {
		return
	}
	c.clock.Add(1)
	s.bytes += int64(bytes)
	c.held += int64(bytes)
	for c.held > c.limit {
		var oldest *shelf
		for other := range c.shelves {
			if other.bytes > 0 && (oldest == nil || other.used.Load() < oldest.used.Load()) {
				oldest = other
			}
		}
		c.remove(oldest)
	}
}

// remove drops a shelf. The caller holds mu.
func (c *cache) remove(s *shelf) {
	c.held -= s.bytes
	delete(c.shelves, s)
	s.dropped = true
	s.place.Store(nil)
}

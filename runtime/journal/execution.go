package journal

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// Execution is one execution in memory: a cache of its log. Several goroutines must not use it at once.
type Execution struct {
	ID      string
	Head    Head
	Version int64          // of the head in the store
	State   *machine.State // nil: it is stale, and has to be folded again
	Program *plan.Program
	Session schemas.Value // the data of the session

	execution *expr.Value       // what expressions read of the execution itself; nil until they do
	made      map[string][]byte // values in records of their own that may not be committed yet, by the names of the records
	steps     atomic.Uint64     // that expressions took, since the execution is in memory
	reading   time.Duration     // how long expressions have waited for the store since then

	cache   *cache
	place   *place
	cleaned bool // the shelf is dropped with the execution
}

// New returns an execution of which only the head is known.
func (j *Journal) New(id string, h Head) *Execution {
	return &Execution{ID: id, Head: h, cache: j.cache, place: new(place)}
}

// SetProgram sets the program that the execution runs, and the session data that its expressions read.
func (x *Execution) SetProgram(p *plan.Program, session schemas.Value) {
	x.Program, x.Session = p, records.OrElse(session, "{}")
}

// Made notes a value that is about to be committed in a record of its own. Until [Execution.Committed] it is read from memory.
func (x *Execution) Made(name string, value []byte) {
	if x.made == nil {
		x.made = map[string][]byte{}
	}
	x.made[name] = value
}

// Committed notes that what was made is in the store.
func (x *Execution) Committed() { x.made = nil }

// CacheOutput caches a unit's output for expressions, and returns it.
func (x *Execution) CacheOutput(unit int, output []byte) *expr.Value {
	s := x.shelf()
	v := x.value(s, output)
	s.outputs[unit] = v
	return v
}

// CacheText caches a unit's text for expressions.
func (x *Execution) CacheText(unit int, text string) {
	s := x.shelf()
	s.texts[unit] = text
	x.cache.grow(s, len(text))
}

// cacheContent caches the content blocks of a unit for expressions, and returns them.
func (x *Execution) cacheContent(unit int, blocks []byte) *expr.Value {
	s := x.shelf()
	v := x.value(s, blocks)
	if s.contents == nil {
		s.contents = map[int]*expr.Value{}
	}
	s.contents[unit] = v
	return v
}

// CachedOutput returns an output that is cached.
func (x *Execution) CachedOutput(unit int) (*expr.Value, bool) {
	v, ok := x.shelf().outputs[unit]
	return v, ok
}

// Steps returns the steps that expressions of the execution took since it is in memory. Any goroutine may call it.
func (x *Execution) Steps() uint64 { return x.steps.Load() }

// Reading returns how long expressions of the execution have waited for the store since it is in memory.
func (x *Execution) Reading() time.Duration { return x.reading }

// cacheList caches the list of a for_each node.
func (x *Execution) cacheList(node int, list []json.RawMessage) {
	s := x.shelf()
	s.lists[node] = list
	x.cache.grow(s, listBytes(list))
}

// DropList removes the list of a for_each node from memory; only a compensation reads it again.
func (x *Execution) DropList(node int) {
	s := x.shelf()
	if list, ok := s.lists[node]; ok {
		delete(s.lists, node)
		x.cache.grow(s, -listBytes(list))
	}
}

// listBytes is about how many bytes of memory a list takes.
func listBytes(list []json.RawMessage) int {
	bytes := 0
	for _, item := range list {
		bytes += 32 + len(item)
	}
	return bytes
}

// CachedLists returns the number of lists of for_each nodes in memory.
func (x *Execution) CachedLists() int { return len(x.shelf().lists) }

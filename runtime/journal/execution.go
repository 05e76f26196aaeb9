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
	ID          string
	Head        Head
	Version     int64          // of the head in the store
	State       *machine.State // nil: it is stale, and has to be folded again
	Program     *plan.Program
	inputs      *expr.Value
	Session     *expr.Value
	execution   *expr.Value               // what expressions read of the execution itself; nil until they do
	values      map[int]*expr.Value       // decoded outputs by unit
	texts       map[int]string            // large texts by unit
	lists       map[int][]json.RawMessage // lists that for_each nodes run over, by node
	cachedBytes int                       // in values and texts
	steps       atomic.Uint64             // that expressions took, since the execution is in memory
	reading     time.Duration             // how long expressions have waited for the store since then
}

// New returns an execution of which only the head is known.
func New(id string, h Head) *Execution {
	return &Execution{ID: id, Head: h, values: map[int]*expr.Value{}, texts: map[int]string{}, lists: map[int][]json.RawMessage{}}
}

// SetProgram sets the program that the execution runs, and the session data that its expressions read.
func (x *Execution) SetProgram(p *plan.Program, session schemas.Value) {
	x.Program = p
	x.inputs = expr.NewValue(json.RawMessage(records.OrElse(p.Definition.Plan.Inputs, "{}")))
	x.Session = expr.NewValue(json.RawMessage(records.OrElse(session, "{}")))
}

// CacheOutput caches a unit's output for expressions, and returns it.
func (x *Execution) CacheOutput(unit int, output []byte) *expr.Value {
	x.values[unit] = expr.NewValue(json.RawMessage(output))
	x.cachedBytes += len(output)
	return x.values[unit]
}

// CacheText caches a unit's text for expressions.
func (x *Execution) CacheText(unit int, text string) {
	x.texts[unit] = text
	x.cachedBytes += len(text)
}

// CachedOutput returns an output that is cached; it may not be committed yet.
func (x *Execution) CachedOutput(unit int) (*expr.Value, bool) {
	v, ok := x.values[unit]
	return v, ok
}

// Steps returns the steps that expressions of the execution took since it is in memory. Any goroutine may call it.
func (x *Execution) Steps() uint64 { return x.steps.Load() }

// Reading returns how long expressions of the execution have waited for the store since it is in memory.
func (x *Execution) Reading() time.Duration { return x.reading }

// DropList removes the list of a for_each node from memory; only a compensation reads it again.
func (x *Execution) DropList(node int) { delete(x.lists, node) }

// CachedLists returns the number of lists of for_each nodes in memory.
func (x *Execution) CachedLists() int { return len(x.lists) }

// Trim empties the cache of outputs and texts if it exceeds 16 MiB; they are read again when an expression needs them.
func (x *Execution) Trim() {
	if x.cachedBytes > maxCached {
		x.dropCache()
	}
}

func (x *Execution) dropCache() {
	clear(x.values)
	clear(x.texts)
	x.cachedBytes = 0
}

// maxCached is how many bytes of outputs and texts an execution keeps in memory between two commits.
const maxCached = 16 << 20

package journal

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// Execution is one execution in memory: a cache of its log, used by one goroutine at a time.
type Execution struct {
	ID          string
	Head        Head
	Version     int64          // of the head in the store
	State       *machine.State // nil: stale, to be folded again
	Program     *plan.Program
	inputs      *plan.Value
	Session     *plan.Value
	execution   *plan.Value               // made when it is read first
	values      map[int]*plan.Value       // decoded outputs by unit
	texts       map[int]string            // large texts by unit
	lists       map[int][]json.RawMessage // what for_each nodes run over
	cachedBytes int                       // bytes in values and texts
}

// New is an execution of which nothing but its head is known.
func New(id string, h Head) *Execution {
	return &Execution{ID: id, Head: h, values: map[int]*plan.Value{}, texts: map[int]string{}, lists: map[int][]json.RawMessage{}}
}

// SetProgram says what the execution carries out, and what its expressions read of the session.
func (x *Execution) SetProgram(p *plan.Program, session schemas.Value) {
	x.Program = p
	x.inputs = plan.NewValue(json.RawMessage(records.OrElse(p.Definition.Plan.Inputs, "{}")))
	x.Session = plan.NewValue(json.RawMessage(records.OrElse(session, "{}")))
}

// Keep caches an output for the expressions that read it.
func (x *Execution) Keep(unit int, output []byte) *plan.Value {
	x.values[unit] = plan.NewValue(json.RawMessage(output))
	x.cachedBytes += len(output)
	return x.values[unit]
}

// KeepText caches a text for the expressions that read it.
func (x *Execution) KeepText(unit int, text string) {
	x.texts[unit] = text
	x.cachedBytes += len(text)
}

// Cached is an output that keep was given, which may not be committed yet.
func (x *Execution) Cached(unit int) (*plan.Value, bool) {
	v, ok := x.values[unit]
	return v, ok
}

// DropList forgets what a for_each node runs over; only a compensation reads it again.
func (x *Execution) DropList(node int) { delete(x.lists, node) }

// CachedLists counts the lists of for_each nodes in memory.
func (x *Execution) CachedLists() int { return len(x.lists) }

// Trim drops what is cached where that is too much; it is read again when an expression asks for it.
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

// maxCached is how many bytes of outputs an execution keeps in memory between two commits.
const maxCached = 16 << 20

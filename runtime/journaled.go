package runtime

import (
	"encoding/json"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// journaled is one execution in memory: a cache of its log, used by one goroutine at a time.
type journaled struct {
	id      string
	head    head
	version int64          // of the head in the store
	state   *machine.State // nil: stale, to be folded again
	program *plan.Program
	inputs  *plan.Value
	session *plan.Value
	self    *plan.Value               // made when it is read first
	values  map[int]*plan.Value       // decoded outputs by unit
	texts   map[int]string            // large texts by unit
	lists   map[int][]json.RawMessage // what for_each nodes run over
	kept    int                       // bytes in values and texts
}

// newJournaled is an execution of which nothing but its head is known.
func newJournaled(id string, h head) *journaled {
	return &journaled{id: id, head: h, values: map[int]*plan.Value{}, texts: map[int]string{}, lists: map[int][]json.RawMessage{}}
}

// setProgram says what the execution carries out, and what its expressions read of the session.
func (x *journaled) setProgram(p *plan.Program, session schemas.Value) {
	x.program = p
	x.inputs = plan.NewValue(json.RawMessage(records.OrElse(p.Definition.Plan.Inputs, "{}")))
	x.session = plan.NewValue(json.RawMessage(records.OrElse(session, "{}")))
}

// keep caches an output for the expressions that read it.
func (x *journaled) keep(unit int, output []byte) *plan.Value {
	x.values[unit] = plan.NewValue(json.RawMessage(output))
	x.kept += len(output)
	return x.values[unit]
}

// keepText caches a text for the expressions that read it.
func (x *journaled) keepText(unit int, text string) {
	x.texts[unit] = text
	x.kept += len(text)
}

// cached is an output that keep was given, which may not be committed yet.
func (x *journaled) cached(unit int) (*plan.Value, bool) {
	v, ok := x.values[unit]
	return v, ok
}

// dropList forgets what a for_each node runs over; only a compensation reads it again.
func (x *journaled) dropList(node int) { delete(x.lists, node) }

// cachedLists counts the lists of for_each nodes in memory.
func (x *journaled) cachedLists() int { return len(x.lists) }

// trim drops what is cached where that is too much; it is read again when an expression asks for it.
func (x *journaled) trim() {
	if x.kept > maxKept {
		x.forget()
	}
}

func (x *journaled) forget() {
	clear(x.values)
	clear(x.texts)
	x.kept = 0
}

// maxKept is how many bytes of outputs an execution keeps in memory between two commits.
const maxKept = 16 << 20

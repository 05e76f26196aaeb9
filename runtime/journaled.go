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

// forget drops what keep holds; it is read again when somebody asks.
func (x *journaled) forget() {
	clear(x.values)
	clear(x.texts)
	x.kept = 0
}

// maxKept is how many bytes of outputs an execution keeps in memory between two commits; what is dropped is read again.
const maxKept = 16 << 20

package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// world is a small real downstream: one realm, r, in this process, with a ledger of every call that happened. Its tools are read, idempotent
// and once, named for their effect. What a call does is said by its inputs, see deed.
type world struct {
	mu          sync.Mutex
	stops       []func() // of every process in it
	ledger      []entry
	failed      map[string]int
	effects     map[string]int           // of calls that run, by id
	held        map[string]chan struct{} // by id, see release
	tools       map[string]plan.Tool     // changed since, by name
	health      []schemas.RealmHealth
	annotations map[string]string // annotations of the tools
}

type entry struct {
	tool, id, key string
}

// deed is what a call does, as its inputs say.
type deed struct {
	ID    string          `json:"id"`    // for the ledger
	Give  json.RawMessage `json:"give"`  // its output; {"id": …} where it is left out
	Text  string          `json:"text"`  // of its answer
	Sent  json.RawMessage `json:"sent"`  // content blocks of its answer, beside the output
	Take  string          `json:"take"`  // how long it takes
	Hold  bool            `json:"hold"`  // it takes until release is called with its id
	Fail  int             `json:"fail"`  // it fails this many times, and then succeeds
	Code  schemas.Code    `json:"code"`  // of these failures; tool_error where it is left out
	Mute  bool            `json:"mute"`  // it happens, and there is no answer before ctx ends
	Stuck bool            `json:"stuck"` // it happens, and does not return for an hour, also when ctx ends
	Runs  string          `json:"runs"`  // how long it runs until it happens, also when ctx ends
	Late  string          `json:"late"`  // what is known when it has run, if its caller no longer waits: answer, fail, ended
	Seen  string          `json:"seen"`  // its output is how often the calls that run and have this id have happened
}

var worldSchema = json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{
	"id":{},"give":{},"text":{"type":"string"},"sent":{"type":"array"},"take":{"type":"string"},"hold":{"type":"boolean"},"fail":{"type":"integer"},"code":{"type":"string"},"mute":{"type":"boolean"},"stuck":{"type":"boolean"},"runs":{"type":"string"},"seen":{"type":"string"},"late":{"enum":["answer","fail","ended"]}}}`)

func newWorld() *world {
	return &world{failed: map[string]int{}, effects: map[string]int{}, held: map[string]chan struct{}{}}
}

func (w *world) Catalog(context.Context, []string) plan.Catalog { return worldCatalog{w} }

// change replaces the definition of a tool.
func (w *world) change(name string, t plan.Tool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tools == nil {
		w.tools = map[string]plan.Tool{}
	}
	w.tools[name] = t
}

func (w *world) Definition(_ context.Context, realm, capability string) (plan.Tool, bool) {
	return worldCatalog{w}.Tool(realm, capability)
}

type worldCatalog struct{ w *world }

func (worldCatalog) Realms() []string { return []string{"r"} }
func (worldCatalog) Tools(string) ([]string, error) {
	return []string{"idempotent", "once", "read"}, nil
}
func (c worldCatalog) Tool(realm, name string) (plan.Tool, bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if t, changed := c.w.tools[name]; changed {
		return t, realm == "r"
	}
	switch schemas.Effect(name) {
	case schemas.EffectRead, schemas.EffectIdempotent, schemas.EffectOnce:
		return plan.Tool{Effect: schemas.Effect(name), Hash: name, InputSchema: worldSchema}, realm == "r"
	}
	return plan.Tool{}, false
}

func (w *world) Resolve(_ context.Context, realm, capability string) (schemas.Capability, error) {
	if _, ok := (worldCatalog{w}).Tool(realm, capability); !ok {
		return schemas.Capability{}, schemas.Errorf(schemas.CodeNotFound, "no capability %q in realm %q", capability, realm)
	}
	return schemas.Capability{Realm: realm, CapabilityName: capability, Effect: schemas.Effect(capability), Annotations: schemas.Object(w.annotations[capability])}, nil
}

// Discover lists one capability on each page; the cursor is the name of the last one.
func (w *world) Discover(_ context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	names, _ := worldCatalog{w}.Tools("r")
	at := slices.Index(names, q.Cursor) + 1 // nothing is before the first
	d := schemas.Discovery{Capabilities: []schemas.Capability{{Realm: "r", CapabilityName: names[at]}}}
	if at+1 < len(names) {
		d.NextCursor = names[at]
	}
	return d, nil
}

func (w *world) Health() []schemas.RealmHealth { return w.health }

func (w *world) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	var d deed
	if err := json.Unmarshal(c.Inputs, &d); err != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithOutcome(schemas.NotRun)
	}
	id := d.ID
	if id == "" {
		id = c.NodeID
	}
	if ctx.Err() != nil {
		return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.NotRun)
	}
	if err := c.CheckSend(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.ledger = append(w.ledger, entry{c.Capability, id, c.Key})
	w.failed[id]++
	fails := w.failed[id] <= d.Fail
	w.mu.Unlock()
	take, _ := time.ParseDuration(d.Take)
	if runs, _ := time.ParseDuration(d.Runs); runs > 0 {
		take = runs
		time.AfterFunc(runs, func() { w.ran(ctx, c, id, d.Late) })
	}
	switch {
	case d.Seen != "":
		return &call.Result{Output: fmt.Appendf(nil, "%d", w.happened(d.Seen)), ServedBy: c.Name()}, nil
	case d.Stuck:
		time.Sleep(time.Hour)
		return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
	case d.Mute:
		<-ctx.Done()
		return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
	case d.Hold:
		select {
		case <-w.gate(id):
		case <-ctx.Done():
			return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
		}
	case take > 0:
		t := time.NewTimer(take)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, schemas.AsError(context.Cause(ctx)).WithOutcome(schemas.Unknown)
		}
	}
	if fails {
		code, outcome := d.Code, schemas.NotRun
		if code == "" {
			code, outcome = schemas.CodeToolError, schemas.RanFailed
		}
		return nil, schemas.Errorf(code, "as asked").WithOutcome(outcome)
	}
	out := d.Give
	if len(out) == 0 {
		out, _ = json.Marshal(map[string]string{"id": id})
	}
	return &call.Result{Output: out, Text: d.Text, Content: d.Sent, ServedBy: c.Name()}, nil
}

// ran is the end of a call that runs: it happens, unless it fails or its process has ended, and is reported as asked.
func (w *world) ran(ctx context.Context, c *call.Call, id, late string) {
	if late == "" || late == "answer" {
		w.mu.Lock()
		w.effects[id]++
		w.mu.Unlock()
	}
	if late == "" || ctx.Err() == nil {
		return
	}
	gone := schemas.Errorf(schemas.CodeUnavailable, "the process has ended").WithOutcome(schemas.Unknown)
	gone.Ended = true
	switch late {
	case "answer":
		c.Late(&call.Result{Output: json.RawMessage(`"late"`), ServedBy: c.Name()}, nil)
	case "fail":
		c.Late(nil, schemas.Errorf(schemas.CodeDenied, "declined").WithOutcome(schemas.RanFailed))
	case "ended":
		c.Late(nil, gone)
	}
}

// happened is how often calls that run have happened.
func (w *world) happened(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.effects[id]
}

// gate is the channel that a held call waits for.
func (w *world) gate(id string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[id] == nil {
		w.held[id] = make(chan struct{})
	}
	return w.held[id]
}

// release ends the calls that are held with the id; it is called once.
func (w *world) release(id string) { close(w.gate(id)) }

// calls counts the ledger's entries of a tool and id; empty matches all.
func (w *world) calls(tool, id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.ledger {
		if (tool == "" || e.tool == tool) && (id == "" || e.id == id) {
			n++
		}
	}
	return n
}

// inVirtualTime runs a test in virtual time, with an empty store in memory.
func inVirtualTime(t *testing.T, test func(t *testing.T, w *world, s store.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := recordstest.Memory(t)
		w := newWorld()
		defer w.end() // a test that fails leaves processes, which would end it with a deadlock
		test(t, w, s)
	})
}

// end stops the processes that still run.
func (w *world) end() {
	w.mu.Lock()
	stops := w.stops
	w.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

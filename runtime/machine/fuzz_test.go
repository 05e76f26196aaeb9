package machine

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// FuzzSignals sends any signals to nodes that wait for them, between timeouts, suspensions and what people decide: the log gives the same
// state again after each event (sim.check), what a node has received was sent, under its name, and two nodes of which one follows the
// other never have the same signal.
func FuzzSignals(f *testing.F) {
	f.Add("psp", "paid", []byte(`7`))
	f.Add("pptspxp", "shipped", []byte(`{"a":[1,"\u202e"]}`))
	f.Add("zptrzpsxt", "", []byte(`null`))
	f.Add("xxxxppppttttss", "\x00\xff", []byte("\xff"))
	f.Add("ztpzrpks", "paid\n", []byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, script, name string, data []byte) {
		if len(script) > 24 {
			return
		}
		if !json.Valid(data) { // the edge refuses it, and names that are not UTF-8
			data = []byte(`"x"`)
		}
		name = strings.ToValidUTF8(name, "?")
		m := begin(t, `{"plan":"v1","nodes":[{"id":"a","wait_for":"paid"},{"id":"b","wait_for":{"event":"paid","timeout":"1m"},"on_error":"continue"},
			{"id":"c","wait_for":{"event":"shipped","timeout":"3m"},"on_error":"suspend","depends_on":["a"]},{"id":"d","wait_for":"paid","depends_on":["c"]}]}`)
		signal := func(name string) {
			m.attempt(schemas.Event{Type: schemas.EventSignal, Name: name, Data: schemas.Value(data)})
		}
		for _, step := range script {
			switch step {
			case 'p':
				signal("paid")
			case 's':
				signal("shipped")
			case 'x':
				signal(name)
			case 't':
				m.now = m.now.Add(time.Minute)
			case 'z':
				m.attempt(schemas.Event{Type: schemas.EventSuspending, Name: SuspendDrain})
			case 'r':
				m.attempt(schemas.Event{Type: schemas.EventResumed})
			case 'k':
				m.attempt(schemas.Event{Type: schemas.EventNodePatched, Node: "c", Patch: &schemas.NodePatch{Retry: true}})
			case 'c':
				m.attempt(schemas.Event{Type: schemas.EventCancelling, Due: new(m.now)})
			}
			m.advance()
		}
		taken := map[string]int{}
		for _, id := range []string{"a", "b", "c", "d"} {
			u := &m.s.Units[m.index(id)]
			if u.Status != schemas.NodeSucceeded {
				continue
			}
			sent := m.s.Signals[u.Signal-1]
			if sent.Name != m.s.Node(m.index(id)).Event || !sent.Taken || !bytes.Equal(u.Output, data) && string(data) != "null" {
				t.Errorf("%s has %q of %+v", id, u.Output, sent)
			}
			taken[id] = u.Signal
		}
		if d, a := taken["d"], taken["a"]; d != 0 && d == a {
			t.Errorf("a and d, which follows it, have both received signal %d", d)
		}
	})
}

package machine

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
)

//go:generate go test . -run ^TestTransitions$ -update

var update = flag.Bool("update", false, "rewrite testdata/transitions.golden")

// TestTransitions applies every event to every pair of statuses and compares the table of what is legal, and of what
// comes out, with the one that people read. What is not in the table has to be an error that changes nothing.
func TestTransitions(t *testing.T) {
	p := program(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","depends_on":["other"]},{"id":"other","wait":"1h"}]}`)
	var b strings.Builder
	b.WriteString("# Every legal transition: event, status of the execution, status of the node. Whatever is not here is refused.\n")
	pairs := 0
	for _, typ := range slices.Sorted(maps.Keys(rules)) {
		nodes := []schemas.NodeStatus{""}
		if AboutNode(typ) {
			nodes = schemas.NodeStatuses()
		}
		finals := []schemas.Status{""}
		if typ == schemas.EventFinished {
			finals = schemas.Statuses()
		}
		for _, from := range append([]schemas.Status{""}, schemas.Statuses()...) {
			for _, node := range nodes {
				for _, final := range finals {
					pairs++
					s := New(p)
					s.Status = from
					if node != "" {
						s.Units[0].Status = node
						s.derive()
					}
					before := snapshot(t, s)
					e := schemas.Event{Seq: 1, At: epoch, Type: typ, Attempt: 1, Status: final, Patch: &schemas.NodePatch{Retry: true}}
					if node != "" {
						e.Node = "n"
					}
					err := s.Apply(&e)
					legal := Legal(typ, from, node) && (final == "" || slices.Contains(ends[from], final))
					if (err == nil) != legal {
						t.Errorf("%s from %q %q: Apply returns %v, Legal %v", typ, from, node, err, legal)
					}
					if err != nil {
						if after := snapshot(t, s); after != before {
							t.Errorf("%s from %q %q was refused and changed the state", typ, from, node)
						}
						continue
					}
					if from.Terminal() {
						t.Errorf("%s changes an execution that is %s", typ, from)
					}
					line := fmt.Sprintf("%-21s %-12s → %-12s", typ, orDash(string(from)), s.Status)
					if node != "" {
						line += fmt.Sprintf(" %-12s → %s", node, s.Units[0].Status)
					}
					b.WriteString(strings.TrimRight(line, " ") + "\n")
				}
			}
		}
	}
	t.Logf("%d pairs", pairs)
	golden := filepath.Join("..", "..", "testdata", "transitions.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the table changed; look at it and run go test ./runtime/machine -update\n%s", diff)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func TestApplyRefusesWhatIsNotOfThisLog(t *testing.T) {
	m := begin(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.read"}]}`)
	for name, e := range map[string]schemas.Event{
		"a gap":           {Seq: m.s.Seq + 2, Type: schemas.EventSignal},
		"a repetition":    {Seq: m.s.Seq, Type: schemas.EventSignal},
		"an unknown node": {Seq: m.s.Seq + 1, Type: schemas.EventNodeSucceeded, Node: "x"},
		"an unknown type": {Seq: m.s.Seq + 1, Type: "node_exploded"},
	} {
		before := snapshot(t, m.s)
		if err := m.s.Apply(&e); err == nil {
			t.Errorf("%s was applied", name)
		}
		if snapshot(t, m.s) != before {
			t.Errorf("%s changed the state", name)
		}
	}
}

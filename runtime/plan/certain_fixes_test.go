package plan

import (
	"strings"
	"testing"
)

// TestSelfDependency: a node that depends on itself may have meant another one; the fix takes it out only where none can be meant.
func TestSelfDependency(t *testing.T) {
	for nodes, fixed := range map[string]bool{
		`{"id": "a", "depends_on": ["a"], "set": 1}`:                                                                         true,
		`{"id": "a", "set": 1}, {"id": "b", "depends_on": ["a", "b"], "set": 1}`:                                             true,
		`{"id": "a", "set": 1}, {"id": "b", "depends_on": ["b", "a"], "set": 1}, {"id": "c", "set": 1}`:                      true,
		`{"id": "a", "set": 1}, {"id": "b", "depends_on": ["a"], "set": 1}, {"id": "c", "depends_on": ["c", "b"], "set": 1}`: true,
		`{"id": "a", "set": 1}, {"id": "b", "depends_on": ["b"], "set": 1}`:                                                  false,
		`{"id": "b", "depends_on": ["b"], "set": 1}, {"id": "a", "set": 1}`:                                                  false,
		`{"id": "a", "set": 1}, {"id": "x", "set": 1}, {"id": "b", "depends_on": ["a", "b"], "set": 1}`:                      false,
		`{"id": "a", "set": 1}, {"id": "order_b", "depends_on": ["a", "order_b"], "set": 1}, {"id": "order_c", "set": 1}`:    true,
		`{"id": "a", "set": 1}, {"id": "orders", "depends_on": ["a", "orders"], "set": 1}, {"id": "order", "set": 1}`:        false,
	} {
		_, found := check([]byte(`{"plan": "v1", "nodes": [` + nodes + `]}`))
		fixes := 0
		for _, f := range found {
			if f.Code != codeSelfDependency {
				continue
			}
			if fixes += len(f.Fix); !strings.Contains(f.Message, "write the id of the node that it follows") {
				t.Errorf("%s: %s", nodes, f.Message)
			}
		}
		if (fixes > 0) != fixed {
			t.Errorf("%s: %d fixes, want some: %v", nodes, fixes, fixed)
		}
	}
}

// TestPathsOfDependencies: a finding about one of several names leads to it, whether those before it have a fix or not.
func TestPathsOfDependencies(t *testing.T) {
	_, found := check([]byte(`{"plan": "v1", "nodes": [{"id": "x", "set": 1}, {"id": "a", "depends_on": ["a", "gone", "lost"], "set": 1}]}`))
	var paths []string
	for _, f := range found {
		paths = append(append(paths, f.Path), f.Paths...)
	}
	if got := strings.Join(paths, " "); !strings.Contains(got, "/nodes/1/depends_on/0") || !strings.Contains(got, "/nodes/1/depends_on/1") || !strings.Contains(got, "/nodes/1/depends_on/2") {
		t.Errorf("%s: %+v", got, found)
	}
}

// TestEventsThatAreNoNames: which event was meant, no fix says.
func TestEventsThatAreNoNames(t *testing.T) {
	for _, event := range []string{`0`, `5`, `true`, `{}`, `["a"]`} {
		_, found := check([]byte(`{"plan": "v1", "nodes": [{"id": "a", "wait_for": {"event": ` + event + `}}]}`))
		if len(errorsIn(found)) == 0 || !strings.Contains(found[0].Message, "order_paid") {
			t.Errorf("%s: %+v", event, found)
		}
		for _, f := range found {
			if len(f.Fix) > 0 {
				t.Errorf("%s: %s has the fix %s", event, f.Message, f.Fix)
			}
		}
	}
}

// TestWaitThatIsNoTime: true and false have no fix to a text that no wait takes.
func TestWaitThatIsNoTime(t *testing.T) {
	for wait, fixed := range map[string]bool{"true": false, "false": false, "5": true} {
		_, found := check([]byte(`{"plan": "v1", "nodes": [{"id": "a", "wait": ` + wait + `}]}`))
		if len(errorsIn(found)) == 0 || (len(found[0].Fix) > 0) != fixed {
			t.Errorf("%s: %+v", wait, found)
		}
	}
}

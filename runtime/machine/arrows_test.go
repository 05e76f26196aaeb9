package machine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// TestArrowsOfAnExecution lists every change of an execution's status that an event can make. DESIGN has the first part;
// the second is what a suspend, a resume or a cancel means at a moment that it does not draw.
func TestArrowsOfAnExecution(t *testing.T) {
	want := strings.Fields(`
		pending→running running→suspending suspending→suspended suspended→running
		running→cancelling cancelling→cancelled
		running→compensating compensating→failed
		running→succeeded running→failed running→timed_out running→halted

		running→suspended
		suspending→running
		pending→suspended pending→timed_out
		pending→cancelling suspending→cancelling suspended→cancelling
		cancelling→compensating compensating→cancelled`)
	p := program(t, `{"plan":"v1","nodes":[{"id":"n","wait":"1h"}]}`)
	got := map[string]bool{}
	for typ := range rules {
		if AboutNode(typ) {
			continue
		}
		for _, from := range schemas.Statuses() {
			for _, end := range schemas.Statuses() { // of an event that ends an execution
				s := New(p)
				s.Status = from
				if err := s.Apply(&schemas.Event{Seq: 1, At: epoch, Type: typ, Status: end}); err == nil && s.Status != from {
					got[fmt.Sprintf("%s→%s", from, s.Status)] = true
				}
			}
		}
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("arrows (-want +got):\n%s", d)
	}
}

// TestArrowsOfANode does the same for a node: DESIGN first, then what it does not draw.
func TestArrowsOfANode(t *testing.T) {
	want := strings.Fields(`
		ready→running
		running→succeeded running→failed running→cancelled ready→skipped pending→skipped
		running→backing_off backing_off→running
		ready→held running→held
		succeeded→compensating compensating→compensated

		ready→succeeded
		pending→cancelled ready→cancelled backing_off→cancelled held→cancelled
		ready→failed backing_off→failed backing_off→held
		running→ready backing_off→ready
		held→ready held→failed
		held→succeeded backing_off→succeeded held→running
		pending→succeeded
		compensating→succeeded`)
	// pending→ready follows from another node's end, see TestDependenciesDecideTheOrder; held→skipped
	// is a patch of another kind, see TestHeldNodeSuspendsOnceNothingElseRuns.
	p := program(t, `{"plan":"v1","nodes":[{"id":"n","capability":"r.once","depends_on":["other"]},{"id":"other","wait":"1h"}]}`)
	got := map[string]bool{}
	for typ := range rules {
		if !AboutNode(typ) {
			continue
		}
		for _, status := range schemas.Statuses() {
			for _, from := range schemas.NodeStatuses() {
				s := New(p)
				s.Status, s.Units[0].Status = status, from
				s.derive()
				e := schemas.Event{Seq: 1, At: epoch, Type: typ, Node: "n", Attempt: 1, Patch: &schemas.NodePatch{Retry: true}}
				if err := s.Apply(&e); err == nil && s.Units[0].Status != from {
					got[fmt.Sprintf("%s→%s", from, s.Units[0].Status)] = true
				}
			}
		}
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(got))); d != "" {
		t.Errorf("arrows (-want +got):\n%s", d)
	}
}

func TestBackoffFollowsThePolicy(t *testing.T) {
	policy := func(change func(*schemas.Retry)) schemas.Retry {
		r := schemas.Retry{InitialInterval: schemas.Duration(time.Second), BackoffCoefficient: 3, MaxInterval: schemas.Duration(20 * time.Second), Jitter: new(0.0)}
		change(&r)
		return r
	}
	for _, tt := range []struct {
		name   string
		policy schemas.Retry
		after  int
		random float64
		want   string
	}{
		{"initial_interval, then times backoff_coefficient, up to max_interval", policy(func(*schemas.Retry) {}), 0, 0.9, "1s 3s 9s 20s 20s"},
		{"after two failures", policy(func(*schemas.Retry) {}), 2, 0.9, "9s 20s 20s 20s 20s"},
		{"coefficient 1", policy(func(r *schemas.Retry) { r.BackoffCoefficient = 1 }), 0, 0.9, "1s 1s 1s 1s 1s"},
		{"jitter, shortest", policy(func(r *schemas.Retry) { r.Jitter = new(0.5) }), 0, 0, "500ms 1.5s 4.5s 10s 10s"},
		{"jitter, middle", policy(func(r *schemas.Retry) { r.Jitter = new(0.5) }), 0, 0.5, "1s 3s 9s 20s 20s"},
		{"a huge coefficient", policy(func(r *schemas.Retry) { r.BackoffCoefficient = 1e9 }), 0, 0.5, "1s 20s 20s 20s 20s"},
	} {
		b := plan.Backoff(tt.policy, tt.after, func() float64 { return tt.random })
		var got []string
		for range 5 {
			d, stop := b.Next()
			if stop {
				t.Errorf("%s: it ends", tt.name)
			}
			got = append(got, d.String())
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestSkippedParentsUnderEveryRule(t *testing.T) {
	for rule, want := range map[schemas.TriggerRule]schemas.NodeStatus{
		schemas.AllSuccess: schemas.NodeSkipped, schemas.NoneFailed: schemas.NodeRunning, schemas.AllDone: schemas.NodeRunning,
		schemas.OneSuccess: schemas.NodeRunning, schemas.OneFailed: schemas.NodeRunning,
	} {
		m := begin(t, fmt.Sprintf(`{"plan":"v1","nodes":[
			{"id":"one","capability":"r.read","on_error":"continue"},{"id":"skipped","capability":"r.read","depends_on":["one"]},
			{"id":"two","capability":"r.read"},
			{"id":"child","capability":"r.read","depends_on":["skipped","two"],"trigger_rule":%q}]}`, rule))
		m.fail("one", toolError)
		m.succeed("two")
		if rule == schemas.OneFailed {
			want = schemas.NodeSkipped // a skip is no failure
		}
		if got := m.status("child"); got != want {
			t.Errorf("%s: the child of a skipped and a succeeded parent is %s, want %s", rule, got, want)
		}
	}
}

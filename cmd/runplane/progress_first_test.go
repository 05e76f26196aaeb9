package main

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestWhatHappenedBeforeTheFirstLookIsShownWhole: nodes that ended before the display began are shown with their error, like later ones.
func TestWhatHappenedBeforeTheFirstLookIsShownWhole(t *testing.T) {
	e := schemas.Execution{ExecutionID: "x", Nodes: []schemas.NodeView{
		{ID: "order", Status: schemas.NodeFailed, Capability: "shop.get_order", DurationMS: 2, Error: schemas.Errorf(schemas.CodeToolError, "no order")},
		{ID: "risk", Status: schemas.NodeSucceeded, Degraded: true, ServedBy: "fraud.basic"},
		{ID: "mail", Status: schemas.NodePending},
	}}
	var out strings.Builder
	newProgress(&out, e, false, func() (int, int, bool) { return 0, 0, false })
	want := "execution x\n  order  failed       shop.get_order  2ms  tool_error: no order\n  risk   succeeded    degraded: served by fraud.basic\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

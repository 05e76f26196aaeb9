package expr

import "testing"

func TestRenameRoots(t *testing.T) {
	for text, want := range map[string]string{
		"${nodes.order.x} > 0 && ${order.x}": "${nodes.order.x} > 0 && ${nodes.order.x}",
		"order.x > nodes.order.y":            "nodes.order.x > nodes.order.y",
		"order: $${order} ${order}":          "order: $${order} ${nodes.order}",
		"${'order' + order.x} and ${order}":  "${'order' + nodes.order.x} and ${nodes.order}",
		"${order":                            "${order",
	} {
		if got := RenameRoots(text, "order", "nodes.order"); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// chaosPlan is plan number n, of a random shape. Each plan refunds a different amount for its order, so that a verification
// finds only its own refund.
func chaosPlan(n int, r *rand.Rand) json.RawMessage {
	order, cents := fmt.Sprintf("A-%d", 1+n%40), 1+n/40
	shape := r.IntN(len(chaosShapes))
	if cents > 500 && shape == 1 {
		shape = 0
	}
	b, err := json.Marshal(map[string]any{"plan": "v1", "name": fmt.Sprint("chaos ", n), "priority": 1 + n%5, "nodes": chaosShapes[shape](order, cents, r)})
	if err != nil {
		panic(err)
	}
	return b
}

// planNode makes one node: id, kind, and pairs of a field and its value.
func planNode(id string, fields ...any) map[string]any {
	m := map[string]any{"id": id}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	return m
}

type object = map[string]any

var chaosShapes = []func(order string, cents int, r *rand.Rand) []object{
	// A chain of every effect; calls of unknown outcome are held for the client.
	func(order string, _ int, _ *rand.Rand) []object {
		return []object{
			planNode("order", "capability", "shop.get_order", "inputs", object{"id": order}),
			planNode("reserve", "capability", "shop.reserve", "inputs", object{"sku": "${nodes.order.output.items[0].sku}", "qty": 1}),
			planNode("charge", "capability", "shop.charge", "inputs", object{"order": order, "cents": 5}, "depends_on", []string{"reserve"}),
			planNode("mail", "capability", "shop.send_mail", "inputs", object{"to": "a", "text": "charged"}, "depends_on", []string{"charge"}),
			planNode("check", "capability", "shop.get_order", "inputs", object{"id": order}, "depends_on", []string{"mail"}),
		}
	},
	// A refund that can be verified.
	func(order string, cents int, _ *rand.Rand) []object {
		return []object{
			planNode("order", "capability", "shop.get_order", "inputs", object{"id": order}),
			planNode("refund", "capability", "shop.refund", "inputs", object{"order": "${nodes.order.output.id}", "cents": cents}, "on_unknown", object{"verify": object{
				"capability": "shop.find_refund", "inputs": object{"order": order}, "happened": fmt.Sprintf("${output.items.exists(i, i.cents == %d)}", cents),
			}}),
			planNode("reserve", "capability", "shop.reserve", "inputs", object{"sku": "x", "qty": 2}, "depends_on", []string{"refund"}),
		}
	},
	// A fan-out of once calls; an unknown one fails, and the others go on.
	func(order string, _ int, r *rand.Rand) []object {
		var to []string
		for i := range 4 + r.IntN(12) {
			to = append(to, fmt.Sprint("customer", i))
		}
		return []object{
			planNode("order", "capability", "shop.get_order", "inputs", object{"id": order}),
			planNode("mails", "capability", "shop.send_mail", "for_each", to, "max_parallel", 1+r.IntN(6), "inputs", object{"to": "${item}", "text": "${nodes.order.output.id}"},
				"on_error", "continue", "on_unknown", "fail"),
			planNode("done", "set", object{"n": "${size(nodes.mails.output)}"}),
		}
	},
	// A charge that is slower than its timeout, goes on, and is asked for.
	func(order string, cents int, r *rand.Rand) []object {
		order = fmt.Sprint(order, "-", cents)
		return []object{
			planNode("slow", "capability", "slow.charge", "inputs", object{"order": order, "ms": r.IntN(2500)}, "timeout", "1s", "on_unknown", object{"verify": object{
				"capability": "slow.find_charges", "inputs": object{"order": order}, "happened": "${size(output.items) > 0}",
			}}),
			planNode("mail", "capability", "shop.send_mail", "inputs", object{"to": "c", "text": "charged"}, "depends_on", []string{"slow"}),
		}
	},
	// Waits: for a time and for an event that the client sends.
	func(order string, _ int, r *rand.Rand) []object {
		return []object{
			planNode("nap", "wait", fmt.Sprintf("%dms", 100+r.IntN(3000))),
			planNode("go", "wait_for", "go", "depends_on", []string{"nap"}),
			planNode("charge", "capability", "shop.charge", "inputs", object{"order": order, "cents": 7}, "depends_on", []string{"go"}),
		}
	},
	// A review, and the approval of a once call.
	func(order string, _ int, _ *rand.Rand) []object {
		return []object{
			planNode("order", "capability", "shop.get_order", "inputs", object{"id": order}),
			planNode("ask", "review", "May ${nodes.order.output.customer} be charged?"),
			planNode("charge", "capability", "shop.charge", "inputs", object{"order": order, "cents": 9}, "depends_on", []string{"ask"}, "safety_level", "review"),
		}
	},
	// Many reads and idempotent calls at once, joined by one once call.
	func(order string, _ int, r *rand.Rand) []object {
		var all []object
		var ids []string
		for i := range 4 + r.IntN(8) {
			id := fmt.Sprint("n", i)
			ids = append(ids, id)
			if i%2 == 0 {
				all = append(all, planNode(id, "capability", "shop.get_order", "inputs", object{"id": order}))
			} else {
				all = append(all, planNode(id, "capability", "shop.reserve", "inputs", object{"sku": id, "qty": 1}))
			}
		}
		return append(all, planNode("mail", "capability", "shop.send_mail", "inputs", object{"to": "b", "text": "done"}, "depends_on", ids))
	},
}

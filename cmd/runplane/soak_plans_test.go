//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
)

// soakShape is one row: how often its plans are submitted, how they are made, and how they must end.
type soakShape struct {
	name   string
	weight int
	nodes  func(n int, r *rand.Rand) []object
	plan   object // further fields of the plan

	status schemas.Status
	want   map[string]nodeWant // by node; every other one succeeds, undegraded
	held   map[string]string   // nodes that need a decision, and the reason; with a question mark if it may not happen: "unknown?"
	once   []string            // nodes whose call must stand in the ledger of its realm once, and once alone
	cancel bool                // the client cancels it once it runs
}

// nodeWant is how a node must end. A zero field is not checked.
type nodeWant struct {
	status   schemas.NodeStatus
	code     schemas.Code // of its error
	servedBy string       // by a fallback, so that it is degraded
	either   bool         // it may be degraded or not
	attempts int
}

// instead is the fallback value in the policy of doomed.
const instead = "fallback value"

var (
	stoodIn   = nodeWant{status: schemas.NodeSucceeded, servedBy: instead}
	skipped   = nodeWant{status: schemas.NodeSkipped}
	cancelled = nodeWant{status: schemas.NodeCancelled}
	failed    = func(code schemas.Code) nodeWant { return nodeWant{status: schemas.NodeFailed, code: code} }
)

func anOrder(n int) string { return fmt.Sprintf("A-%d", 1+n%40) }

// briefly limits the wait of a node whose capability has an open breaker most of the time.
var briefly = []any{"total_timeout", "5s"}

// aValue is a fallback of a node.
var aValue = []any{"fallback", []object{{"value": object{"served": "instead"}}}}

func with(more ...[]any) (fields []any) {
	for _, m := range more {
		fields = append(fields, m...)
	}
	return fields
}

var soakShapes = []soakShape{
	{name: "chain of every effect", weight: 6, status: schemas.StatusSucceeded, once: []string{"charge", "mail"},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{
				planNode("order", "capability", "shop.get_order", "inputs", object{"id": anOrder(n)}),
				planNode("reserve", "capability", "shop.reserve", "inputs", object{"sku": "${nodes.order.output.items[0].sku}", "qty": 1}),
				planNode("charge", "capability", "shop.charge", "inputs", object{"order": anOrder(n), "cents": 5}, "depends_on", []string{"reserve"}),
				planNode("mail", "capability", "shop.send_mail", "inputs", object{"to": "a", "text": "charged"}, "depends_on", []string{"charge"}),
			}
		}},
	{name: "failure that ends it", weight: 2, status: schemas.StatusFailed, once: []string{"charge"},
		want: map[string]nodeWant{"missing": failed(schemas.CodeToolError), "mail": cancelled},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{
				planNode("charge", "capability", "shop.charge", "inputs", object{"order": anOrder(n), "cents": 6}),
				planNode("missing", "capability", "shop.get_order", "inputs", object{"id": "Z-1"}, "depends_on", []string{"charge"}),
				planNode("mail", "capability", "shop.send_mail", "inputs", object{"to": "a", "text": "never"}, "depends_on", []string{"missing"}),
			}
		}},
	{name: "failure that is undone", weight: 2, status: schemas.StatusFailed, once: []string{"refund"},
		want: map[string]nodeWant{"refund": {status: schemas.NodeCompensated}, "missing": failed(schemas.CodeToolError)},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{
				planNode("refund", "capability", "shop.refund", "inputs", object{"order": anOrder(n), "cents": 1},
					"compensate", object{"capability": "shop.void_refund", "inputs": object{"id": "${nodes.refund.output.id}"}}),
				planNode("missing", "capability", "shop.get_order", "inputs", object{"id": "Z-1"}, "depends_on", []string{"refund"}, "on_error", "compensate"),
			}
		}},
	{name: "retries", weight: 2, status: schemas.StatusSucceeded, want: map[string]nodeWant{"third": {status: schemas.NodeSucceeded, attempts: 3}},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{planNode("third", "capability", "moody.fail_times", "inputs", object{"key": fmt.Sprint("soak", n), "times": 2},
				"retry", object{"max_attempts": 3, "initial_interval": "20ms"})}
		}},
	{name: "realm that dies in each call", weight: 1, status: schemas.StatusSucceeded, want: map[string]nodeWant{"crash": stoodIn},
		nodes: func(int, *rand.Rand) []object {
			return []object{
				planNode("crash", with([]any{"capability", "doomed.crash"}, briefly)...),
				planNode("after", "set", object{"served": "${nodes.crash.output.served}"}),
			}
		}},
	{name: "realm that is killed", weight: 5, status: schemas.StatusSucceeded, held: map[string]string{"charge": "unknown?"}, once: []string{"charge"},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{
				planNode("order", "capability", "flap.get_order", "inputs", object{"id": anOrder(n)}),
				planNode("reserve", "capability", "flap.reserve", "inputs", object{"sku": "${nodes.order.output.items[0].sku}", "qty": 1}),
				planNode("charge", "capability", "flap.charge", "inputs", object{"order": anOrder(n), "cents": 5}, "depends_on", []string{"reserve"}),
			}
		}},
	{name: "realm over HTTP that goes and comes", weight: 5, status: schemas.StatusSucceeded, held: map[string]string{"charge": "unknown?"}, once: []string{"charge"},
		want: map[string]nodeWant{"order": {status: schemas.NodeSucceeded, either: true}},
		nodes: func(n int, _ *rand.Rand) []object {
			return []object{
				planNode("order", "capability", "web.get_order", "inputs", object{"id": anOrder(n)}),
				planNode("charge", "capability", "web.charge", "inputs", object{"order": "${nodes.order.output.id}", "cents": 5}),
			}
		}},
	{name: "realm that hangs", weight: 1, status: schemas.StatusSucceeded, held: map[string]string{"hang": schemas.ReasonUnknown},
		nodes: func(int, *rand.Rand) []object {
			return []object{
				planNode("hang", "capability", "stuck.hang"),
				planNode("after", "set", object{"known": "${nodes.hang.output.known}"}),
			}
		}},
	{name: "realm that hangs, of no consequence", weight: 1, status: schemas.StatusSucceeded,
		want: map[string]nodeWant{"hang": failed(schemas.CodeOutcomeUnknown), "after": skipped},
		nodes: func(int, *rand.Rand) []object {
			return []object{
				planNode("hang", "capability", "stuck.hang", "on_unknown", "fail", "on_error", "continue"),
				planNode("after", "set", object{"x": 1}, "depends_on", []string{"hang"}),
			}
		}},
	{name: "answer beyond the limit", weight: 1, status: schemas.StatusSucceeded, want: map[string]nodeWant{"big": failed(schemas.CodePayloadTooLarge)},
		nodes: func(int, *rand.Rand) []object {
			return []object{planNode("big", "capability", "flood.big", "inputs", object{"bytes": 20 << 20}, "on_error", "continue")}
		}},
	{name: "large answers", weight: 1, status: schemas.StatusSucceeded,
		nodes: func(int, *rand.Rand) []object {
			return []object{
				planNode("big", "capability", "flood.big", "inputs", object{"bytes": 100 << 10}, "for_each", []int{1, 2, 3}),
				planNode("size", "set", object{"n": "${size(nodes.big.output[2])}"}),
			}
		}},
	{name: "lies", weight: 3, status: schemas.StatusSucceeded, want: map[string]nodeWant{"lie": stoodIn},
		nodes: func(_ int, r *rand.Rand) []object {
			lie := liars[r.IntN(len(liars))] + "." + []string{"misaddress", "garbage", "no_result"}[r.IntN(3)]
			return []object{planNode("lie", with([]any{"capability", lie}, briefly, aValue)...)}
		}},
	{name: "storm of notifications", weight: 1, status: schemas.StatusSucceeded,
		nodes: func(_ int, r *rand.Rand) []object {
			return []object{planNode("storm", "capability", liars[r.IntN(len(liars))]+".storm", "timeout", "30s")}
		}},
	{name: "definition that changes", weight: 1, status: schemas.StatusSucceeded, held: map[string]string{"use": schemas.ReasonDrift},
		nodes: func(int, *rand.Rand) []object {
			return []object{
				planNode("change", "capability", "liar.redefine", "timeout", "30s"),
				planNode("settle", "wait_for", "known", "depends_on", []string{"change"}),
				planNode("use", "capability", "liar.echo", "inputs", object{"msg": "x"}, "depends_on", []string{"settle"}, "timeout", "30s"),
			}
		}},
	{name: "definition that may change", weight: 1, status: schemas.StatusSucceeded,
		nodes: func(_ int, r *rand.Rand) []object {
			liar := liars[1+r.IntN(2)]
			return []object{
				planNode("change", "capability", liar+".redefine", "timeout", "30s"),
				planNode("settle", "wait", "1s", "depends_on", []string{"change"}),
				planNode("use", "capability", liar+".echo", "inputs", object{"msg": "x"}, "depends_on", []string{"settle"}, "timeout", "30s"),
			}
		}},
	{name: "more calls than there is room", weight: 1, status: schemas.StatusSucceeded,
		nodes: func(int, *rand.Rand) []object {
			return []object{planNode("naps", "capability", "slow.sleep", "for_each", make([]int, 24), "max_parallel", 16, "inputs", object{"ms": 30})}
		}},
	{name: "timeout of the whole", weight: 1, status: schemas.StatusTimedOut, plan: object{"timeout": "400ms"},
		want: map[string]nodeWant{"nap": cancelled, "never": cancelled},
		nodes: func(int, *rand.Rand) []object {
			return []object{planNode("nap", "capability", "slow.sleep", "inputs", object{"ms": 60_000}), planNode("never", "set", object{"x": 1}, "depends_on", []string{"nap"})}
		}},
	{name: "cancelled by its client", weight: 1, status: schemas.StatusCancelled, cancel: true, want: map[string]nodeWant{"nap": cancelled},
		nodes: func(int, *rand.Rand) []object {
			return []object{planNode("nap", "capability", "slow.sleep", "inputs", object{"ms": 60_000})}
		}},
}

var liars = []string{"liar", "liarweb", "liarsse"}

// soakPlan makes plan number n of a shape.
func (s *soakShape) soakPlan(n int, r *rand.Rand) object {
	p := object{"plan": "v1", "name": fmt.Sprint(s.name, " ", n), "priority": 1 + n%5, "nodes": s.nodes(n, r)}
	for k, v := range s.plan {
		p[k] = v
	}
	return p
}

// soakDeck has each shape as often as its weight says, in random order.
func soakDeck(r *rand.Rand) (deck []*soakShape) {
	for i := range soakShapes {
		deck = append(deck, slices.Repeat([]*soakShape{&soakShapes[i]}, soakShapes[i].weight)...)
	}
	r.Shuffle(len(deck), func(i, k int) { deck[i], deck[k] = deck[k], deck[i] })
	return deck
}

// soakPatience is how long an execution may take in total, on a busy machine.
const soakPatience = 3 * time.Minute

// Package plan turns what an agent wrote into a program that the machine can run, and proves it before anything runs.
// It is pure: no clock, no I/O, no goroutine.
//
//	source ── Parse ──▶ schemas.Plan ── Compile(catalog) ──▶ Program ── store Definition ──▶ Load ──▶ Program
//	         shape, aliases           meaning, tools, types      │
//	                                                             ├─ Node: every default resolved, dependencies both ways
//	                                                             └─ Template: Render, Bool, Text with a Scope
//
// [Parse] judges the shape (fields.go is the language as tables), [Compile] the meaning: ids, kinds and settings,
// dependencies, expressions, cycles, then the tools of the catalog. Each finding has a code, a JSON pointer into the
// plan in canonical form, a sentence and, where one is known, a JSON Patch that repairs it. Fixes apply in the order of
// the findings. One slip is one finding: after a misspelt field or a bad id the rest is judged as if it were repaired.
// The bare forms of wait_for, review, workflow, fallback, compensate and on_unknown are canonical enough: no finding
// tells of them, and those inside them point at the bare string.
//
// What a node calls is a [Target], whether it is its own capability, a fallback, a compensation or a verification; each
// has inputs, settings, a pin and a check of its own. Dependencies come from what all of these read, with two rules: a
// compensation may read its own node and nothing that runs after it, and a verification reads its answer as output.
// With for_each others read a node's output as the list of its items' outputs; a compensation reads its own item's.
//
// A plan within a plan (workflow: {definition}) is a [Program] of its own that reads its own nodes and inputs alone. The
// outermost definition holds the pins of all, and limits count all nodes. What is known of a value before anything ran
// (known.go) comes from tools' output schemas, from inputs, and from how set nodes, reviews and outputs are written.
//
// [Load] rebuilds a program from what was stored when it was accepted, without tools: the pins say what they were. It
// finds dependencies from the tokens of the expressions alone; compile has made sure that the language reads the same
// nodes.
//
// # Expressions
//
// ${…} in any string of when, for_each, set, wait, a question, an output, a fallback's value and the inputs and outputs
// of every call. A string that is nothing else becomes the value with its
// type; elsewhere values are interpolated, strings as they are and the rest as compact JSON; $${ is a literal ${. Keys
// are not evaluated, and what an expression yields never is.
//
// Plain paths (nodes.order.output.items[0].sku) are read from the JSON text and copied byte for byte, so large numbers
// and key order survive. All else is CEL behind [Evaluator]: the standard library, the string, list, math, set and bind
// extensions, optional values, and json.encode, json.decode, base64.encode and base64.decode.
//
//   - A number without fraction and exponent is an int as long as 64 bits hold it, else a double.
//   - int and double mix in comparison and in + - * /; an int beyond 2^53 beside a double is an error, not a rounding.
//     Two ints divide to an int.
//   - A missing key is an error that names the nearest one; has(x.y) and x.?y.orValue(z) ask first.
//   - item and index (for_each), output (a verification) and state (the until of wait_for) are free names elsewhere, and as variables of macros.
//   - Nodes are named one by one, because the plan's order is made from these names: nodes[x] is refused.
//   - An evaluation is bounded in steps, in the size of its texts and in the size of its result.
package plan

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
// of every call. A string that is nothing else becomes the value with its type; elsewhere values are interpolated,
// strings as they are and the rest as compact JSON; $${ is a literal ${. Keys are not evaluated, and what an expression
// yields never is. Package expr is their language.
package plan

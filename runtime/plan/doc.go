// Package plan owns the plan language: it reads what an agent wrote, reports everything that is wrong with it as findings
// with fixes, and compiles it to a [Program] that the machine runs. Package engine calls [Parse] and [Compile] when a plan is
// submitted or validated, and package journal [Load] when it reads an execution; package machine reads programs. It is pure: no
// clock, no I/O, no goroutine. Text is read by package document and expressions belong to package expr; plan knows nothing of
// stores, realms or executions. Its one hook is [Catalog], the tools that it checks against.
//
//	source ── Parse ──▶ schemas.Plan ── Compile(catalog) ──▶ Program ── store Definition ──▶ Load ──▶ Program
//	         shape, aliases           meaning, tools, types      │
//	                                                             ├─ Node: every default resolved, dependencies both ways
//	                                                             └─ expr.Template: Render, Bool, Text with a Scope
//
// [Parse] checks the shape by the tags of the types in package schemas, [Compile] the meaning: ids, kinds and settings,
// dependencies, expressions, cycles, then the tools of the catalog. Each finding has a code, a JSON pointer into the
// plan in canonical form, a sentence and, where one is known, a JSON Patch that repairs it. Fixes apply in the order of
// the findings. One mistake is one finding: after a misspelt field or a bad id the rest is checked as if it were
// repaired. The bare forms of wait_for, review, workflow, fallback, compensate and on_unknown are canonical too: there is
// no finding for them, and findings inside them point at the bare string.
//
// What a node calls is a [Target], whether it is its own capability, a fallback, a compensation or a verification; each
// has inputs, settings, a pin and a check of its own. Dependencies come from what all of these read, with two rules: a
// compensation may read its own node and nothing that runs after it, and a verification reads its answer as output.
// With for_each other nodes read a node's output as the list of its items' outputs; a compensation reads its own item's.
//
// A plan within a plan (workflow: {definition}) is a [Program] of its own that reads only its own nodes and inputs. The
// outermost definition holds the pins of all, and limits count all nodes. What is known of a value before the plan runs
// (known.go) comes from tools' output schemas, from inputs, and from literal values of set nodes, reviews and outputs.
//
// [Load] rebuilds a program from what was stored when it was accepted, without tools: the pins are what they were. It
// finds dependencies from the tokens of the expressions; Compile has checked that the language reads the same nodes.
//
// With repeat a node makes its call in rounds: until, every and collect are read after each of them, with its answer as output, that of the
// round before as previous, null at first, and its number as index; the inputs read previous and index. A compensation of such a node
// undoes the node once, not its rounds, so it is refused where a round has the effect once; and a call with that effect is repeated only if
// the plan says so. for_each and repeat do not stand on one node: index would mean two things.
//
// # Expressions
//
// ${…} in any string of when, for_each, set, wait, a question, an output, a fallback's value and the inputs and outputs
// of every call. A string that is nothing else becomes the value with its type; elsewhere values are interpolated,
// strings as they are and the rest as compact JSON; $${ is a literal ${. Keys are not evaluated, and neither is what an
// expression yields.
package plan

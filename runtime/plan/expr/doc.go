// Package expr owns the expressions of plans: what is written between ${ and } in a JSON value, what it reads, what is
// wrong with it, and its value for a [Scope]. Package plan compiles templates and checks them; package engine renders
// them. Its one hook is Scope, which package journal implements. It is pure (no clock, no I/O; a context interrupts it) and imports nothing of package plan.
//
// Plain paths (nodes.order.output.items[0].sku) are read from the JSON text and copied byte for byte, so large numbers
// and key order survive. Everything else is CEL, evaluated by an [Evaluator]: the standard library, the string, list, math, set and bind
// extensions, optional values, and functions of ours: sums, groups and joins of lists and maps, parts of texts by pattern, encodings (JSON,
// base64, URLs, CSV), layouts of times, and the first value that is there.
//
//   - A number without fraction and exponent is an int as long as 64 bits hold it, else a double.
//   - int and double mix in comparison and in + - * /; an int beyond 2^53 beside a double is an error, not a rounding.
//     Two ints divide to an int.
//   - A missing key is an error that names the nearest one; has(x.y) and x.?y.orValue(z) ask first.
//   - An element that a function takes out of a list has the type that it had there, whatever is done with it later (cel_untyped.go).
//   - Keys of an object come in alphabetical order, those of groupBy and toMap as they were found.
//   - item and index (for_each), output (a verification) and state (the until of wait_for) are free names elsewhere, and
//     as variables of macros.
//   - Nodes are named one by one, because the plan's order is made from these names: nodes[x] is refused.
//   - An evaluation is bounded in steps, in the size of its texts and in the size of its result. A step stands for a limited time and a
//     limited number of bytes, so that the bound is the same on every machine: a call whose work depends on its arguments is priced before
//     it is made (cel_price.go).
//
// # Expressions of other languages
//
// Authors write JavaScript, Python, Jinja and JSONPath. [Rewrite] reads any mixture of these with this language (foreign_lexer.go,
// foreign_parse.go: operators), replaces functions by the rows of one table (foreign_rows.go), asks [Names] what references mean, and prints
// the result (foreign_tree.go). What has no form here gives a sentence. [Spots] and [WholeSpot] find templates of other languages in texts.
// Package plan makes findings of both; it gives a fix only where the result compiles.
package expr

// Package document reads YAML and JSON text into a [Tree] whose parts keep their bytes and their line and column, and
// writes trees and strings as JSON. It owns the syntax of documents: anchors and aliases, merge keys, duplicate keys,
// limits of size and depth, positions. Package plan and the configuration read text through it, and package expr reads
// values with it; it knows nothing of plans, configurations or expressions, and calls no hooks.
package document

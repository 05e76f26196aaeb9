// Package schemas holds the nouns on the wire: plans, executions, events, capabilities, errors. It is pure data; what it
// knows beyond its shape is how to parse, default, validate and describe itself as JSON Schema.
package schemas

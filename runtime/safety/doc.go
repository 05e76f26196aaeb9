// Package safety is the contract Safety: reviews, which a person decides. It owns no record: a review is a held node of an execution, found
// by an index term of its head. The façade, the tools and the command line call it. It decides through [engine.Engine.Decide] alone, and
// calls no hook.
package safety

package plan

import _ "embed"

// Reference is the plan language on one page, for a model that is to write a plan. A test runs its examples.
//
//go:embed reference.md
var Reference string

// Card is the plan language in MaxCard bytes, for every place where a model is about to write a plan: the tool that executes it, the
// prompt, the reference, and the error about a plan with many errors.
//
//go:embed card.md
var Card string

// MaxCard is the most bytes of Card.
const MaxCard = 1331

package plan

import _ "embed"

// Reference is the plan language on one page, for a model that is to write a plan. A test runs its examples.
//
//go:embed reference.md
var Reference string

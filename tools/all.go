package tools

import "slices"

// All lists the methods of every contract, in the order in which clients see them.
func All() []Method {
	return slices.Concat(
		Execution(),
		Session(),
		State(),
		Capability(),
	)
}

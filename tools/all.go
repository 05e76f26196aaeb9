package tools

import "slices"

// All lists the methods of every contract, in the order in which clients see them.
func All() []Method {
	return slices.Concat(
		Execution(),
		Session(),
		State(),
		Workflow(),
		Capability(),
		Queue(),
		Health(),
	)
}

// For lists what a client may use: an operator everything, anybody else what is not for operators alone.
func For(operator bool) []Method {
	return slices.DeleteFunc(All(), func(m Method) bool { return m.Operator && !operator })
}

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

// For lists the methods that a client may call: an operator all of them, other clients those that are not only for operators.
func For(operator bool) []Method {
	return slices.DeleteFunc(All(), func(m Method) bool { return m.Operator && !operator })
}

package store

// Condition is something about a store that an operator should see while it works.
type Condition struct {
	Message string
	Cure    string
}

// Conditioned is a Store that knows its conditions. An implementation need not be one.
type Conditioned interface {
	// Conditions returns what an operator should see now. It reads memory only.
	Conditions() []Condition
}

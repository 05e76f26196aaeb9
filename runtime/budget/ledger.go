package budget

import "github.com/runplane/runplane/schemas"

// Ledger is what an execution keeps of its budget and of its places. How many executions below the root may be open at once is shared in
// the same way as the budget, as places; but a child never asks for more of them. It gets places for itself and for at least one chain of
// executions below it, so every execution can make one child after the other. The JSON names are in snapshots on disk.
type Ledger struct {
	Settled   schemas.Budget `json:",omitzero"`  // what children that ended have used
	Allowance schemas.Budget `json:",omitzero"`  // of a child: what its parent has granted it
	OwnPlaces int            `json:",omitempty"` // of a child: how many executions it may be with those below it that are open

	limits     *schemas.Budget // of a root
	rootPlaces int             // of a root
	granted    schemas.Budget  // to children that are open
	placesUsed int             // by them
}

// SetBudget sets the limits of a root, and how many executions below it may be open at once. They are not stored. An
// execution that has a parent has what that one grants it.
func (l *Ledger) SetBudget(limits schemas.Budget, places int) {
	l.limits, l.rootPlaces = &limits, places
}

// Forget forgets the children that are open, to count them again with Open.
func (l *Ledger) Forget() { l.granted, l.placesUsed = schemas.Budget{}, 0 }

// Open counts a child that has a grant, which may be nil, and places.
func (l *Ledger) Open(grant *schemas.Budget, places int) {
	l.Regrant(nil, grant)
	l.placesUsed += places
}

// Regrant replaces what an open child is granted.
func (l *Ledger) Regrant(had, has *schemas.Budget) {
	if had != nil {
		l.granted = l.granted.Minus(*had)
	}
	if has != nil {
		l.granted = l.granted.Plus(*has)
	}
}

// Close takes back what a child has not used. A child that is given up before it has ended counts with all that it was granted.
func (l *Ledger) Close(grant *schemas.Budget, places int, used *schemas.Budget) {
	if used == nil {
		used = grant
	}
	if used != nil {
		l.Settled = l.Settled.Plus(*used)
	}
	l.Regrant(grant, nil)
	l.placesUsed -= places
}

// Account returns what the execution may use and has used: itself, and by its children that ended.
func (l *Ledger) Account(itself schemas.Budget) *Account {
	a := &Account{Limits: l.Allowance, Granted: l.granted, Used: l.Settled.Plus(itself)}
	if l.limits != nil {
		a.Root, a.Limits = true, *l.limits
	}
	return a
}

// Places returns how many places a child is given that needs and can use so many: no more than half of what is free, and at least what it
// needs. ok is false if so many are not free.
func (l *Ledger) Places(need, most int) (places int, ok bool) {
	free := l.OwnPlaces - 1 - l.placesUsed
	if l.limits != nil {
		free = l.rootPlaces - l.placesUsed
	}
	return max(need, min(free/2, most)), free >= need
}

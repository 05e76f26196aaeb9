package budget

import "github.com/runplane/runplane/schemas"

// Account is what an execution may use, with those below it, and what became of that.
type Account struct {
	Root    bool           // the limits are those of the tree; of another execution they are what its parent has granted so far
	Limits  schemas.Budget // what it may use in all
	Used    schemas.Budget // by the execution, and by those below it that its children settled
	Granted schemas.Budget // to children that are open
}

// ChildCost is what the start of a child uses of the budget of its parent, beside the bytes of its plan and inputs.
var ChildCost = schemas.Budget{Executions: 1, Calls: 1}

// kinds yields every kind.
func kinds(yield func(schemas.BudgetKind) bool) {
	for k := range schemas.BudgetKinds {
		if !yield(schemas.BudgetKind(k)) {
			return
		}
	}
}

// Left returns what can still be used, or granted.
func (a *Account) Left() schemas.Budget { return a.Limits.Minus(a.Used).Minus(a.Granted) }

// atLeast is what has to be left to start anything, of what cannot be foreseen.
var atLeast = schemas.Budget{Events: 1, Bytes: 1, EvaluationMS: 1}

// Lacks returns the error of an execution of which less is left than it needs, by the first such kind; nil: enough is left.
func (a *Account) Lacks(need schemas.Budget) *schemas.Error {
	left := a.Left()
	for k := range kinds {
		if want := max(*need.Of(k), *atLeast.Of(k)); want > 0 && *left.Of(k) < want {
			return a.over(k, want)
		}
	}
	return nil
}

// over is the error of an execution that needs more of a kind than is left.
func (a *Account) over(k schemas.BudgetKind, needed int64) *schemas.Error {
	left := a.Left()
	return schemas.OverBudget(k, needed, *a.Limits.Of(k)-*left.Of(k), *a.Limits.Of(k))
}

// share is the most that a child is granted at its start. What it cannot know before it runs, such as the length of a list, it asks for.
var share = schemas.Budget{Executions: 16, Calls: 64, Items: 64, Events: 1024, Bytes: 1 << 20, EvaluationMS: 1000}

// Share returns what a child whose start costs that much is granted: what its plan may need at most if that is little, so that most children never ask. A
// root keeps the most of what is left, so that no child holds what another one asks for. A child that is a parent itself was granted what
// its own plan needs; of bytes and time, which no plan says, it keeps the most too.
func (a *Account) Share(cost, most schemas.Budget) (grant schemas.Budget) {
	left := a.Left().Minus(cost)
	for k := range kinds {
		part, planned := min(*share.Of(k), *left.Of(k)), k != schemas.BudgetBytes && k != schemas.BudgetEvaluation
		if planned {
			part = min(part, *most.Of(k))
		}
		switch {
		case a.Root:
			part = min(part, *left.Of(k)/64)
		case !planned:
			part = min(part, *left.Of(k)/16)
		}
		*grant.Of(k) = max(part, 0)
	}
	return grant
}

// Grant returns the new total of a child that has a grant and asks for a total; ok is false if less is left than it needs. What is left is
// not all given to the first that asks.
func (a *Account) Grant(has, asked, needed schemas.Budget) (total schemas.Budget, ok bool) {
	left := a.Left()
	total, ok = has, true
	for k := range kinds {
		more, least := *asked.Of(k)-*has.Of(k), max(*needed.Of(k)-*has.Of(k), 0)
		if least > 0 && least > *left.Of(k) { // more may be used than there is, which is no matter to one that needs none of it
			ok = false
		}
		if more > 0 {
			*total.Of(k) += min(more, max(least, *left.Of(k)/4))
		}
	}
	return total, ok
}

// Ask returns what a child asks its parent for if units lack what they need: the total that it would like, and the total with which it
// can continue. It asks for more than it needs now, the more it has used, so that it asks seldom; but not for executions and items, of
// which it knows how many it needs.
func (a *Account) Ask(lacking, least schemas.Budget) (asked, needed schemas.Budget) {
	left := a.Left()
	asked, needed = a.Limits, a.Limits
	for k := range kinds {
		want, must, have := max(*lacking.Of(k), *atLeast.Of(k)), max(*least.Of(k), *atLeast.Of(k)), *left.Of(k)
		if want <= have {
			continue
		}
		*asked.Of(k) += want - have
		*needed.Of(k) += max(must-have, 0)
		if k != schemas.BudgetExecutions && k != schemas.BudgetItems {
			*asked.Of(k) += max(*a.Used.Of(k), *share.Of(k))
		}
	}
	return asked, needed
}

// AskFor returns what an execution asks its own parent for so that it can grant a child what that asks and needs, and what it lacks itself.
func (a *Account) AskFor(has, asked, needed schemas.Budget) (above, aboveNeeded schemas.Budget, lacks *schemas.Error) {
	left := a.Left()
	above, aboveNeeded = a.Limits, a.Limits
	for k := range kinds {
		least := *needed.Of(k) - *has.Of(k)
		missing := least - *left.Of(k)
		if least <= 0 || missing <= 0 {
			continue
		}
		if lacks == nil {
			lacks = a.over(k, least)
		}
		*aboveNeeded.Of(k) += missing
		*above.Of(k) += max(*asked.Of(k)-*has.Of(k)-*left.Of(k), missing)
	}
	return above, aboveNeeded, lacks
}

// Most returns the larger amount of each kind.
func Most(a, b schemas.Budget) schemas.Budget {
	for k := range kinds {
		*a.Of(k) = max(*a.Of(k), *b.Of(k))
	}
	return a
}

package units

import (
	"strconv"

	"github.com/runplane/runplane/schemas"
)

// CountItems counts the items of a for_each node.
func CountItems(items []Unit) schemas.Items {
	v := schemas.Items{Total: len(items)}
	for i := range items {
		switch item := &items[i]; item.Status {
		case schemas.NodeSucceeded, schemas.NodeCompensating, schemas.NodeCompensated:
			v.Succeeded++
		case schemas.NodeFailed, schemas.NodeCancelled:
			v.Failed++
			if item.Error != nil && len(v.Errors) < schemas.MaxItemErrors {
				v.Errors = append(v.Errors, schemas.ItemError{Item: i, Error: item.Error})
			}
		case schemas.NodeRunning, schemas.NodeBackingOff, schemas.NodeHeld:
			v.Running++
		}
	}
	return v
}

// ItemsError is the error of a for_each node that has not succeeded, because of these items. minSuccess is negative if the node has none.
func ItemsError(v schemas.Items, minSuccess int) *schemas.Error {
	switch {
	case v.Total < minSuccess:
		return schemas.Errorf(schemas.CodeToolError, "the list has %d items, min_success is %d", v.Total, minSuccess).WithOutcome(schemas.NotRun)
	case minSuccess >= 0:
		err := schemas.Errorf(schemas.CodeToolError, "only %d of %d items succeeded, min_success is %d", v.Succeeded, v.Total, minSuccess)
		if len(v.Errors) > 0 {
			err.Message += "; item " + strconv.Itoa(v.Errors[0].Item) + ": " + v.Errors[0].Error.Message
		}
		return err
	case len(v.Errors) == 0:
		return schemas.Errorf(schemas.CodeCancelled, "an item was cancelled")
	}
	first := v.Errors[0]
	return first.Error.With(func(c *schemas.Error) { c.Message = "item " + strconv.Itoa(first.Item) + ": " + c.Message })
}

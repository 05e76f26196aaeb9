package capability

import (
	"context"
	"maps"
	"slices"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// SetSecrets replaces the secrets, by name, for all calls that are sent later. Cached answers that may rest on other values are dropped.
func (c *Capabilities) SetSecrets(secrets map[string]string) {
	kept := maps.Clone(secrets)
	if before := c.secrets.Swap(&kept); before != nil && !maps.Equal(*before, secrets) {
		c.cache.Clear()
	}
}

// fillSecrets is a wrapper that puts the values of secrets into the inputs, as the last before the call is sent: what wraps it, the store
// and the log have references alone. It asks the policies again, which may have changed since the plan was accepted.
func (c *Capabilities) fillSecrets(next call.Invoker) call.Invoker {
	return call.Func(func(ctx context.Context, planned *call.Call) (*call.Result, error) {
		if len(planned.Secrets) == 0 {
			return next.Invoke(ctx, planned)
		}
		known := *c.secrets.Load()
		values := make(map[string]string, len(planned.Secrets))
		for _, name := range planned.Secrets {
			value, ok := known[name]
			if !ok || planned.Rules == nil || !slices.Contains(planned.Rules.Policy.Secrets, name) {
				return nil, schemas.Errorf(schemas.CodeDenied, "the operator has not allowed secret.%s for %s", name, planned.Name()).
					WithHint("policies.realms.%s.secrets in the configuration allows it", planned.Realm).WithOutcome(schemas.NotRun)
			}
			values[name] = value
		}
		filled := *planned
		filled.Inputs, filled.Secrets = expr.FillSecrets(planned.Inputs, values), nil
		return next.Invoke(ctx, &filled)
	})
}

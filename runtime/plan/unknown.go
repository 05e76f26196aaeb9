package plan

import (
	"cmp"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// mayRepeat checks on_unknown: retry of a node against the policies of what the node calls: one finding for each node.
func (c *compiler) mayRepeat(n *schemas.Node, at string) {
	u := n.OnUnknown
	if u == nil || u.Then != schemas.OnUnknownRetry {
		return
	}
	for _, call := range callsOf(n) {
		t := c.tools[call.capability]
		own := call.at == "/capability"
		if t == nil || !own && !strings.HasPrefix(call.at, "/fallback") || !t.Policy.ForbidsRetryUnknown() {
			continue
		}
		effect := cmp.Or(t.Effect, schemas.EffectOnce)
		if effect.Rank() < schemas.EffectOnce.Rank() && !(own && n.Effect == schemas.EffectOnce) {
			continue
		}
		if !u.Bare {
			at += "/then"
		}
		c.out.errorf(codeRetryForbidden, at,
			"the %s of %s has retry_unknown: false, so a plan may not repeat a call whose outcome is unknown; write "+
				"suspend, or {verify: {capability, inputs, happened}} with a capability that finds out whether it happened",
			cmp.Or(t.Policy.RetryUnknownFrom, "policy"), call.capability)
		return
	}
}

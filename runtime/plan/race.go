package plan

import (
	"github.com/runplane/runplane/schemas"
)

// triggerWords are what other languages call the trigger rules.
var triggerWords = map[string]schemas.TriggerRule{
	"any_success": schemas.OneSuccess, "any_succeeded": schemas.OneSuccess, "one_succeeded": schemas.OneSuccess, "first_success": schemas.OneSuccess,
	"at_least_one_success": schemas.OneSuccess, "any_failed": schemas.OneFailed, "any_failure": schemas.OneFailed, "one_failure": schemas.OneFailed,
	"all_succeeded": schemas.AllSuccess, "all_completed": schemas.AllDone, "all_finished": schemas.AllDone,
}

// triggerRule checks when a node starts, and what that cancels.
func (c *compiler) triggerRule(n *schemas.Node, at string) {
	if rule, ok := triggerWords[snake(string(n.TriggerRule))]; ok {
		c.out.errorf(codeUnknownValue, at+"/trigger_rule", "trigger_rule %q is written %s", n.TriggerRule, rule).Fix =
			[]schemas.PatchOp{opReplaceText(at+"/trigger_rule", string(rule))}
		n.TriggerRule = rule
	}
	if say := sayRules[snake(string(n.TriggerRule))]; say != "" {
		c.out.errorf(codeUnknownValue, at+"/trigger_rule", "no trigger_rule is %q: %s", n.TriggerRule, say)
	} else {
		c.wordOf(at, "trigger_rule", string(n.TriggerRule), triggerRules)
	}
	if n.CancelOthers && n.TriggerRule != schemas.OneSuccess {
		c.out.errorf(codeMisplacedField, at+"/cancel_others", "cancel_others goes with trigger_rule: one_success, by which the node starts with the first "+
			"dependency that succeeds; with any other rule there is nothing to cancel, so leave it out")
	}
}

// races warns of nodes that are cancelled by a race although others need them.
func (c *compiler) races() {
	for i := range c.prog.Nodes {
		n := &c.prog.Nodes[i]
		if !n.CancelOthers {
			continue
		}
		if len(n.Deps) < 2 {
			c.out.warnf(codeNoRace, c.at(i)+"/cancel_others", "node %q has %s, so there are no others to cancel", n.ID,
				map[int]string{0: "no dependencies", 1: "one dependency"}[len(n.Deps)])
		}
		for _, d := range n.Deps {
			for _, other := range c.prog.Nodes[d].Dependents {
				if o := &c.prog.Nodes[other]; other != i && !o.CancelOthers && (o.Rule == schemas.AllSuccess || o.Rule == schemas.NoneFailed) {
					c.out.warnf(codeNoRace, c.at(i)+"/cancel_others", "node %q, which %q needs too, is cancelled if another dependency of %q is first; "+
						"%q is then skipped", c.prog.Nodes[d].ID, o.ID, n.ID, o.ID)
				}
			}
		}
	}
}

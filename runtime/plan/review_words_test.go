package plan

import (
	"fmt"
	"strings"
	"testing"
)

// TestChoicesAreApprovals walks choices and what reads them: a choice that says no, and that nothing tells from the others, is refused,
// and so is a decision that is compared with a choice.
func TestChoicesAreApprovals(t *testing.T) {
	for _, row := range []struct{ choices, when, say string }{ // say: a word of the error; empty: the plan is valid
		{`["yes", "no"]`, "", "approves like the others"}, {`["approve", "reject"]`, "", "approves like the others"},
		{`["all", "Denied"]`, "", "approves like the others"}, {`["go", "No, keep it"]`, "", "approves like the others"},
		{`["go", "do nothing"]`, "", "approves like the others"}, {`["go", "Cancel the order"]`, "", "approves like the others"},
		{`["go", "don't"]`, "", "approves like the others"}, {`["mail", "phone"]`, "", ""}, {`["all", "none of the small ones"]`, "", ""},
		{`["blue", "no preference"]`, "", ""}, {`["now", "not today"]`, "", ""},
		{`["yes", "no"]`, "nodes.ask.output.choice == 'yes'", ""}, {`["approve", "reject"]`, "nodes['ask'].output.choice != 'reject'", ""},
		{`["yes", "no"]`, "nodes.ask.output.decision == 'approve'", "approves like the others"},
		{`["yes", "no"]`, "nodes.ask.output.decision == 'yes'", "output.choice"}, {`["mail", "phone"]`, "nodes.ask.output.decision == 'mail'", "output.choice"},
		{`["all", "some"]`, "nodes.ask.output.decision == 'approved'", "output.choice"}, {`["approve", "some"]`, "nodes.ask.output.decision == 'approve'", "output.choice"},
		{`["Approve", "some"]`, "nodes.ask.output.decision == 'Approve'", "output.choice"}, {`["all", "some"]`, "nodes.ask.output.decision == 'approve'", ""},
		{`["all", "some"]`, "'all' != nodes.ask.output.decision", "output.choice"},
		{`["approve", "some"]`, "nodes.ask.output.decision in ['approve']", "output.choice"}, {`["all", "some"]`, "nodes.ask.output.decision in ['approve', 'some']", "output.choice"},
		{`["all", "some"]`, "nodes.ask.output.decision in ['approve']", ""},
	} {
		for _, name := range []string{"choices", "options"} {
			when := ""
			if row.when != "" {
				when = fmt.Sprintf(`, "when": %q`, "${"+row.when+"}")
			}
			plan := fmt.Appendf(nil, `{"plan": "v1", "nodes": [{"id": "ask", "review": {"question": "Refund?", %q: %s}}, {"id": "a", "depends_on": ["ask"]%s, "set": 1}]}`,
				name, row.choices, when)
			_, found := check(plan)
			plan = applyFixes(t, plan, found)
			prog, found := check(plan)
			if valid := prog != nil; valid != (row.say == "") || !valid && !strings.Contains(fmt.Sprint(errorsIn(found)), row.say) {
				t.Errorf("%s, valid %v, want an error with %q: %+v", plan, valid, row.say, found)
			}
		}
	}
}

// TestDecisionThatIsNever: a decision is compared with a word for no, which a review that succeeded never gives.
func TestDecisionThatIsNever(t *testing.T) {
	for _, when := range []string{"== 'rejected'", "== 'reject'", "== 'no'", "!= 'denied'", "in ['reject', 'deny']"} {
		plan := fmt.Appendf(nil, `{"plan": "v1", "nodes": [{"id": "ask", "review": "Refund?"}, {"id": "a", "when": "${nodes.ask.output.decision %s}", "set": 1}]}`, when)
		_, found := check(plan)
		if len(found) == 0 || !strings.Contains(found[0].Message, "one_failed") || len(found[0].Fix) > 0 {
			t.Errorf("%s: got %+v, want a sentence without a fix", when, found)
		}
	}
}

package plan

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

const corpus = "../../testdata/plans/invalid"

// check parses and compiles, as validate_plan does.
func check(source []byte) (*Program, []schemas.Finding) {
	p, found := Parse(context.Background(), source, Limits{})
	if p == nil {
		return nil, found
	}
	prog, more := Compile(context.Background(), p, sampleWorld(), Limits{})
	return prog, append(found, more...)
}

func errorsIn(found []schemas.Finding) (out []schemas.Finding) {
	for _, f := range found {
		if f.Severity == schemas.SeverityError {
			out = append(out, f)
		}
	}
	return out
}

// TestInvalidPlans walks the corpus: each plan has the one finding that want.txt names and no other, and where a fix is
// promised, the fixed plan has none.
func TestInvalidPlans(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(corpus, "want.txt"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"want.txt": true}
	for _, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		field := strings.Fields(line)
		if len(field) != 4 {
			t.Fatalf("want.txt: %q has not four columns", line)
		}
		name, code, path, fix := field[0], field[1], strings.Trim(field[2], `"`), field[3] == "fix"
		listed[name] = true
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(corpus, name))
			if err != nil {
				t.Fatal(err)
			}
			_, found := check(source)
			if len(found) != 1 || found[0].Code != code || found[0].Path != path {
				t.Fatalf("got %+v, want one %s at %q", found, code, path)
			}
			if strings.TrimSpace(found[0].Message) == "" || strings.Contains(found[0].Message, "%!") {
				t.Errorf("bad message %q", found[0].Message)
			}
			if fix != (len(found[0].Fix) > 0) {
				t.Fatalf("fix is %v, want one: %v", found[0].Fix, fix)
			}
			if !fix {
				return
			}
			fixed := applyFixes(t, source, found)
			if prog, found := check(fixed); len(found) > 0 || prog == nil {
				t.Errorf("after the fix %s\nthere is still %+v", fixed, found)
			}
		})
	}
	files, err := os.ReadDir(corpus)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not in want.txt", f.Name())
		}
	}
	if len(listed) < 40 {
		t.Errorf("only %d plans", len(listed))
	}
}

// TestAllFixesTogether applies every fix of a plan with many defects at once.
func TestAllFixesTogether(t *testing.T) {
	t.Run("calls", func(t *testing.T) {
		fixAll(t, 8, `
name: many
inputs: {order_id: A-17}
timout: 5m
nodes:
  my-order: {tool: shop.get_ordr, args: {idd: "${inputs.oder_id}", depth: "3"}, retries: 2, timeout: 30}
  Second:
    capability: {realm: shop, name: get_order}
    if: "nodes.my-order.output.totl > 1.5"
    inputs: {id: "${nodes.my-order.output.total} ${nodes['my-order'].output.idd}", order_by: newst}
    needs: my-order
  third: {set: {x: "${Second.output.id} ${nodes.my-order.outptu.id}"}}
  fourth: {wait: 90}
output: {t: "${nodes.third.output.x}", u: "${nodes.Second.output.id}"}
`)
	})
	t.Run("every kind", func(t *testing.T) {
		fixAll(t, 20, `
plan: v1
inputs: {order_id: A-17, list: [{email: a@x, n: 1}]}
nodes:
  get-order: {capability: shop.get_order, inputs: {id: "${inputs.order_id}"}, queue_timeout: 30, continue-on-error: true}
  ask: {approval: "Refund ${nodes.get-order.output.totl}?", expires: 3600 s}
  paid: {wait_for: order_paid, timeout: 1d, needs: ask}
  refund:
    tool: shop.charge
    if: "nodes.ask.output.decision == 'approved'"
    args: {oder: "${nodes.get-order.output.id}", cents: "${nodes.get-order.output.total * 0.5}"}
    require_approval: true
    on_failure: compensate
    undo: {tool: shop.viod, args: {id: "${output.id} ${nodes.get-order.output.id}"}}
    verify: {capability: shop.fnid, inputs: {oder: "${inputs.order_id}"}, hapened: "size(output.itmes) > 0"}
    fallbacks: {value: {id: none}}
  mails:
    capability: mail.send
    foreach: inputs.list
    inputs: {to: "${item.emial}", id: "${nodes.refund.output.id}"}
    concurrency: 500
    min_success: "1"
    max_itmes: 3
  sub:
    workflow:
      nodes:
        say-hi: {capability: mail.sned, inputs: {text: "${inputs.order_id}", again: "${inputs.order_id}"}}
      output: {done: "${nodes.say-hi.output}"}
    timeout: 60
output: {first: "${nodes.mails.output[0].id}", sub: "${nodes.sub.output.don}"}
`)
	})
}

// fixAll checks a plan with at least so many errors, and applies fixes until nothing is left.
func fixAll(t *testing.T, errors int, plan string) {
	t.Helper()
	source := []byte(plan)
	_, found := check(source)
	if n := len(errorsIn(found)); n < errors {
		t.Fatalf("only %d errors: %+v", n, found)
	}
	text := source
	for round := 1; ; round++ {
		text = applyFixes(t, text, found)
		prog, left := check(text)
		if len(left) == 0 && prog != nil {
			break
		}
		if round == 4 {
			t.Fatalf("after %d rounds\n%s\nstill has %+v", round, text, left)
		}
		found = left
	}
}

func TestFindingsOfRealmThatIsDownCarryTheCure(t *testing.T) {
	_, found := check([]byte(`{"plan":"v1","nodes":[{"id":"a","capability":"down.x"},{"id":"b","capability":"down.y"}]}`))
	if len(found) != 1 || !strings.Contains(found[0].Message, "command not found: shopd (install it or correct command in the config)") {
		t.Errorf("got %+v, want one finding with the cure", found)
	}
}

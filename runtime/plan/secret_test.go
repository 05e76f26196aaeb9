package plan

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// secretWorld has a tool that may read two secrets, with a schema that no reference satisfies, and one that may read none.
func secretWorld() world {
	schema := json.RawMessage(`{"type":"object","properties":{"auth":{"type":"string","pattern":"^sk-[a-z]+$","maxLength":12},"n":{"type":"integer"},"open":{},"deep":{}}}`)
	return world{
		"shop": {"get": {InputSchema: schema, Effect: schemas.EffectRead, Policy: schemas.Policy{Secrets: []string{"shop_token", "pin"}}}},
		"mail": {"send": {Effect: schemas.EffectRead}},
	}
}

func secretPlan(t *testing.T, node string) (*Program, []schemas.Finding) {
	t.Helper()
	p, found := Parse(context.Background(), []byte(`{"plan":"v1","inputs":{"x":null},"nodes":[{"id":"a","capability":"shop.get"},`+node+`]}`), Limits{})
	if p == nil {
		t.Fatal(found)
	}
	program, more := Compile(context.Background(), p, secretWorld(), Limits{})
	return program, append(found, more...)
}

func TestSecretsAreAllowedInInputsAlone(t *testing.T) {
	const call = `{"id":"b","capability":"shop.get",`
	for _, tt := range []struct{ node, code, says string }{
		{call + `"inputs":{"auth":"${secret.shop_token}"}}`, "", ""},
		{call + `"inputs":{"auth":"Bearer ${secret.shop_token}:${secret['pin']}","deep":[{"k":"${secret.pin}"}]}}`, "", ""},
		{call + `"fallback":[{"capability":"shop.get","inputs":{"auth":"${secret.pin}"}}]}`, "", ""},
		{call + `"compensate":{"capability":"shop.get","inputs":{"auth":"${secret.pin}"}}}`, "", ""},
		{call + `"on_unknown":{"verify":{"capability":"shop.get","inputs":{"auth":"${secret.pin}"},"happened":"${output.ok}"}}}`, "", ""},
		{call + `"inputs":{"auth":"${secret.other}"}}`, codeSecretNotAllowed, "it may read pin, shop_token"},
		{call + `"inputs":{"n":"${secret.pin}"}}`, codeWrongArgument, "must be integer"},
		{call + `"inputs":{"auth":"${'Bearer ' + secret.pin}"}}`, codeMisplacedSecret, `as in "Bearer ${secret.token}"`},
		{call + `"inputs":{"auth":"${size(secret.pin)}"}}`, codeMisplacedSecret, "nothing is computed"},
		{call + `"inputs":{"auth":"${secret}"}}`, codeMisplacedSecret, "${secret.<name>}"},
		{call + `"inputs":{"auth":"${secret.pin.x}"}}`, codeMisplacedSecret, "${secret.<name>}"},
		{call + `"when":"${secret.pin == 'x'}"}`, codeMisplacedSecret, "in when"},
		{call + `"for_each":"${secret.pin}"}`, codeMisplacedSecret, "in for_each"},
		{call + `"fallback":[{"value":"${secret.pin}"}]}`, codeMisplacedSecret, "in fallback.0.value"},
		{call + `"inputs":{"auth":"${secret.pin}"},"fallback":[{"capability":"mail.send"}]}`, codeSecretNotAllowed, "policies.realms.mail.secrets"},
		{`{"id":"b","capability":"mail.send","inputs":{"text":"${secret.pin}"}}`, codeSecretNotAllowed, "policies.realms.mail.secrets"},
		{`{"id":"b","set":"${secret.pin}"}`, codeMisplacedSecret, "in set"},
		{`{"id":"b","wait":"${secret.pin}"}`, codeMisplacedSecret, "in wait"},
		{`{"id":"b","review":"${secret.pin}?"}`, codeMisplacedSecret, "in review"},
		{`{"id":"b","wait_for":{"state":{"type":"t","key":"${secret.pin}"}}}`, codeMisplacedSecret, "in wait_for.state.key"},
		{`{"id":"b","workflow":{"definition":{"inputs":{"x":null},"nodes":[{"id":"c","set":"${inputs.x}"}]}},"inputs":{"x":"${secret.pin}"}}`,
			codeMisplacedSecret, "a node within the definition reads it itself"},
		{`{"id":"b","workflow":{"definition":{"nodes":[{"id":"c","capability":"shop.get","inputs":{"auth":"${secret.pin}"}}]}}}`, "", ""},
	} {
		program, found := secretPlan(t, tt.node)
		bad := errorsIn(found)
		switch {
		case tt.code == "":
			if len(found) > 0 {
				t.Errorf("%s: %+v", tt.node, found)
			} else if names := program.Explain().Secrets; !slices.Contains(names, "pin") && !slices.Contains(names, "shop_token") {
				t.Errorf("%s: explain shows the secrets %v", tt.node, names)
			}
		case len(bad) != 1 || bad[0].Code != tt.code || !strings.Contains(bad[0].Message, tt.says):
			t.Errorf("%s: got %+v, want %s, %q", tt.node, bad, tt.code, tt.says)
		}
	}
}

// TestPolicyFallbacksThatMayNotReadASecret: a fallback of the operator's that will be denied is told before it is needed.
func TestPolicyFallbacksThatMayNotReadASecret(t *testing.T) {
	tools := secretWorld()
	get := tools["shop"]["get"]
	get.Policy.Fallback = []schemas.PolicyFallback{{Capability: "mail.send"}, {Value: schemas.Value("1")}}
	tools["shop"]["get"] = get
	for node, warned := range map[string]bool{
		`"inputs":{"auth":"${secret.pin}"}`:                             true,
		`"inputs":{"open":"x"}`:                                         false,
		`"inputs":{"auth":"${secret.pin}"},"fallback":[{"value":null}]`: false,
	} {
		p, found := Parse(t.Context(), []byte(`{"plan":"v1","nodes":[{"id":"a","capability":"shop.get",`+node+`}]}`), Limits{})
		program, more := Compile(t.Context(), p, tools, Limits{})
		found = append(found, more...)
		if program == nil || (len(found) > 0) != warned || warned && !strings.Contains(found[0].Message, "mail.send, the policy's fallback of shop.get, is denied") {
			t.Errorf("%s: %+v", node, found)
		}
	}
}

// What other languages write for a secret becomes ours where the name is known, and is a sentence elsewhere.
func TestForeignSecrets(t *testing.T) {
	for written, want := range map[string]string{
		"${{ secrets.SHOP_TOKEN }}": "${secret.shop_token}", "${secrets.shop_token}": "${secret.shop_token}", "${secrets['SHOP_TOKEN']}": "${secret.shop_token}",
		"${env:SHOP_TOKEN}": "${secret.shop_token}", "${$env.SHOP_TOKEN}": "${secret.shop_token}", "${process.env.SHOP_TOKEN}": "${secret.shop_token}",
		"{{ secret.pin }}": "${secret.pin}", "Bearer {{ secrets.PIN }}": "Bearer ${secret.pin}", "${secret.shop_tokn}": "${secret.shop_token}",
		"${secrets.OTHER}": "", "${{ secrets.OTHER }}": "", "Bearer ${env:HOME_TOKEN}": "", "Bearer {{ env.OTHER }}": "",
	} {
		quoted, _ := json.Marshal(written) // a string
		program, found := secretPlan(t, `{"id":"b","capability":"shop.get","inputs":{"open":`+string(quoted)+`}}`)
		if program != nil || len(found) != 1 {
			t.Errorf("%s: %+v", written, found)
			continue
		}
		f := found[0]
		switch {
		case want == "":
			if len(f.Fix) > 0 || !strings.Contains(f.Message, "${secret.<name>}") {
				t.Errorf("%s: %+v", written, f)
			}
		case len(f.Fix) != 1 || string(f.Fix[0].Value) != `"`+want+`"`:
			t.Errorf("%s: %+v, want a fix to %s", written, f, want)
		}
	}
}

// A value that was read must not become a secret, whatever it contains.
func TestValuesAreNotTakenForSecrets(t *testing.T) {
	program, found := secretPlan(t, `{"id":"b","capability":"shop.get","inputs":{"auth":"${secret.pin}","text":"${inputs.x}"}}`)
	if program == nil {
		t.Fatal(found)
	}
	target := &program.Nodes[1].Target
	for x, refused := range map[string]bool{`"a"`: false, `"${secret.other}"`: false, `"${secret.pin}"`: true, `{"k":["a ${secret.pin}"]}`: true, `{"${secret.pin}":1}`: true, `"\u0024{secret.pin}"`: true, `"\u00e9 $\u007bsecret.x}"`: false} {
		_, err := target.Render(t.Context(), fixed{inputs: expr.NewValue([]byte(`{"x":` + x + `}`))}, expr.Limits{})
		if got := err != nil; got != refused {
			t.Errorf("%s: %v", x, err)
		}
	}
	filled := string(expr.FillSecrets(json.RawMessage(`{"a":"${secret.pin} ${secret.x} ${secret.b","c":"${secret.two}"}`), map[string]string{"pin": "${secret.two}", "two": "\"<\n"}))
	if want := `{"a":"${secret.two} ${secret.x} ${secret.b","c":"\"\u003c\n"}`; filled != want {
		t.Errorf("got %s, want %s", filled, want)
	}
}

// Inputs that a patch or a person gives have no more references to a secret than the plan: text may come from anywhere.
func TestGivenInputsHaveNoMoreSecrets(t *testing.T) {
	program, found := secretPlan(t, `{"id":"b","capability":"shop.get","inputs":{"auth":"${secret.pin}","open":"x"}}`)
	if program == nil {
		t.Fatal(found)
	}
	target := &program.Nodes[1].Target
	for inputs, ok := range map[string]bool{
		`{"auth":"${secret.pin}","open":"other"}`: true, `{"open":"${secret.pin}"}`: true, `{"open":"none"}`: true, `{}`: true,
		`{"auth":"${secret.pin}","open":"and ${secret.pin}"}`: false, `{"open":["${secret.pin}","\u0024{secret.pin}"]}`: false,
	} {
		if _, problem := target.Arguments(json.RawMessage(inputs)); (problem == nil) != ok {
			t.Errorf("%s: %v", inputs, problem)
		}
	}
}

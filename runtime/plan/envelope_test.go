package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEnvelopesAreTakenOff puts one plan into what models put around plans; it means the same, and a warning says what was taken off.
func TestEnvelopesAreTakenOff(t *testing.T) {
	const (
		inner = `{"plan": "v1", "name": "x", "nodes": [{"id": "a", "capability": "shop.get_order", "inputs": {"id": "It's {here}, \"so\" // yes"}}]}`
		yaml  = "plan: v1\nname: x\nnodes:\n  - id: a\n    capability: shop.get_order\n    inputs: {id: \"It's {here}, \\\"so\\\" // yes\"}\n"
		bare  = `{"id": "a", "capability": "shop.get_order", "inputs": {"id": "It's {here}, \"so\" // yes"}}`
	)
	want, found := check([]byte(inner))
	if want == nil {
		t.Fatal(found)
	}
	quoted := strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(inner)
	for name, source := range map[string]string{
		"fence":                  "```\n" + inner + "\n```",
		"fence of yaml":          "```yml\n" + yaml + "```\n",
		"fence with four ticks":  "````json\n" + inner + "\n````\n",
		"fence without an end":   "```json\n" + inner,
		"indented fence":         "   ```json\n   " + inner + "\n   ```",
		"fence after a command":  "First install it:\n```bash\nnpm i shop\n```\nThen:\n```json\n" + inner + "\n```\n",
		"fence and an answer":    "```json\n" + inner + "\n```\nThe answer will be:\n```json\n{\"id\": \"A-17\", \"total\": 5, \"name\": \"x\"}\n```\n",
		"fence and bold words":   "**Plan**\n\n1. read the order\n\n```yaml\n" + yaml + "```\n\n*Note*: {this} is [all](url).",
		"words before":           "Sure, here you go:\n" + inner,
		"words after":            inner + "\n\nLet me know if you want {more}.",
		"words around":           "I've read [the docs]. " + inner + " That's it!",
		"words before yaml":      "Here is the plan you asked for:\n\n" + yaml,
		"words after yaml":       yaml + "\nThis reads the order once.\nIt takes no time.\n",
		"let":                    "let plan = " + inner + ";\nexport default plan;",
		"python":                 "plan = " + inner,
		"call":                   "execute_plan(" + inner + ")",
		"tag":                    "<execution_plan>\n" + inner + "\n</execution_plan>",
		"tags in tags":           "<answer><plan>" + inner + "</plan></answer>",
		"tag with an attribute":  "<plan format=\"json\">" + inner + "</plan>",
		"tag after words":        "My answer:\n<plan>\n" + yaml + "</plan>\n",
		"thoughts":               "<think>{\"nodes\": []} would be empty.</think>" + inner,
		"thoughts without begin": "So I need the order.\n</think>\n\n" + inner,
		"thoughts and fence":     "<reasoning>hm</reasoning>\n```json\n" + inner + "\n```",
		"byte order mark":        "\ufeff```json\n" + inner + "\n```",
		"windows lines":          strings.ReplaceAll("```yaml\n"+yaml+"```\n", "\n", "\r\n"),
		"comment after":          inner + " // done",
		"comments of python":     "{ # the plan\n" + inner[1:],
		"block comment":          "/* plan */ " + inner,
		"trailing commas":        strings.NewReplacer("}}]}", "},},],}").Replace(inner),
		"brackets too many":      inner + "]}",
		"a remark after":         inner + "\n\nNote: it reads the order once.\n- no retry\n",
		"a program after":        "const plan = " + inner + ";\nrun(plan, 10);",
		"words after yaml lines": yaml + "\nNote: this reads the order once, see https://a.example.\n",
		"missing comma":          strings.Replace(inner, `"v1", `, "\"v1\"\n", 1),
		"single quotes":          `{'plan': 'v1', 'name': 'x', 'nodes': [{'id': 'a', 'capability': 'shop.get_order', 'inputs': {'id': 'It\'s {here}, "so" // yes'}}]}`,
		"keys of javascript":     `{plan: "v1", name: 'x', nodes: [{id: "a", capability: "shop.get_order", inputs: {id: "It's {here}, \"so\" // yes"}},]}`,
		"typographic quotes":     strings.NewReplacer(`"plan"`, `“plan”`, `"v1"`, `“v1”`, `"nodes"`, `“nodes”`, `"a"`, `‘a’`).Replace(inner),
		"hashes of ruby":         strings.ReplaceAll(inner, `":`, `" =>`),
		"text in text in text":   `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(`"`+quoted+`"`) + `"`,
		"wrapped":                `{"plan": ` + inner + `}`,
		"wrapped twice":          `{"arguments": {"execution_plan": ` + inner + `}}`,
		"message of a tool":      `{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "execute_plan", "arguments": {"execution_plan": ` + inner + `}}}`,
		"wrapped as a text":      `{"name": "execute_plan", "arguments": "` + quoted + `"}`,
		"wrapped in a fence":     "```json\n{\"workflow\": " + inner + "}\n```",
		"wrapped list":           `{"plan": [` + bare + `], "name": "x"}`,
		"list":                   "[" + bare + "]",
		"node":                   bare,
		"list in a fence":        "```json\n[" + bare + "]\n```",
		"nodes as a text":        `{"plan": "v1", "nodes": "[` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(bare) + `]"}`,
		"tabs":                   "plan: v1\nnodes:\n\t- id: a\n\t  capability: shop.get_order\n\t  inputs: {id: \"It's {here}, \\\"so\\\" // yes\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			p, says, warns := mended(t, []byte(source), sampleWorld())
			if p == nil {
				t.Fatalf("%s\nis refused: %s", source, says)
			}
			if diff := cmp.Diff(meaningOf(want), meaningOf(p)); diff != "" {
				t.Errorf("%s\nmeans something else:\n%s", source, diff)
			}
			if warns == "" {
				t.Errorf("%s\nis taken in silence", source)
			}
		})
	}
}

// TestTextsThatAreNotCertainAreRefused walks texts that nobody can complete; each is refused with what to do.
func TestTextsThatAreNotCertainAreRefused(t *testing.T) {
	const node = `{"id": "a", "capability": "shop.get_order", "inputs": {"id": "x"}}`
	for name, tt := range map[string]struct{ source, say string }{
		"ends in a text":       {`{"plan": "v1", "nodes": [{"id": "a", "when": "${no`, "incomplete; send it whole"},
		"ends after a node":    {`{"plan": "v1", "nodes": [` + node, "incomplete; send it whole"},
		"ends after a comma":   {`{"plan": "v1", "nodes": [` + node + `,`, "incomplete; send it whole"},
		"ends in a fence":      {"```json\n{\"nodes\": [" + node + "\n```", "incomplete; send it whole"},
		"ends after words":     {"Here it is: {\"nodes\": [" + node, "incomplete; send it whole"},
		"ends in python":       {"{'plan': 'v1', 'nodes': [{'id': 'a'", "incomplete; send it whole"},
		"dots":                 {`{"nodes": [` + node + `, ...]}`, "left out"},
		"a dot":                {`{"nodes": [` + node + `, …]}`, "left out"},
		"two plans":            {"```\n{\"nodes\": [" + node + "]}\n```\nor\n```\n{\"nodes\": []}\n```", "only one plan"},
		"a part in a fence":    {"```\n{\"nodes\": [" + node + "]}\n```\nand ask before:\n```yaml\n- id: ask\n  review: Go on?\n```", "one document"},
		"settings in a fence":  {"```json\n{\"timeout\": \"5m\"}\n```\n\n```\n{\"nodes\": [" + node + "]}\n```", "one document"},
		"two objects":          {`{"nodes": [` + node + `]} {"nodes": [` + node + `]}`, "only one plan"},
		"an f-string":          {`{"nodes": [{"id": f"a{n}", "capability": "shop.get_order"}]}`, "${…}"},
		"a sum of texts":       {`{"nodes": [{"id": "a" + "b", "capability": "shop.get_order"}]}`, "comma or }"},
		"texts without comma":  {"{\"nodes\": [{\"id\": \"a\", \"depends_on\": [\"b\"\n\"c\"]}]}", "comma or ]"},
		"a variable":           {`{"nodes": [{"id": "a", "capability": tool}]}`, "double quotes"},
		"xml":                  {`<plan><node id="a"/></plan>`, "JSON or YAML"},
		"entities":             {`{&quot;nodes&quot;: []}`, "JSON"},
		"beside and within":    {`{"name": "x", "plan": {"name": "y", "nodes": [` + node + `]}}`, "keep one of them"},
		"sentence in a list":   {"plan: v1\nnodes:\n  - " + node + "\n\nThen ask before the refund:\n  - {id: ask, review: \"Refund?\"}\n", "one document"},
		"sentence in yaml":     {"plan: v1\nnodes:\n  - " + node + "\n\nThen wait some time:\n  - id: pause\n    wait: 1h\n", "one document"},
		"sentence, then field": {"plan: v1\nnodes:\n  - " + node + "\n\nAnd only one at a time:\nmax_parallel: 1\n", "one document"},
		"sentence, then Field": {"plan: v1\nnodes:\n  - " + node + "\n\nAnd only for a time:\n\nTimeout: 10m\n", "one document"},
		"bracket, then fields": {`{"plan": "v1", "nodes": [` + node + `]}, "timeout": "10m", "max_parallel": 1}`, "one document"},
		"bracket, then keys":   {`{plan: "v1", nodes: [` + node + `]}, timeout: "10m"}`, "one document"},
		"bracket, then a key":  {`{plan: "v1", nodes: [` + node + `]}, safety_level: review}`, "one document"},
		"bracket, then a node": {`{"plan": "v1", "nodes": [` + node + `]}, {"id": "ask", "review": "Go on?"}]}`, "one document"},
		"fields before":        {`"timeout": "10m", "plan": {"nodes": [` + node + `]}`, "one document"},
		"an object before":     {`{"timeout": "10m"} {"nodes": [` + node + `]}`, "one document"},
		"lines after":          {`{"nodes": [` + node + `]}` + "\n\ntimeout: 10m\n", "one document"},
		"a setting beside":     {`{"execution_plan": {"nodes": [` + node + `]}, "wait_seconds": 5}`, "wait_seconds"},
		"a guard in a message": {`{"name": "execute_plan", "arguments": {"nodes": [` + node + `]}, "require_approval": true}`, "safety_level"},
	} {
		t.Run(name, func(t *testing.T) {
			p, says, _ := mended(t, []byte(tt.source), sampleWorld())
			if p != nil || !strings.Contains(says, tt.say) {
				t.Errorf("%s\nvalid %v: %q, want %q", tt.source, p != nil, says, tt.say)
			}
			for _, word := range []string{"invalid character", "looking for", "unexpected", "mapping value", "flow map"} {
				if strings.Contains(says, word) {
					t.Errorf("%s\nis told in the words of a parser: %s", tt.source, says)
				}
			}
		})
	}
}

package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: any bytes give a plan or findings; what compiles loads again from its durable form.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.*"))
	if err != nil || len(files) == 0 {
		f.Fatal("no corpus")
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Add([]byte(refund))
	f.Add([]byte(whole))
	for _, source := range []string{ // merge keys, bytes that are not UTF-8, waits for signals, schemas that do harm
		"plan: v1\nx-a: &a {timeout: 5s}\nnodes:\n- {<<: *a, id: n, set: 1}\n- {id: m, <<: [*a, {when: \"${true}\"}], set: 2}\n",
		"plan: v1\nx-a: &a {<<: [{<<: {id: a}}, {set: 1}]}\nnodes: [*a, {<<: *a, id: b}]\n",
		"plan: v1\nnodes: [{id: \xff, set: \xed\xa0\x80}]\n", "{\"plan\":\"v1\",\"nodes\":[{\"id\":\"a\",\"set\":{\"\xc0\xaf\":\"\\ud800\"}}]}",
		`{"plan":"v1","nodes":[{"id":"a","wait_for":"paid"},{"id":"b","wait_for":{"event":"\u0000","timeout":"1m"},"depends_on":["a"]},
			{"id":"c","set":"${nodes.b.output.x}"}]}`,
		`{"plan":"v1","input_schema":{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"},{"pattern":"(x?){500}y"}]}},"$ref":"#/$defs/a"},"nodes":[{"id":"a","set":1}]}`,
	} {
		f.Add([]byte(source))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		prog, found := check(source)
		if prog == nil {
			if len(found) == 0 {
				t.Fatal("refused without a finding")
			}
			return
		}
		if len(errorsIn(found)) > 0 && errorsIn(found)[0].Code == "" {
			t.Fatalf("finding without a code: %+v", found)
		}
		stored, err := json.Marshal(prog.Definition)
		if err != nil {
			t.Fatalf("accepted and not storable: %v", err)
		}
		var d Definition
		if err := json.Unmarshal(stored, &d); err != nil {
			t.Fatalf("stored and not readable: %v", err)
		}
		loaded, err := Load(d)
		if err != nil {
			t.Fatalf("accepted and not loadable: %v\n%s", err, stored)
		}
		for i := range prog.Nodes {
			if len(loaded.Nodes[i].Deps) != len(prog.Nodes[i].Deps) {
				t.Fatalf("node %s has %v once loaded, had %v", prog.Nodes[i].ID, loaded.Nodes[i].Deps, prog.Nodes[i].Deps)
			}
		}
		if a, b := describe(prog, ""), describe(loaded, ""); a != b {
			t.Fatalf("compiled:\n%s\nloaded:\n%s", a, b)
		}
	})
}

// FuzzForeignPlans: the fixes of any plan of another language can be applied and come to an end.
func FuzzForeignPlans(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(foreign, "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	w := foreignWorld(f)
	for _, file := range files {
		if filepath.Base(file) == "tools.yaml" {
			continue
		}
		for i, c := range readForeign(f, file) {
			if i%20 == 0 { // all of them are walked by TestForeignPlans
				f.Add(string(c.plan))
			}
		}
	}
	f.Fuzz(func(t *testing.T, source string) {
		mended(t, []byte(source), w)
	})
}

package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

const foreign = "../../testdata/plans/foreign"

// foreignCase is a plan as a language model wrote it, and what its author meant; the README of the folder says what the fields mean.
type foreignCase struct {
	name, file, verdict string
	plan                []byte
	meant               [][]byte // any of these
	mustSay             []string
	orWarn              bool
}

// readForeign reads a file of cases.
func readForeign(t testing.TB, path string) (cases []foreignCase) {
	t.Helper()
	list := readYAML(t, path)
	for i := range list.Items {
		v := &list.Items[i]
		c := foreignCase{file: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		for k, name := range v.Names {
			item := &v.Items[k]
			switch name {
			case "name":
				c.name = item.Text()
			case "verdict":
				c.verdict = item.Text()
			case "plan":
				if c.plan = item.AppendTo(nil); item.Kind == '"' {
					c.plan = []byte(item.Text())
				}
			case "intended":
				c.meant = append(c.meant, item.AppendTo(nil))
			case "also":
				for k := range item.Items {
					c.meant = append(c.meant, item.Items[k].AppendTo(nil))
				}
			case "or_warn":
				c.orWarn = item.Kind == 't'
			case "must_say":
				for k := range item.Items {
					c.mustSay = append(c.mustSay, item.Items[k].Text())
				}
			}
		}
		cases = append(cases, c)
	}
	return cases
}

func readYAML(t testing.TB, path string) *document.Document {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document.Read(context.Background(), source, document.Options{MaxBytes: 16 << 20, MaxDepth: 100, YAML: true})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc
}

// foreignWorld has the tools that the plans call.
func foreignWorld(t testing.TB) world {
	t.Helper()
	doc := readYAML(t, filepath.Join(foreign, "tools.yaml"))
	w := world{}
	for i, realm := range doc.Names {
		w[realm] = map[string]Tool{}
		for k, name := range doc.Items[i].Names {
			v := &doc.Items[i].Items[k]
			tool := Tool{Hash: realm + name, Effect: schemas.EffectOnce}
			if e := v.Get("effect"); e != nil {
				tool.Effect = schemas.Effect(e.Text())
			}
			if s := v.Get("input"); s != nil {
				tool.InputSchema = s.AppendTo(nil)
			}
			if s := v.Get("output"); s != nil {
				tool.OutputSchema = s.AppendTo(nil)
			}
			w[realm][name] = tool
		}
	}
	return w
}

// meaningOf is a program without what has no meaning: names, descriptions, and which dependencies were written out.
func meaningOf(p *Program) any {
	var v any
	raw, err := json.Marshal(p.Definition.Plan)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	m := v.(map[string]any)
	plainMeaning(m, p)
	return m
}

func plainMeaning(m map[string]any, p *Program) {
	delete(m, "name")
	delete(m, "description")
	list, _ := m["nodes"].([]any)
	for i, n := range list {
		node := n.(map[string]any)
		delete(node, "description")
		var deps []string
		for _, d := range p.Nodes[i].Deps {
			deps = append(deps, p.Nodes[d].ID)
		}
		slices.Sort(deps)
		node["depends_on"] = deps
		if sub := p.Nodes[i].Sub; sub != nil {
			if w, ok := node["workflow"].(map[string]any); ok {
				if d, ok := w["definition"].(map[string]any); ok {
					plainMeaning(d, sub)
				}
			}
		}
	}
}

// mended applies the fixes of a plan until none is left. It returns the program, and the texts of the errors and of the warnings of the first
// round.
func mended(t testing.TB, source []byte, w world) (p *Program, says, warns string) {
	t.Helper()
	var text, warnings strings.Builder
	for round := range 12 {
		plan, found := Parse(context.Background(), source, Limits{})
		if plan != nil {
			var more []schemas.Finding
			p, more = Compile(context.Background(), plan, w, Limits{})
			found = append(found, more...)
		}
		fixes := 0
		for _, f := range found {
			switch fixes += len(f.Fix); {
			case round > 0:
			case f.Severity == schemas.SeverityError:
				fmt.Fprintln(&text, f.Message)
			default:
				fmt.Fprintln(&warnings, f.Message)
			}
		}
		if fixes == 0 {
			if len(errorsIn(found)) > 0 {
				p = nil
			}
			return p, text.String(), warnings.String()
		}
		source = applyFixes(t, source, found)
	}
	t.Errorf("fixes without an end: %s", source)
	return nil, text.String(), warnings.String()
}

// judge says how a case ended: empty is as it should.
func (c *foreignCase) judge(t testing.TB, w world) string {
	p, says, warns := mended(t, c.plan, w)
	told := says+warns != ""
	var meant []any
	for _, source := range c.meant {
		plan, found := Parse(context.Background(), source, Limits{})
		var want *Program
		if plan != nil {
			var more []schemas.Finding
			want, more = Compile(context.Background(), plan, w, Limits{})
			found = append(found, more...)
		}
		if want == nil || len(errorsIn(found)) > 0 {
			return fmt.Sprintf("the plan that was meant is not valid: %v", errorsIn(found))
		}
		meant = append(meant, meaningOf(want))
	}
	same := p != nil && slices.ContainsFunc(meant, func(m any) bool { return cmp.Equal(m, meaningOf(p)) })
	switch {
	case c.verdict == "fine":
		if told || p == nil {
			return fmt.Sprintf("findings, valid %v: %s", p != nil, says+warns)
		}
	case p != nil && !same && c.orWarn && saysOne(warns, c.mustSay):
	case p != nil && !same && len(meant) > 0:
		return "another meaning:\n" + cmp.Diff(meant[0], meaningOf(p))
	case p != nil && !same && !told:
		return "taken in silence"
	case p != nil && !same:
		return "valid, and nothing says what it means"
	case c.verdict == "mend" && p == nil:
		return "not mended: " + says
	case c.verdict == "warn" && (!told || p == nil):
		return fmt.Sprintf("findings %v, valid %v: %s", told, p != nil, says)
	case c.verdict == "tell" && p == nil && !saysOne(says, c.mustSay):
		return fmt.Sprintf("says none of %q: %s", c.mustSay, says)
	}
	return ""
}

// saysOne reports whether a text has one of the words.
func saysOne(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// TestForeignPlans walks the plans of other languages' habits. Those that foreign_open.txt names are not understood yet.
func TestForeignPlans(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(foreign, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/foreign_open.txt")
	if err != nil {
		t.Fatal(err)
	}
	open, w, wrong := map[string]bool{}, foreignWorld(t), 0
	for line := range bytes.Lines(raw) {
		open[strings.TrimSpace(string(line))] = true
	}
	for _, file := range files {
		if filepath.Base(file) == "tools.yaml" {
			continue
		}
		for _, c := range readForeign(t, file) {
			t.Run(c.name, func(t *testing.T) {
				switch problem := c.judge(t, w); {
				case problem != "" && !open[c.name]:
					t.Errorf("%s\n%s", c.plan, problem)
				case problem == "" && open[c.name]:
					t.Errorf("it is understood: take it out of foreign_open.txt")
				case problem != "":
					wrong++
				}
			})
		}
	}
	t.Logf("%d are not understood yet", wrong)
}

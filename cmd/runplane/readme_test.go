package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/runplane/runplane/tools"
)

//go:generate go test . -run ^TestReadme -update

// TestReadme keeps README up to date: the table of tools, and the sample plan with its output, which the scripts run.
func TestReadme(t *testing.T) {
	readme := generatedInReadme(t, "the contracts", toolTable())

	plan, err := os.ReadFile("../../testdata/plans/refund.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(plan: v1.*?)```").FindSubmatch(readme)
	if shown == nil || bare(string(shown[1])) != bare(string(plan)) {
		t.Error("the plan in README is not testdata/plans/refund.yaml")
	}
	script, err := os.ReadFile("../../testdata/script/run.txtar")
	if err != nil {
		t.Fatal(err)
	}
	output := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(readme)
	if output == nil || !strings.HasSuffix(string(script), "-- want.json --\n"+string(output[1])) {
		t.Error("the output in README is not the one that run.txtar checks")
	}
}

// generatedInReadme compares the generated part of README with the given name, or updates it, and returns README.
func generatedInReadme(t *testing.T, from, text string) []byte {
	t.Helper()
	const path = "../../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`(?s)(<!-- generated from ` + from + ` [^\n]*-->\n).*?(<!-- end -->)`)
	if !place.Match(readme) {
		t.Fatalf("README has no place for what is generated from %s", from)
	}
	want := place.ReplaceAll(readme, []byte("${1}"+text+"${2}"))
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(readme, want) {
		t.Errorf("what README says of %s is stale: go test ./cmd/runplane -run TestReadme -update", from)
	}
	return readme
}

// bare is a YAML text without comments.
func bare(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, " #")
		if line = strings.TrimRight(line, " \n"); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func toolTable() string {
	var b strings.Builder
	b.WriteString("\n| contract | tool | what it does |\n|---|---|---|\n")
	contract := ""
	for _, m := range tools.All() {
		name := ""
		if m.Contract != contract {
			contract, name = m.Contract, m.Contract
		}
		first, _, _ := strings.Cut(m.Description, ". ")
		who := ""
		if m.Operator {
			who = " (operators, `serve --operator`)"
		}
		fmt.Fprintf(&b, "| %s | `%s`%s | %s |\n", name, m.Name, who, strings.TrimSuffix(strings.ReplaceAll(first, "|", `\|`), "."))
	}
	fmt.Fprintf(&b, "\nToolsets are %s. `minimal` is `%s`.\n\n", strings.Join(quoted(tools.Toolsets()), ", "), strings.Join(tools.Minimal, "`, `"))
	return b.String()
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = "`" + name + "`"
	}
	return out
}

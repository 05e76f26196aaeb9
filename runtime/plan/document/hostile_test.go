package document

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// mergeBomb is a text in which each level names the one before ten times, with a merge key or as items of a list.
func mergeBomb(levels int, form string) string {
	var b strings.Builder
	b.WriteString("a0: &a0 {x: 1}\n")
	for i := range levels {
		before := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ",")
		fmt.Fprintf(&b, "a%d: &a%d "+form+"\n", i+1, i+1, before)
	}
	return b.String() + "nodes: []\n"
}

func numbered(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// A text of the size of a plan is read or refused with bounded work, whatever it holds.
func TestHostileYAML(t *testing.T) {
	const size = 256 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for _, tt := range []struct {
		name, text string
		kind       Kind // empty: it may be read, or refused as bad syntax
	}{
		{"merge keys of lists", mergeBomb(20, "{<<: [%s]}"), TooLarge},
		{"merge keys of merge keys", mergeBomb(20, "{<<: [{<<: [%s]}]}"), TooLarge},
		{"merge keys in blocks", mergeBomb(20, "\n  <<: [%s]"), TooLarge},
		{"lists of lists", mergeBomb(20, "[%s]"), TooLarge},
		{"objects that add nothing", "a: &a {" + strings.Repeat("k", 100_000) + ": 1}\nb: {<<: [" + strings.Repeat("*a,", 14_000) + "]}\n",
			TooLarge},
		{"objects of many keys", "a: &a {" + numbered(4000, "k%d: 1,\n ") + "}\nb: {<<: [" + strings.Repeat("*a,", 6000) + "]}\n", TooLarge},
		{"a key of its own between", mergeBomb(20, "{k: 1, <<: [%s]}"), TooLarge},
		{"many keys", numbered(20_000, "k%d: 1\n"), TooLarge},
		{"many keys further in", "a:\n- b:\n" + numbered(20_000, "   k%d: 1\n"), TooLarge},
		{"many keys of an item", "- a: 1\n" + numbered(20_000, "  k%d: 1\n"), TooLarge},
		{"many keys in braces", "{" + fill("a,") + "}", TooLarge},
		{"many empty items", fill("-\n"), TooLarge},
		{"many anchors", numbered(20_000, "k%d: &a x\n"), TooLarge},
		{"many aliases", "a: &a x\nb: [" + fill("*a,") + "]\n", TooLarge},
		{"many brackets", fill("[],"), ""},
		{"open brackets", fill("["), TooDeep},
		{"open braces", fill("{a: "), TooDeep},
		{"dashes", fill("- "), TooDeep},
		{"tags", fill("!!str "), TooDeep},
		{"questions", fill("? a\n"), TooLarge},
		{"colons", fill(":"), ""},
		{"comments", fill("# a\n") + "a: 1\n", ""},
		{"documents", fill("---\n"), ""},
		{"a long text", "a: |\n" + fill("  x\n"), ""},
		{"a text that looks like keys", "a: |\n" + fill("  key: [a, b]\n"), ""},
		{"a text that looks like brackets", "a: |\n" + fill("  [[[{{{\n"), ""},
		{"a folded text", "a: >\n" + fill("  - x: 1\n"), ""},
		{"quotes that look like keys", "a: \"" + fill("x: y\n  ") + "\"", ""},
		{"keys after a text", "a: |\n  x\n" + numbered(20_000, "k%d: 1\n"), TooLarge},
		{"keys after a comment that ends as a text begins", "a: # |\n" + numbered(20_000, "  k%d: 1\n"), TooLarge},
		{"keys after quotes that end as a text begins", "a: \"x |\n  y\"\n" + numbered(20_000, "k%d: 1\n"), TooLarge},
		{"empty lines", fill("\n"), Empty}, {"empty lines between", "a: 1\n" + fill("\n") + "b: 2", TooLarge},
		{"a text that ends in empty lines", "a: |\n  " + fill("x")[:size/2] + "\n" + fill("\n")[:size/2], TooLarge},
		{"a text that ends in some empty lines", "a: |\n  " + fill("x") + strings.Repeat("\n", 60), ""},
		{"texts that end in empty lines", fill("a: |\n x\n" + strings.Repeat("\n", 60)), ""},
		{"texts with empty lines inside", "a: |\n" + fill(" x\n"+strings.Repeat("\n", 60)), ""},
		{"lines of spaces", "a: |\n x\n" + fill(" \n"), TooLarge},
		{"lines that end in CR", "a: |\r" + fill("\r"), TooLarge},
		{"a text kept to its end", "a: |+\n x\n" + fill("\n"), TooLarge},
		{"a long text of many lines", "a: \"" + fill("x\n  ") + "\"", ""},
		{"a long number", "a: " + fill("9"), ""},
		{"a long exponent", "a: 1e" + fill("9"), ""},
		{"a long key", "? " + fill("x") + "\n: 1", ""},
		{"no UTF-8", fill("\xff\xfe: \xff\n"), ""},
		{"NUL", fill("\x00"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Read(t.Context(), []byte(tt.text), Options{MaxBytes: size, MaxDepth: 64})
			runtime.ReadMemStats(&after)
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("foreign error %v", err)
			}
			if tt.kind != "" && (e == nil || e.Kind != tt.kind) {
				t.Errorf("got %v, want %s", err, tt.kind)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 400 {
				t.Errorf("%d MiB were allocated for %d bytes", made, len(tt.text))
			}
		})
	}
}

// What is inside of literal texts and quotes does not count as keys or items.
func TestLongTextsAreNoKeys(t *testing.T) {
	lines := strings.Repeat("- key: [a, b, {c: d}] # ((([[[{{{\n", 6000)
	indented := strings.ReplaceAll(lines, "- key", "      - key")
	for _, tt := range []struct{ name, text, want string }{
		{"literal", "nodes:\n  - id: a\n    set:\n      text: |\n" + strings.ReplaceAll(indented, "      - key", "        - key") + "  - id: b\n",
			lines},
		{"stripped", "nodes:\n- set:\n    text: |-\n" + indented + "- id: b\n", strings.TrimSuffix(lines, "\n")},
		{"with a comment", "nodes:\n- set:\n    text: | # as it is\n" + indented + "- id: b\n", lines},
		{"of an indent", "nodes:\n- set:\n    text: |2\n" + indented + "- id: b\n", lines},
		{"quoted", "nodes:\n- set:\n    text: '" + strings.Repeat("key: [a, {{\n\n      ", 6000) + "'\n- id: b\n",
			strings.Repeat("key: [a, {{\n", 6000)},
		{"in JSON style", "nodes: [{set: {text: \"" + strings.Repeat("- a: [b,", 20_000) + "\"}}, {id: b}]\n",
			strings.Repeat("- a: [b,", 20_000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Read(t.Context(), []byte(tt.text), Options{MaxBytes: 1 << 20, MaxDepth: 64})
			if err != nil {
				t.Fatal(err)
			}
			got, id := d.Find("/nodes/0/set/text"), d.Find("/nodes/1/id")
			if got == nil || got.Text() != tt.want || id == nil || id.Text() != "b" {
				t.Errorf("got %.60q of %d bytes, want %.60q of %d; %v", got.Text(), len(got.Text()), tt.want, len(tt.want), id)
			}
		})
	}
}

// Ordinary use of anchors and merge keys stays below the limits.
func TestMergeKeysOfManyObjects(t *testing.T) {
	text := "base: &base {timeout: 5s, retry: {max_attempts: 3}, realm: shop}\nnodes:\n" + numbered(1000,
		"- {id: n%d, <<: *base, when: \"${true}\"}\n")
	d, err := Read(t.Context(), []byte(text), Options{MaxBytes: 256 << 10, MaxDepth: 64})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Find("/nodes/999/retry/max_attempts"); got == nil || got.Raw != "3" {
		t.Errorf("got %v", got)
	}
}

func TestReadingIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{"a: 1", mergeBomb(8, "{<<: [%s]}")} {
		_, err := Read(ctx, []byte(text), Options{MaxBytes: 256 << 10, MaxDepth: 64})
		var e *Error
		if !errors.As(err, &e) || e.Kind != Interrupted {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
}

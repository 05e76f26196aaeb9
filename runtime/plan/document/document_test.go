package document

import (
	"context"
	"errors"
	"strings"
	"testing"
)

var bounds = Options{MaxBytes: 1 << 16, MaxDepth: 20}

const yamlText = `# a comment
base: &base {size: 0x10, on: True}
list:
  - one
  - key: value   # of a mapping in a list
    deep:
      text: |
        some text
merged:
  <<: *base
  own: 1_000
again: *base
`

const jsonText = "{\n  \"ä\": {\"b\": [1,\n    true]},\n\t\"c\": null\n}\n"

func TestLocate(t *testing.T) {
	for text, want := range map[string]map[string]string{
		yamlText: {
			"": "2:1", "/base": "2:1", "/base/size": "2:14", "/list": "3:1", "/list/0": "4:5", "/list/1": "5:5", "/list/1/key": "5:5",
			"/list/1/deep/text": "7:7", "/merged/own": "11:3", "/merged/size": "2:14", "/again/on": "2:26",
			"/list/7": "3:1", "/list/1/deep/none/x": "6:5", "/none": "2:1",
		},
		jsonText:                   {"": "1:1", "/ä": "2:3", "/ä/b": "2:9", "/ä/b/0": "2:15", "/ä/b/1": "3:5", "/c": "4:2", "/c/x": "4:2"},
		"\ufeff{\"a\": {\"b\":1}}": {"/a/b": "1:8"},
	} {
		d, err := Read(context.Background(), []byte(text), bounds)
		if err != nil {
			t.Fatal(err)
		}
		for pointer, want := range want {
			if got := d.Locate(pointer).String(); got != want {
				t.Errorf("%s: got %s, want %s", pointer, got, want)
			}
		}
		d.Put("new", Tree{Kind: '{'})
		if got := d.Locate("/new/x"); got != d.Position(&d.Tree) {
			t.Errorf("what was added is at %s", got)
		}
	}
}

func TestPositionsOfValues(t *testing.T) {
	d, err := Read(context.Background(), []byte("a:  1\nb: {c:   [x]}\n"), bounds)
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{"/a": "1:5", "/b": "2:4", "/b/c": "2:10", "/b/c/0": "2:11"} {
		if got := d.Position(d.Find(pointer)).String(); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

// What was wrapped stays where it was, and so do its parts.
func TestWrappedPartsKeepTheirPlaces(t *testing.T) {
	d, err := Read(context.Background(), []byte("a:\n  b: 1\nc: 2\n"), bounds)
	if err != nil {
		t.Fatal(err)
	}
	d.Get("a").Wrap("x")
	d.Get("c").WrapInList()
	if got, want := string(d.AppendTo(nil)), `{"a":{"x":{"b":1}},"c":[2]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for pointer, want := range map[string]string{"/a": "1:1", "/a/x/b": "2:3", "/c/0": "3:1"} {
		if got := d.Locate(pointer).String(); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

func TestWritten(t *testing.T) {
	d, err := Read(context.Background(), []byte(yamlText), bounds)
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string][2]string{
		"/base/size": {"16", "0x10"}, "/base/on": {"true", "True"}, "/merged/size": {"16", "0x10"}, "/merged/own": {"1000", "1_000"}, "/list/0": {`"one"`, "one"},
	} {
		part := d.Find(pointer)
		if part == nil || part.Raw != want[0] || d.Written(part) != want[1] {
			t.Errorf("%s: got %v written %q, want %s written %s", pointer, part, d.Written(part), want[0], want[1])
		}
	}
}

func TestLinesAreOfWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]bool{`{"a": 1}`: false, "{\"a\": 1}\n": false, "{\"a\":\n1}": true, "a: 1": true} {
		if d, err := Read(context.Background(), []byte(text), bounds); err != nil || d.Lines != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		kind Kind
		want string
	}{
		{" \n", Empty, "the document is empty"},
		{"# nothing\n", Empty, "the document is empty"},
		{"{\"a\": 1,\n \"b\": }", Syntax, "line 2, column 7: not valid JSON: "},
		{"a: 1\n b: 2\n", Syntax, "line 1, column 4: not valid YAML: "},
		{"a: *x\n", Syntax, "line 1, column 4: the alias *x has no anchor &x before it"},
		{"a: &x [*x]\n", Syntax, "line 1, column 8: the alias *x is inside its own anchor"},
		{"a: 1\n---\nb: 2\n", Syntax, "line 3, column 1: several YAML documents"},
		{"a: .inf\n", Syntax, "line 1, column 4: a number that is not finite"},
		{"a: 1e400\n", Syntax, "line 1, column 1: the number 1e400 is beyond"},
		{"a: " + strings.Repeat("9", 401), Syntax, "line 1, column 1: the number has 401 characters"},
		{"{\"a\": 1e999}", Syntax, "line 1, column 7: the number 1e999 is beyond"},
		{"a: b\nc: 'x\xff'\n", Syntax, "line 2, column 6: byte 10, 0xff, is not UTF-8"},
		{"{\"a\": \"\xe2\x82\"}", Syntax, "line 1, column 8: byte 7, 0xe2, is not UTF-8"},
		{"# \xff\na: b\n", Syntax, "line 1, column 3: byte 2, 0xff, is not UTF-8"},
		{"{\"a\": \"\\ud800\"}", Syntax, "line 1, column 8: the escape \\ud800 is one half"},
		{"a: \"\\ud800\"\n", Syntax, "surrogate"},
		{"a: 1\nb: 2\na: 3\n", DuplicateKey, "line 3, column 1: "},
		{"{\"a\": 1,\n  \"a\": 2}", DuplicateKey, "line 2, column 3: duplicate key \"a\""},
		{strings.Repeat("[", 30) + strings.Repeat("]", 30), TooDeep, "nested 30 levels deep; at most 20 are allowed"},
		{"a: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), TooDeep, "nested too deep; at most 20 levels are allowed"},
		{strings.Repeat("- ", 600), TooDeep, "nested too deep; at most 20 levels are allowed"},
		{"a: &a [" + strings.Repeat("x,", 1000) + "]\nb: &b [" + strings.Repeat("*a,", 30) + "]\n", TooLarge, "larger than 65536 bytes once its aliases are expanded"},
	} {
		_, err := Read(context.Background(), []byte(tt.text), bounds)
		var e *Error
		if !errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%.40q: got %v, want %s: %s", tt.text, err, tt.kind, tt.want)
		}
	}
}

// A number that does not fit into 64 bits keeps its digits, and does not become a text.
func TestLargeNumbersOfYAML(t *testing.T) {
	for text, want := range map[string]string{
		"a: 123456789012345678901234567890\n":   `{"a":123456789012345678901234567890}`,
		"a: '123456789012345678901234567890'\n": `{"a":"123456789012345678901234567890"}`,
		"a: -9223372036854775809\n":             `{"a":-9223372036854775809}`, "a: \"\\ufffd\"\n": "{\"a\":\"\ufffd\"}", "a: \ufffd\n": "{\"a\":\"\ufffd\"}",
	} {
		d, err := Read(context.Background(), []byte(text), bounds)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(d.AppendTo(nil)); got != want {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
	}
}

func TestFilesOfEditors(t *testing.T) {
	o := bounds
	o.Comments, o.YAML = true, true
	d, err := Read(context.Background(), []byte("{\n  // of VS Code\n  \"a\": \"//x\", /* y */ \"b\": [1,],\n}"), o)
	if err != nil || string(d.AppendTo(nil)) != `{"a":"//x","b":[1]}` {
		t.Fatalf("got %v, %v", d, err)
	}
	if got := d.Locate("/b").String(); got != "3:23" {
		t.Errorf("b is at %s, want 3:23", got)
	}
}

// FuzzRead: whatever a text holds, reading it ends, and gives a tree or an error of ours.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a: &x {b: [1, *x]}", "<<: *x", "<<: &x {a: 1}", "{\"a\": // c\n 1}", "? [a]\n: b", "- |\n  x\n", "!!str 1",
		"%YAML 1.2\n---\n", "a: &a {x: 1}\nb: {<<: [*a, *a], y: \xff}", "<<: [{<<: {a: 1}}, {b: 2}]", "a: &b {<<: *b}", "k: 1e999999\nl: 0x_f", "{a,a,b}", "Here: ```\n{'a': None, b: [1,],}\n```", "<think>x</think><p>{“a”: ‘b’}</p>", "plan: v1\n\ta: @b\nc: {d: ${e}}", "let a = {\"a\" => 1\n\"b\": \"\\x41\n\"}};",
		"? {a: 1}\n: \xc3\x28", "a: 1_0e400", "a: 'x", "\ufeff{}", yamlText, jsonText} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, asFile bool) {
		if inner, took, err := Unwrap(text, func(string) bool { return true }, func(string) bool { return false }); err == nil && len(took) > 0 && !asFile {
			text = inner
		}
		d, err := Read(context.Background(), []byte(text), Options{MaxBytes: 1 << 16, MaxDepth: 64, Comments: asFile, YAML: asFile, Loose: !asFile})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Message == "" || e.Kind == "" {
				t.Fatalf("got %T %+v", err, err)
			}
			return
		}
		again, err := Parse(string(d.AppendTo(nil)))
		if err != nil {
			t.Fatalf("not JSON: %s", d.AppendTo(nil))
		}
		var walk func(a, b *Tree)
		walk = func(a, b *Tree) {
			if a.Kind != b.Kind || len(a.Items) != len(b.Items) {
				t.Fatalf("%q reads as another tree", text)
			}
			if p := d.Position(a); p.Line < 1 || p.Column < 1 {
				t.Fatalf("%q: a part is at %s", text, p)
			}
			for i := range a.Items {
				walk(&a.Items[i], &b.Items[i])
			}
		}
		walk(&d.Tree, &again)
	})
}

// TestMendedYAMLKeepsTexts: what gets quotes around it is a field alone, and no line within a text of several lines.
func TestMendedYAMLKeepsTexts(t *testing.T) {
	const body = "Subject: Re: your order\nto: @you\n  - list: [${x}, a]\n\n\tkey: a: b\n"
	indented := func(by string) string {
		return by + strings.ReplaceAll(strings.TrimSuffix(body, "\n"), "\n", "\n"+by) + "\n"
	}
	for name, tt := range map[string]struct{ text, pointer, want string }{
		"literal":          {"to: @ops\nbody: |\n" + indented("  ") + "from: a: b\n", "/body", body},
		"kept":             {"body: |+\n" + indented("    ") + "to: @ops\n", "/body", body},
		"with a comment":   {"body: | # the mail\n" + indented("  ") + "to: @ops\n", "/body", body},
		"in a list":        {"- body: |\n" + indented("    ") + "  to: @ops\n", "/0/body", body},
		"item and item":    {"a:\n  - |\n" + indented("    ") + "  - to: @ops\n", "/a/0", body},
		"with a size":      {"to: @ops\nbody: |2\n" + indented("  "), "/body", body},
		"folded":           {"to: @ops\nbody: >-\n  Subject: Re: x\n  to: @you\n", "/body", "Subject: Re: x to: @you"},
		"double quotes":    {"to: @ops\nbody: \"Hi,\n  Subject: Re: x\n  to: @you\"\nfrom: @me\n", "/body", "Hi, Subject: Re: x to: @you"},
		"single quotes":    {"to: @ops\nbody: 'It''s\n  Subject: Re: x'\nfrom: @me\n", "/body", "It's Subject: Re: x"},
		"quotes in braces": {"to: @ops\nin: {body: \"Hi\n  Subject: Re: x\"}\nfrom: @me\n", "/in/body", "Hi Subject: Re: x"},
		"an apostrophe":    {"a: it's\nto: @ops\nbody: |\n" + indented("  "), "/body", body},
		"after a block":    {"body: |\n  a: b: c\nfrom: x: y\n", "/from", "x: y"},
	} {
		d, err := Read(context.Background(), []byte(tt.text), Options{MaxBytes: bounds.MaxBytes, MaxDepth: bounds.MaxDepth, Loose: true})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case d.Find(tt.pointer) == nil || d.Find(tt.pointer).Text() != tt.want:
			t.Errorf("%s: got %s, want %q", name, d.AppendTo(nil), tt.want)
		case len(d.Loose) == 0:
			t.Errorf("%s: is mended in silence", name)
		}
	}
}

// YAML whose first key is quoted is YAML.
func TestQuotedFirstKey(t *testing.T) {
	for text, want := range map[string]string{
		"\"plan\": v1\nnodes: []\n":  "v1",
		"'plan': v1\nnodes: []\n":    "v1",
		"\"plan\" : v1\n":            "v1",
		"\"pl\\u0061n\": v1\n":       "v1",
		"{\"plan\": \"v1\"}":         "v1",
		"\n\n  {\"plan\":\n\"v1\"}":  "v1",
		"\"a text, not a document\"": "",
		"\"":                         "",
	} {
		d, err := Read(t.Context(), []byte(text), bounds)
		got := ""
		if err == nil && d.Tree.Get("plan") != nil {
			got = d.Tree.Get("plan").Text()
		}
		if got != want {
			t.Errorf("%q: plan is %q, want %q, %v", text, got, want, err)
		}
	}
}

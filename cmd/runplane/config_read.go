package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// maxConfigDepth is far deeper than any configuration.
const maxConfigDepth = 100

// reader brings the tree of a file into the form that the published schema describes, and collects everything that is
// wrong with it.
type reader struct {
	doc      *document.Document
	file     string
	expand   *expander         // nil leaves ${…} as it is
	client   bool              // the file belongs to an MCP client, which has keys of its own
	expanded map[string]string // by JSON pointer: a string as it was before it was expanded
	used     map[string]string // by name: variables that were expanded
	problems []problem
	warnings []string
	notes    []string
	broken   map[string]*schemas.Error // by realm: why its entry cannot be used

	overridden func(*setting) bool          // a flag or a variable gives the setting, so its value here does not count
	blank      map[string]document.Position // by JSON pointer: members that were null and were dropped
}

// problem is one mistake in the file. It never holds a value that was expanded, or any of a realm.
type problem struct {
	at         document.Position
	field      string // JSON pointer
	message    string
	candidates []string
}

// configSchema is the published schema of the file, which is made from [Config] and the table of settings.
var configSchema = sync.OnceValue(func() wanted {
	t, err := document.Parse(string(schemas.ConfigSchema()))
	if err != nil {
		panic("the published schema is not JSON: " + err.Error()) // a test holds it
	}
	return wanted{&t}
})

var configChecker = sync.OnceValue(func() *schemas.Checker {
	c, err := schemas.NewChecker(schemas.ConfigSchema())
	if err != nil {
		panic("the published schema cannot be used: " + err.Error()) // a test holds it
	}
	return c
})

// readConfig reads the text of a file; an empty one is an empty object. The reader has what is wrong with it.
func readConfig(data []byte, file string, isYAML bool, env environment, overridden func(*setting) bool) *reader {
	r := &reader{file: file, expanded: map[string]string{}, blank: map[string]document.Position{}, overridden: overridden}
	if filepath.Ext(file) == ".toml" {
		r.problems = append(r.problems, problem{at: document.Position{Line: 1, Column: 1}, message: "this is TOML, as Codex writes it, which is not read: " +
			`write its [mcp_servers.NAME] tables as {"mcpServers": {"NAME": {"command": "…", "args": ["…"]}}} in a file that ends in .json`})
		data = nil
	}
	doc, err := document.Read(context.Background(), data, document.Options{MaxBytes: maxConfigBytes, MaxDepth: maxConfigDepth, Comments: !isYAML, YAML: true})
	if bad, ok := errors.AsType[*document.Error](err); ok && bad.Kind != document.Empty {
		at := bad.At
		if at == (document.Position{}) {
			at = document.Position{Line: 1, Column: 1}
		}
		r.problems = append(r.problems, problem{at: at, message: bad.Message})
	}
	if err != nil {
		doc = &document.Document{Tree: document.Tree{Kind: '{'}}
	}
	r.doc = doc
	if doc.Kind == 'n' {
		doc.Kind = '{'
	}
	folder, _ := workspace(file)
	r.expand = &expander{env: env.get, folder: folder, home: env.home(), used: map[string]string{}}
	r.used = r.expand.used
	r.adopt(file)
	r.normalise(&doc.Tree, "", configSchema())
	return r
}

// into checks the file against the schema and fills the configuration as far as it can be read.
func (r *reader) into(c *Config) {
	raw := r.doc.AppendTo(nil)
	known := r.problems
	for _, p := range configChecker().CheckShowing(context.Background(), raw, r.hidden) {
		if r.counts(p) && !slices.ContainsFunc(known, func(k problem) bool { return k.field == p.Field }) {
			r.problems = append(r.problems, problem{r.position(p.Field), p.Field, p.Message, p.Candidates})
		}
	}
	r.setAside()
	raw = r.doc.AppendTo(nil)
	if err := json.Unmarshal(raw, c); err != nil && len(r.problems) == 0 {
		r.fail("", "cannot be read as a configuration") // the schema allows what the type does not take
	}
}

// counts reports whether a problem with the schema is one of the file.
func (r *reader) counts(p schemas.Problem) bool {
	switch p.Keyword {
	case "propertyNames": // names of realms are looked at with the realms
		return false
	case "required": // null is the zero value
		_, blank := r.blank[p.Field]
		return !blank
	case "enum", "minimum", "maximum":
		s := settingAt(p.Field)
		return s == nil || !r.overridden(s)
	}
	return true
}

// hidden is what messages show instead of a value of a realm, or of one that was expanded.
func (r *reader) hidden(field string) (string, bool) {
	if text, ok := r.expanded[field]; ok {
		return "the value of " + text, true
	}
	if v := r.doc.Find(field); v != nil && (inRealm(field) || isSecret(field)) {
		return v.TypeName(), true
	}
	return "", false
}

// fail reports a mistake at a JSON pointer.
func (r *reader) fail(field, format string, args ...any) {
	r.failAt(r.position(field), field, format, args...)
}

func (r *reader) failAt(at document.Position, field, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if field != "" {
		message = schemas.Dotted(field) + ": " + message
	}
	r.problems = append(r.problems, problem{at: at, field: field, message: message})
}

// has reports whether the file gives the field, if only as null.
func (r *reader) has(field string) bool {
	_, blank := r.blank[field]
	return blank || r.doc.Find(field) != nil
}

// position is where the value at a JSON pointer begins, or what is around it where the file does not have it.
func (r *reader) position(field string) document.Position {
	if p, ok := r.blank[field]; ok {
		return p
	}
	if v := r.doc.Find(field); v != nil {
		if p := r.doc.Position(v); p != (document.Position{}) {
			return p
		}
	}
	if p := r.doc.Locate(field); p != (document.Position{}) {
		return p
	}
	return document.Position{Line: 1, Column: 1}
}

// failed reports whether something at or below a JSON pointer is already known to be wrong.
func (r *reader) failed(field string) bool {
	return slices.ContainsFunc(r.problems, func(p problem) bool { return p.field == field || strings.HasPrefix(p.field, field+"/") })
}

// normalise drops nulls, empty words and the keys that clients keep for themselves, expands ${…}, and converts values to
// the form of the schema where that loses nothing.
func (r *reader) normalise(t *document.Tree, at string, w wanted) {
	switch t.Kind {
	case '{':
		if _, isRealm := realmAt(at); isRealm {
			defer func(e *expander) { r.expand = e }(r.expand)
			r.realm(t, at)
		}
		r.members(t, at, w)
	case '[':
		for i := range t.Items {
			w.items().fill(&t.Items[i])
			r.normalise(&t.Items[i], schemas.PointerToItem(at, i), w.items())
		}
	case '"':
		r.text(t, at, w)
	case '0', 't', 'f':
		r.scalar(t, at, w)
	}
}

// members normalises an object. A key that it does not have is an error with the nearest name, or left to the rules for
// realms and for files of clients.
func (r *reader) members(t *document.Tree, at string, w wanted) {
	names, items := t.Names, t.Items
	t.Names, t.Items = nil, nil
	known := w.names()
	for i := range items {
		name, v := names[i], &items[i]
		if at == "" && name == "$schema" {
			continue // for editors
		}
		inner, ok := w.member(name)
		if !ok {
			r.unknown(v, at, name, known)
			continue
		}
		below := schemas.PointerTo(at, name)
		if v.Kind == 'n' && len(known) > 0 {
			r.null(v, below)
			continue
		}
		inner.fill(v)
		r.normalise(v, below, inner)
		if v.Kind == '"' && v.Text() == "" && inner.get("enum") != nil && settingAt(below) == nil {
			continue // an empty word is none
		}
		t.Names, t.Items = append(t.Names, name), append(t.Items, *v)
	}
}

// null notes a member that is null. Of a setting it could mean the default as well as 0, so it is refused.
func (r *reader) null(v *document.Tree, at string) {
	r.blank[at] = r.doc.Position(v)
	s := settingAt(at)
	if s == nil || r.overridden(s) {
		return
	}
	value := "a value"
	if s.forever {
		value += " (0s keeps forever)"
	}
	message := fmt.Sprintf("`%s` is empty: write %s, or remove the line for the default", s.key, value)
	r.problems = append(r.problems, problem{at: r.blank[at], field: at, message: message})
}

func (r *reader) unknown(v *document.Tree, at, name string, known []string) {
	if r.foreign(at, name, known) {
		return
	}
	near := schemas.Nearest(name, known, 1)
	message := fmt.Sprintf("unknown key %q", name)
	if len(near) > 0 {
		message += fmt.Sprintf(": did you mean %q?", near[0])
	} else {
		message += ": known are " + strings.Join(known, ", ")
	}
	if at != "" {
		message = schemas.Dotted(at) + ": " + message
	}
	r.problems = append(r.problems, problem{r.doc.KeyPosition(v), at, message, near})
}

// text expands a string. What was expanded gives a number or a boolean where one is wanted.
func (r *reader) text(t *document.Tree, at string, w wanted) {
	text := t.Text()
	if r.expand != nil {
		replace := r.expand.setting
		if inRealm(at) {
			replace = r.expand.realm
		}
		if partOf(at) == "env" { // no variable of env is made of another one
			plain := *r.expand
			plain.own = nil
			replace = plain.realm
		}
		after, problems := replace(text)
		if inRealm(at) {
			after = r.asClientsDo(t, text, after, at)
		}
		for _, err := range problems {
			r.failAt(r.doc.Position(t), at, "%s", err)
			after = ""
		}
		if strings.Contains(text, "${") || after != text {
			r.expanded[at] = text
		}
		if after != text {
			*t = t.As('"', document.Quote(after))
		}
		if kind, raw := w.scalar(after); kind != 0 && r.expanded[at] != "" {
			*t = t.As(kind, raw)
		}
		text = after
	}
	if w.isDuration() && text != "" {
		_, err := schemas.ParseDuration(text)
		switch {
		case err == nil:
			return
		case r.expanded[at] != "":
			r.failAt(r.doc.Position(t), at, "%s is not a duration such as \"30s\"", r.expanded[at])
		default:
			r.failAt(r.doc.Position(t), at, "%s", err)
		}
	}
	if w.isDuration() {
		*t = t.As('"', `"0s"`)
	}
}

// scalar reads YAML's plain numbers and booleans in a realm, where files of clients hold strings alone, as they were
// written.
func (r *reader) scalar(t *document.Tree, at string, w wanted) {
	switch {
	case w.isDuration() && t.Kind == '0':
		r.failAt(r.doc.Position(t), at, "a duration needs a unit: write %q", r.doc.Written(t)+"s")
		*t = t.As('"', `"0s"`)
	case (inRealm(at) || isSecret(at)) && w.allows("string"):
		*t = t.As('"', document.Quote(r.doc.Written(t)))
	case w.allows("integer") && !w.allows("number") && strings.ContainsAny(t.Raw, ".eE"):
		if n, err := strconv.ParseFloat(t.Raw, 64); err == nil && n == float64(int64(n)) {
			*t = t.As('0', strconv.FormatInt(int64(n), 10))
		}
	}
}

// isSecret reports whether a JSON pointer leads to a secret, or to what stands where secrets belong.
func isSecret(pointer string) bool {
	return pointer == "/secrets" || strings.HasPrefix(pointer, "/secrets/")
}

func inRealm(pointer string) bool { return strings.HasPrefix(pointer, "/mcpServers/") }

// err joins the problems in the order of the file; nil when there are none.
func (r *reader) err() *schemas.Error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Column, b.at.Column))
	})
	var lines, candidates []string
	for _, p := range r.problems {
		lines = append(lines, fmt.Sprintf("%s:%s: %s", r.file, p.at, p.message))
		candidates = append(candidates, p.candidates...)
	}
	e := schemas.Errorf(schemas.CodeInvalidArgument, "%s", strings.Join(lines, "\n")).
		WithField(schemas.Dotted(r.problems[0].field)).WithHint("correct the file; `runplane schema config` prints its schema")
	e.Candidates = candidates
	return e
}

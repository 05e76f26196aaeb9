package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// An entry of mcpServers as other clients write it. Whatever is wrong with it makes that realm broken and no other.

// realmAliases are other clients' names for a key of a realm.
var realmAliases = map[string]string{
	"serverUrl": "url", // Windsurf
	"httpUrl":   "url", // Gemini CLI
	"uri":       "url", // Goose
	"cmd":       "command", "arguments": "args",
	"environment": "env", "envs": "env", "environmentVariables": "env", // opencode, Goose
	"env_file": "envFile", "http_headers": "headers",
	"workingDirectory": "cwd", "working_directory": "cwd",
	"transport": "type", "transportType": "type", "transport_type": "type", // Cline, LibreChat
}

// realmKeys are keys that clients keep in a realm besides its own. The value is what the operator should know; empty:
// nothing is lost.
var realmKeys = map[string]string{
	"alwaysAllow": "", "autoApprove": "", "autoStart": "", "bundled": "", "chatMenu": "", "description": "", "dev": "", "display_name": "",
	"displayName": "", "gallery": "", "icon": "", "iconPath": "", "id": "", "metadata": "", "name": "", "source": "", "title": "", "trust": "",
	"version": "", "watchPaths": "",
	"timeout":             "set policies.realms.%[1]s.timeout instead; clients disagree about its unit",
	"initTimeout":         "set policies.realms.%[1]s.start_timeout instead",
	"startup_timeout_sec": "set policies.realms.%[1]s.start_timeout instead",
	"startup_timeout_ms":  "set policies.realms.%[1]s.start_timeout instead",
	"tool_timeout_sec":    "set policies.realms.%[1]s.timeout instead",
	"disabledTools":       "all tools of the realm stay callable",
	"excludeTools":        "all tools of the realm stay callable",
	"includeTools":        "all tools of the realm are callable",
	"available_tools":     "all tools of the realm are callable",
	"enabled_tools":       "all tools of the realm are callable",
	"disabled_tools":      "all tools of the realm stay callable",
	"tools":               "all tools of the realm are callable",
	"oauth":               "give the token in headers",
	"auth":                "give the token in headers",
}

// weighty are names of keys that may carry what a server does not work without.
var weighty = regexp.MustCompile(`(?i)token|secret|auth|key|credential|header|passw|bearer|cert|proxy|transport`)

// transports are spellings of a realm's type, in lower case and without - and _.
var transports = map[string]string{
	"stdio": "stdio", "local": "stdio", "command": "stdio", "process": "stdio",
	"http": "http", "https": "http", "remote": "http", "streamable": "http", "streamablehttp": "http", "httpstream": "http", "httpstreamable": "http",
	"sse": "sse", "serversentevents": "sse",
}

// unreachable are types of servers that only their client can start or speak to.
var unreachable = map[string]string{
	"builtin": "is built into its client (Goose), which alone can start it", "platform": "is built into its client (Goose), which alone can start it",
	"frontend": "is a part of its client (Goose), which alone can start it", "inlinepython": "is a program in Goose's file: save it and give the command that runs it",
	"websocket": "speaks WebSocket, which is no transport of MCP: give its streamable HTTP or SSE url",
	"ws":        "speaks WebSocket, which is no transport of MCP: give its streamable HTTP or SSE url",
}

// realm brings an entry of mcpServers into our form. A disabled one is not expanded: its variables are often not set.
func (r *reader) realm(t *document.Tree, at string) {
	for _, name := range []string{"transport", "command"} { // an object of what belongs beside it: Continue, Zed
		if v := t.Get(name); v != nil && v.Kind == '{' {
			inner := *v
			t.Drop(name)
			for i, name := range inner.Names {
				if name == "path" {
					name = "command"
				}
				if t.Get(name) != nil {
					r.failAt(r.doc.Position(&inner.Items[i]), at, "gives %q twice: keep one", name)
					continue
				}
				t.Names, t.Items = append(t.Names, name), append(t.Items, inner.Items[i])
			}
		}
	}
	if v := t.Get("requestInit"); v != nil && v.Kind == '{' && v.Get("headers") != nil && t.Get("headers") != nil {
		r.failAt(r.doc.Position(v), at, "gives headers twice: keep one")
	} else if v != nil && v.Kind == '{' && v.Get("headers") != nil {
		headers := *v.Get("headers")
		if v.Drop("headers"); len(v.Names) == 0 {
			t.Drop("requestInit")
		}
		t.Names, t.Items = append(t.Names, "headers"), append(t.Items, headers)
	}
	for i, name := range t.Names {
		own := realmAliases[name]
		switch {
		case own == "":
		case t.Get(own) == nil:
			t.Names[i] = own
		default:
			r.failAt(r.doc.Position(t), at, "has both %q and %q, which mean the same: keep one", own, name)
		}
	}
	for alias, own := range realmAliases {
		if t.Get(own) != nil {
			t.Drop(alias)
		}
	}
	r.tokenVariables(t)
	if v := t.Get("tools"); v != nil && len(v.Items) == 1 && v.Items[0].Raw == `"*"` {
		t.Drop("tools") // all of them: Copilot CLI
	}
	r.commandList(t)
	r.spelling(t, at)
	switchedOff := func(name string, off bool) bool {
		v := t.Get(name)
		if v == nil {
			return false
		}
		is := v.Kind == 't' || v.Kind == '"' && strings.EqualFold(v.Text(), "true")
		isNot := v.Kind == 'f' || v.Kind == '"' && strings.EqualFold(v.Text(), "false")
		switch {
		case is || isNot:
			t.Drop(name)
		case v.Kind != 'n':
			r.failAt(r.doc.Position(v), at, "%s must be true or false", name)
		}
		return off && is || !off && isNot
	}
	disabled, notEnabled := switchedOff("disabled", true), switchedOff("enabled", false)
	switch env := t.Get("env"); {
	case disabled || notEnabled:
		t.Put("disabled", t.As('t', "true"))
		r.expand = nil
	case env != nil && r.expand != nil:
		own := *r.expand
		own.own = env.Names
		r.expand = &own
	}
}

// tokenVariables turns the names of variables that Codex takes headers from into headers.
func (r *reader) tokenVariables(t *document.Tree) {
	set := func(header, value string, at *document.Tree) {
		if t.Get("headers") == nil {
			t.Names, t.Items = append(t.Names, "headers"), append(t.Items, at.As('{', "{}"))
		}
		if h := t.Get("headers"); h.Kind == '{' && !slices.ContainsFunc(h.Names, func(name string) bool { return strings.EqualFold(name, header) }) {
			h.Put(header, at.As('"', document.Quote(value)))
		}
	}
	if v := t.Get("bearer_token_env_var"); v != nil && v.Kind == '"' {
		name := *v
		t.Drop("bearer_token_env_var")
		set("Authorization", "Bearer ${"+name.Text()+"}", &name)
	}
	if v := t.Get("env_http_headers"); v != nil && v.Kind == '{' {
		all := *v
		t.Drop("env_http_headers")
		for i := range all.Items {
			if all.Items[i].Kind == '"' {
				set(all.Names[i], "${"+all.Items[i].Text()+"}", &all.Items[i])
			}
		}
	}
}

// commandList splits a command that is a list of words, or one text that can only be meant so.
func (r *reader) commandList(t *document.Tree) {
	v := t.Get("command")
	if v == nil {
		return
	}
	words := v.Items
	switch text := v.Text; {
	case v.Kind == '[' && len(words) > 0 && words[0].Kind == '"':
	case v.Kind == '"' && t.Get("args") == nil && plainWords.MatchString(text()):
		words = nil
		for _, word := range strings.Fields(text()) {
			words = append(words, v.As('"', document.Quote(word)))
		}
	default:
		return
	}
	if more := t.Get("args"); more != nil && more.Kind != '[' && more.Kind != 'n' {
		return // the schema says what is wrong with it
	}
	args := v.As('[', "[]")
	args.Items = slices.Clone(words[1:])
	if more := t.Get("args"); more != nil && more.Kind == '[' {
		args.Items = append(args.Items, more.Items...)
	}
	command := words[0]
	t.Put("command", command)
	if len(args.Items) > 0 {
		t.Put("args", args)
	}
}

// plainWords is a command line of a program without a path, and of words that no shell would change.
var plainWords = regexp.MustCompile(`^[A-Za-z0-9_.-]+( +[A-Za-z0-9_.@/:=+-]+)+$`)

// spelling brings the type into our words.
func (r *reader) spelling(t *document.Tree, at string) {
	v := t.Get("type")
	if v == nil || v.Kind != '"' || v.Text() == "" {
		if u := t.Get("url"); u != nil && u.Kind == '"' && t.Get("command") == nil && strings.HasSuffix(strings.TrimRight(u.Text(), "/"), "/sse") {
			t.Put("type", u.As('"', `"sse"`)) // clients try that too
		}
		return
	}
	word := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(v.Text()))
	switch own := transports[word]; {
	case unreachable[word] != "":
		r.failAt(r.doc.Position(v), schemas.PointerTo(at, "type"), "the realm %s", unreachable[word])
		*v = v.As('"', `"stdio"`)
	case own != "" && v.Text() != "streamable-http":
		*v = v.As('"', document.Quote(own))
	}
}

// setAside takes the problems of single realms out of those of the file: such a realm is broken, and its entry is not read. The next
// entries of a file are not lost by a mistake in one of them.
func (r *reader) setAside() {
	var others []problem
	for _, p := range r.problems {
		if !inRealm(p.field) {
			others = append(others, p)
			continue
		}
		name := slices.Collect(schemas.PointerParts(p.field))[1]
		why := fmt.Sprintf("%s: %s", p.at, p.message)
		if e := r.broken[name]; e != nil {
			r.broken[name] = e.With(func(e *schemas.Error) { e.Message += "; " + why })
			continue
		}
		if r.broken == nil {
			r.broken = map[string]*schemas.Error{}
		}
		r.broken[name] = schemas.Errorf(schemas.CodeUnavailable, "realm %q cannot be used: %s:%s", name, r.file, why).
			WithHint("correct its entry in mcpServers, or set the variable that it names; the other realms work").WithField(schemas.Dotted(p.field)).
			With(func(e *schemas.Error) { e.Retryable = false })
		if v := r.doc.Find(schemas.PointerTo("/mcpServers", name)); v != nil {
			off := v.Kind == '{' && v.Get("disabled") != nil && v.Get("disabled").Kind == 't'
			if *v = v.As('{', "{}"); off {
				v.Put("disabled", v.As('t', "true"))
			}
		}
	}
	r.problems = others
}

// asClientsDo expands what some clients expand beside ${…}: a leading ~, opencode's {env:NAME}, and $NAME where it is all of a value or
// ends it. before is the text as it was written, after what ${…} made of it; nothing that was expanded is expanded again. No text of a
// value stands in a warning: it may be a password with a $ in it.
func (r *reader) asClientsDo(t *document.Tree, before, after, at string) string {
	part := partOf(at)
	if after != before {
		if rest, ok := strings.CutPrefix(before, "~/"); ok && part != "env" && part != "headers" && r.expand.home != "" {
			return r.expand.home + "/" + strings.TrimPrefix(after, before[:len(before)-len(rest)])
		}
		return after
	}
	if rest, ok := strings.CutPrefix(before, "~"); ok && r.expand.home != "" && (rest == "" || rest[0] == '/') && part != "env" && part != "headers" {
		return r.expand.home + rest
	}
	if !r.client {
		return before
	}
	expand := func(name string) string {
		value, ok := r.expand.env(name)
		if !ok {
			r.failAt(r.doc.Position(t), at, "environment variable %s is not set", name)
		}
		r.expand.used[name] = value
		return value
	}
	if after = braced.ReplaceAllStringFunc(before, func(ref string) string { return expand(ref[len("{env:") : len(ref)-1]) }); after != before {
		return after
	}
	m := trailing.FindStringSubmatchIndex(before)
	if m == nil || part == "args" && m[2] > 0 && before[m[2]-1] != '=' {
		return before
	}
	if name := before[m[4]:m[5]]; r.isSet(name) {
		return before[:m[2]] + expand(name)
	}
	r.warnings = append(r.warnings, schemas.Dotted(at)+" ends with $ and a name that no variable has: it is handed on as it stands; a variable's value is ${env:NAME}")
	return before
}

// partOf is the key of a realm that a JSON pointer leads into, such as env.
func partOf(at string) string {
	parts := slices.Collect(schemas.PointerParts(at))
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

func (r *reader) isSet(name string) bool {
	_, ok := r.expand.env(name)
	return ok
}

var (
	braced   = regexp.MustCompile(`\{env:[A-Za-z_][A-Za-z0-9_]*\}`)
	trailing = regexp.MustCompile(`(?:^|[\s=])(\$([A-Z_][A-Z0-9_]*))$`)
)

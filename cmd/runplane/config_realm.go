package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"path/filepath"
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
				if t.Get(name) == nil {
					t.Names, t.Items = append(t.Names, name), append(t.Items, inner.Items[i])
				}
			}
		}
	}
	if v := t.Get("requestInit"); v != nil && v.Kind == '{' && v.Get("headers") != nil && t.Get("headers") == nil {
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
		if is || isNot {
			t.Drop(name)
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
		if h := t.Get("headers"); h.Kind == '{' && h.Get(header) == nil {
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
// ends it. before is the text as it was written, after what ${…} made of it.
func (r *reader) asClientsDo(t *document.Tree, before, after, at string) string {
	if rest, ok := strings.CutPrefix(after, "~"); ok && r.expand.home != "" && (rest == "" || rest[0] == '/') && !strings.Contains(at, "/env/") {
		after = r.expand.home + rest
	}
	if !r.client || strings.Contains(before, "${") {
		return after
	}
	place := schemas.Dotted(at)
	after = braced.ReplaceAllStringFunc(after, func(ref string) string {
		name := ref[len("{env:") : len(ref)-1]
		value, ok := r.expand.env(name)
		if !ok {
			r.failAt(r.doc.Position(t), at, "environment variable %s is not set", name)
		}
		r.expand.used[name] = value
		return value
	})
	m := trailing.FindStringSubmatchIndex(after)
	if m == nil || strings.Contains(at, "/args/") && m[2] > 0 && after[m[2]-1] != '=' {
		return after
	}
	name := after[m[4]:m[5]]
	value, ok := r.expand.env(name)
	if !ok {
		r.warnings = append(r.warnings, fmt.Sprintf("%s: $%s is handed on as it stands, because %s is not set; ${env:%s} would be its value", place, name, name, name))
		return after
	}
	r.expand.used[name] = value
	return after[:m[2]] + value
}

var (
	braced   = regexp.MustCompile(`\{env:[A-Za-z_][A-Za-z0-9_]*\}`)
	trailing = regexp.MustCompile(`(?:^|[\s=])(\$([A-Z_][A-Z0-9_]*))$`)
)

// skipSelf switches off the realms that would start this program again, or connect to it.
func (c *Config) skipSelf() {
	for _, name := range slices.Sorted(maps.Keys(c.MCPServers)) {
		spec := c.MCPServers[name]
		if !spec.Disabled && spec.Broken == nil && (startsSelf(spec) || c.HTTP != "" && sameAddress(spec.URL, c.HTTP)) {
			spec.Disabled = true
			c.MCPServers[name] = spec
			c.Warnings = append(c.Warnings, fmt.Sprintf("mcpServers.%s is Runplane itself and is skipped", name))
		}
	}
}

// startsSelf reports whether an entry starts this program: by its name, or by a runner of packages whose package it is.
func startsSelf(spec schemas.Realm) bool {
	const self = "runplane"
	is := func(word string) bool {
		word = path.Base(filepath.ToSlash(word))
		word, _, _ = strings.Cut(word, "@")
		word, _, _ = strings.Cut(word, ":")
		return strings.EqualFold(strings.TrimSuffix(word, ".exe"), self)
	}
	spec.Command, spec.Args = unwrapped(spec.Command, spec.Args)
	if is(spec.Command) {
		return true
	}
	var words []string // without flags
	for _, arg := range spec.Args {
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
		}
	}
	first := func(verbs ...string) bool {
		if len(verbs) > 0 {
			if len(words) == 0 || !slices.Contains(verbs, words[0]) {
				return false
			}
			words = words[1:]
		}
		return len(words) > 0 && is(words[0])
	}
	switch strings.TrimSuffix(path.Base(filepath.ToSlash(spec.Command)), ".exe") {
	case "npx", "bunx", "pnpx", "uvx":
		return first()
	case "npm", "pnpm", "yarn", "bun":
		return first("exec", "x", "dlx")
	case "go":
		return first("run")
	case "docker", "podman", "nerdctl":
		for i, word := range words {
			if is(word) && (i == len(words)-1 || words[i+1] == "serve") {
				return true
			}
		}
	}
	return false
}

// unwrapped is the command that env, cmd /c or a shell's -c starts, where it is one command alone.
func unwrapped(command string, args []string) (string, []string) {
	for range 3 { // one within another
		words := args
		switch strings.TrimSuffix(path.Base(filepath.ToSlash(command)), ".exe") {
		case "env":
			for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
				words = words[1:]
			}
		case "cmd":
			if len(words) == 0 || !strings.EqualFold(words[0], "/c") {
				return command, args
			}
			words = words[1:]
		case "sh", "bash", "zsh", "dash":
			if len(words) != 2 || words[0] != "-c" && words[0] != "-lc" || strings.ContainsAny(words[1], ";|&<>()`") {
				return command, args
			}
			words = strings.Fields(strings.TrimPrefix(strings.TrimSpace(words[1]), "exec "))
		default:
			return command, args
		}
		if len(words) == 0 {
			return command, args
		}
		command, args = words[0], words[1:]
	}
	return command, args
}

// sameAddress reports whether a URL leads to an address of this machine that is served.
func sameAddress(raw, address string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return false
	}
	_, port, err := net.SplitHostPort(address)
	return err == nil && u.Port() == port && port != "0" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

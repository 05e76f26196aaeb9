package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Realms are often copied from, or left in, the file of an MCP client. Such a file is taken as it is: wherever the client
// keeps its servers, they count as `mcpServers`, and what it keeps there for itself is ignored with a note.

// decisive are keys of ours that no client has in its own file.
var decisive = []string{"policies", "store", "secrets", "limits", "retention", "toolsets", "shards", "operator", "drain"}

// adopt turns the file of a client into our form and notes that it is one.
func (r *reader) adopt(path string) {
	root, base := &r.doc.Tree, filepath.Base(path)
	if root.Kind != '{' || strings.HasPrefix(base, "runplane.") || slices.ContainsFunc(decisive, func(name string) bool { return root.Get(name) != nil }) {
		return
	}
	key, servers := serversOf(root)
	if ext := filepath.Ext(path); servers == nil || (ext == ".yaml" || ext == ".yml") && servers == root.Get("mcpServers") && servers.Kind == '{' &&
		base != "librechat.yaml" {
		return
	}
	r.client = true
	found := *servers
	if found.Kind == '[' {
		found = r.named(found)
	}
	off := outsideOf(root, &found)
	ours := configSchema().names()
	for _, name := range slices.Clone(root.Names) {
		switch {
		case servers == root || slices.Contains([]string{"mcpServers", "servers", "inputs", "mcp", key}, name):
			root.Drop(name)
		case slices.Contains(ours, name): // of the same name, and of another meaning
			root.Drop(name)
			r.notes = append(r.notes, name+" is the client's own and ignored")
		}
	}
	root.Put("mcpServers", found)
	for _, name := range off {
		if v := root.Get("mcpServers").Get(name); v != nil && v.Kind == '{' {
			v.Put("disabled", v.As('t', "true"))
		}
	}
	r.rename(root.Get("mcpServers"))
}

// serversOf finds the servers in a client's file, and the key that has them; nil: it is none.
func serversOf(root *document.Tree) (key string, servers *document.Tree) {
	at := func(path ...string) *document.Tree {
		t := root
		for _, name := range path {
			if t = t.Get(name); t == nil || t.Kind != '{' && t.Kind != '[' {
				return nil
			}
		}
		return t
	}
	for _, path := range [][]string{
		{"mcpServers"},                     // Claude, Cursor, Windsurf, Cline, Roo Code, Gemini CLI, Copilot CLI, Amazon Q, Kiro, LM Studio; a list: Continue
		{"servers"},                        // VS Code
		{"mcp", "servers"},                 // VS Code's settings
		{"amp.mcpServers"},                 // Amp
		{"context_servers"},                // Zed
		{"mcp_servers"},                    // Codex
		{"augment.advanced", "mcpServers"}, // Augment, a list
		{"extensions"},                     // Goose
		{"mcp"},                            // opencode
	} {
		if t := at(path...); t != nil && (path[0] == "mcpServers" && (len(t.Items) > 0 || root.Get("servers") == nil) || path[0] != "mcpServers" && holdsServers(t)) {
			return path[0], t
		}
	}
	if len(root.Items) > 0 && !slices.ContainsFunc(root.Items, func(t document.Tree) bool { return !isServer(&t) }) {
		return "", root // Warp
	}
	return "", nil
}

// holdsServers reports whether every entry of a map or list is an object, and one at least describes a server.
func holdsServers(t *document.Tree) bool {
	return !slices.ContainsFunc(t.Items, func(t document.Tree) bool { return t.Kind != '{' }) &&
		(len(t.Items) == 0 || slices.ContainsFunc(t.Items, func(t document.Tree) bool { return isServer(&t) }))
}

// isServer reports whether an object says how a server is reached.
func isServer(t *document.Tree) bool {
	return t.Kind == '{' && slices.ContainsFunc([]string{"command", "cmd", "url", "uri", "serverUrl", "httpUrl", "transport"},
		func(name string) bool { return t.Get(name) != nil })
}

// named turns a list of servers with names into a map.
func (r *reader) named(list document.Tree) document.Tree {
	servers := list.As('{', "{}")
	given := map[string]bool{}
	for i := range list.Items {
		if v := list.Items[i].Get("name"); v != nil && v.Kind == '"' {
			given[v.Text()] = true
		}
	}
	for i := range list.Items {
		v := &list.Items[i]
		name := fmt.Sprintf("server_%d", i+1)
		if own := v.Get("name"); own != nil && own.Kind == '"' && own.Text() != "" {
			name = own.Text()
		}
		if first := name; servers.Get(name) != nil {
			for k := 2; servers.Get(name) != nil || given[name]; k++ {
				name = fmt.Sprintf("%s_%d", first, k)
			}
			r.warnings = append(r.warnings, fmt.Sprintf("the second realm %.80q is named %q here", first, name))
		}
		servers.Names, servers.Items = append(servers.Names, name), append(servers.Items, *v)
	}
	return servers
}

// outsideOf lists the servers that Gemini CLI's own settings switch off.
func outsideOf(root, servers *document.Tree) (off []string) {
	words := func(name string) (list []string, ok bool) {
		t := root.Get("mcp")
		if t == nil || t.Kind != '{' {
			return nil, false
		}
		if t = t.Get(name); t == nil || t.Kind != '[' {
			return nil, false
		}
		for i := range t.Items {
			list = append(list, t.Items[i].Text())
		}
		return list, true
	}
	allowed, limited := words("allowed")
	excluded, _ := words("excluded")
	for _, name := range servers.Names {
		if limited && !slices.Contains(allowed, name) || slices.Contains(excluded, name) {
			off = append(off, name)
		}
	}
	return off
}

// rename gives realms names that capabilities can have. A name that would be there twice gets a number.
func (r *reader) rename(servers *document.Tree) {
	if servers.Kind != '{' {
		return
	}
	for i, name := range servers.Names {
		if realmName.MatchString(name) {
			continue
		}
		good := suggestRealm(name)
		for k := 2; slices.Contains(servers.Names, good); k++ {
			number := fmt.Sprintf("_%d", k)
			good = suggestRealm(name)
			good = good[:min(len(good), 64-len(number))] + number
		}
		servers.Names[i] = good
		r.warnings = append(r.warnings, fmt.Sprintf("the realm %.80q is named %q here: a realm's name has 1 to 64 of A-Z a-z 0-9 _ and -", name, good))
	}
}

// foreign handles a key that the object at a JSON pointer does not have. It reports whether the key may be ignored.
func (r *reader) foreign(at, name string, known []string) bool {
	path := schemas.Dotted(schemas.PointerTo(at, name))
	advice, harmless := realmKeys[name]
	switch realm, isRealm := realmAt(at); {
	case isRealm && harmless && advice != "":
		r.warnings = append(r.warnings, path+" is not applied: "+strings.ReplaceAll(advice, "%[1]s", realm))
	case isRealm && harmless:
		r.notes = append(r.notes, path+" is the client's own and ignored")
	case at == "" && strings.HasPrefix(name, "x-"):
		// for YAML anchors
	case isRealm && r.client && weighty.MatchString(name):
		r.warnings = append(r.warnings, path+" is not known and ignored: if the server needs it, write it as env or headers")
	case r.client && len(schemas.Nearest(name, known, 1)) == 0:
		r.notes = append(r.notes, path+" is the client's own and ignored")
	default:
		return false
	}
	return true
}

// realmAt is the name of the realm at a JSON pointer.
func realmAt(at string) (name string, ok bool) {
	parent, name := schemas.SplitPointer(at)
	return name, parent == "/mcpServers"
}

// workspace is the folder that paths in the file are relative to: its own, or the project's for the files that clients
// keep in a folder of the project. project reports whether the client starts realms there.
func workspace(path string) (folder string, project bool) {
	folder = filepath.Dir(path)
	switch filepath.Base(folder) {
	case ".vscode", ".cursor", ".roo", ".trae":
		return filepath.Dir(folder), true
	case "settings":
		if filepath.Base(filepath.Dir(folder)) == ".kiro" {
			return filepath.Dir(filepath.Dir(folder)), true
		}
	}
	return folder, filepath.Base(path) == ".mcp.json"
}

// placeRealms makes the paths of realms absolute.
func placeRealms(realms map[string]schemas.Realm, folder string, project bool) {
	for name, r := range realms {
		if project && r.Cwd == "" && r.Command != "" {
			r.Cwd = folder
		}
		for _, p := range []*string{&r.Cwd, &r.EnvFile} {
			if *p != "" && !filepath.IsAbs(*p) {
				*p = filepath.Join(folder, *p)
			}
		}
		realms[name] = r
	}
}

// checkRealm is what is wrong with a realm as a whole; empty when nothing is.
func checkRealm(r schemas.Realm) string {
	switch {
	case r.Command == "" && r.URL == "":
		return `needs a "command" to run or a "url" to connect to`
	case r.Command != "" && r.URL != "":
		return `has both "command" and "url"; keep one`
	case r.Type == "stdio" && r.Command == "":
		return `is of type stdio and has no "command"`
	case r.Type != "" && r.Type != "stdio" && r.URL == "":
		return fmt.Sprintf(`is of type %s and has no "url"`, r.Type)
	}
	if r.URL == "" {
		return ""
	}
	switch u, err := url.Parse(r.URL); { // none of these shows the URL, which may hold a password
	case err != nil:
		return `has a "url" that is none`
	case u.Scheme != "http" && u.Scheme != "https":
		return `has a "url" that does not begin with http:// or https://`
	case u.Host == "":
		return `has a "url" without a host`
	case u.User != nil:
		return `has a user or password in its "url": write them as an Authorization header`
	}
	return ""
}

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Realms are often copied from, or left in, the file of an MCP client. Such a file is taken as it is: its `servers`
// (VS Code) count as `mcpServers`, and what the client keeps there for itself is ignored with a note.

// realmAliases are other clients' names for a key of a realm.
var realmAliases = map[string]string{
	"serverUrl": "url", // Windsurf
	"httpUrl":   "url", // Gemini CLI
}

// realmKeys are keys that clients keep in a realm besides its own. The value is what the operator should know; empty:
// nothing is lost.
var realmKeys = map[string]string{
	"alwaysAllow": "", "autoApprove": "", "autoStart": "", "description": "", "dev": "", "gallery": "", "icon": "",
	"metadata": "", "name": "", "trust": "", "version": "",
	"timeout":       "set policies.realms.%[1]s.timeout instead; clients disagree about its unit",
	"disabledTools": "all tools of the realm stay callable",
	"excludeTools":  "all tools of the realm stay callable",
	"includeTools":  "all tools of the realm are callable",
	"tools":         "all tools of the realm are callable",
	"oauth":         "give the token in headers",
	"auth":          "give the token in headers",
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

// adopt turns the file of a client into our form and reports whether it is one: JSON with `servers`, or with
// `mcpServers` and no other key of ours.
func adopt(root *document.Tree, path string) bool {
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" || strings.HasPrefix(filepath.Base(path), "runplane.") {
		return false
	}
	ours := configSchema().names()
	for i, name := range root.Names {
		if name != "mcpServers" && slices.Contains(ours, name) && !(name == geminiKey && root.Items[i].Kind == '{') {
			return false
		}
	}
	root.Drop(geminiKey)
	own, servers := root.Get("mcpServers") != nil, root.Get("servers")
	if servers != nil && !own && servers.Kind == '{' {
		root.Names[slices.Index(root.Names, "servers")] = "mcpServers"
		root.Drop("inputs")
	}
	return own || servers != nil
}

// geminiKey is a setting of ours, a list, and an object in the file of Gemini CLI.
const geminiKey = "tools"

// transports are other spellings of a realm's type.
var transports = map[string]string{"streamableHttp": "http", "streamable_http": "http", "http-stream": "http"}

// realm reads an entry of mcpServers as other clients write it. A disabled one is not expanded: its variables are often
// not set.
func (r *reader) realm(t *document.Tree) {
	for i, name := range t.Names {
		if own := realmAliases[name]; own != "" {
			t.Names[i] = own
		}
	}
	if v := t.Get("type"); v != nil && v.Kind == '"' && transports[v.Text()] != "" {
		*v = v.As('"', document.Quote(transports[v.Text()]))
	}
	if off := t.Get("disabled"); off != nil && off.Kind == 't' {
		r.expand = nil
	}
}

// workspace is the folder that paths in the file are relative to: its own, or the project's for the files that clients
// keep in a folder of the project. project reports whether the client starts realms there.
func workspace(path string) (folder string, project bool) {
	folder = filepath.Dir(path)
	switch filepath.Base(folder) {
	case ".vscode", ".cursor":
		return filepath.Dir(folder), true
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
	case r.URL != "" && !strings.HasPrefix(r.URL, "http://") && !strings.HasPrefix(r.URL, "https://"):
		return `has a "url" that does not begin with http:// or https://`
	}
	return ""
}

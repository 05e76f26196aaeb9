package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// Realms are often copied from, or left in, the file of an MCP client. Such a file is taken as it is: its `servers`
// (VS Code) count as `mcpServers`, and what the client keeps there for itself is ignored with a note.

// realmAliases are other clients' names for a key of a realm.
var realmAliases = map[string]string{
	"serverUrl": "url", // Windsurf
	"httpUrl":   "url", // Gemini CLI
}

// realmKeys are what clients keep beside a realm's own keys. The value says what the operator should know; empty means
// that nothing is lost.
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

// foreign decides about a key that the struct at path does not have. It reports whether the key is dealt with.
func (d *decoder) foreign(entry field, v reflect.Value, path string, known []string) bool {
	realm, isRealm := v.Addr().Interface().(*schemas.Realm)
	if name, ok := realmAliases[entry.name]; ok && isRealm {
		d.decode(entry.value, reflect.ValueOf(&realm.URL).Elem(), strings.TrimSuffix(path, entry.name)+name, bounds{})
		return true
	}
	advice, harmless := realmKeys[entry.name]
	switch {
	case isRealm && harmless && advice != "":
		name := strings.TrimPrefix(strings.TrimSuffix(path, "."+entry.name), "mcpServers.")
		d.warnings = append(d.warnings, path+" is not applied: "+strings.ReplaceAll(advice, "%[1]s", name))
	case isRealm && harmless:
		d.notes = append(d.notes, path+" is the client's own and ignored")
	case path == "$schema" || path == entry.name && strings.HasPrefix(entry.name, "x-"):
		// for editors, and for YAML anchors
	case d.client && len(schemas.Nearest(entry.name, known, 1)) == 0:
		d.notes = append(d.notes, path+" is the client's own and ignored")
	default:
		return false
	}
	return true
}

// adopt turns the file of a client into our form and reports whether it is one: JSON with `servers`, or with
// `mcpServers` and no other key of ours.
func adopt(root *node, path string) bool {
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" || strings.HasPrefix(filepath.Base(path), "runplane.") {
		return false
	}
	ours := fieldsOf(reflect.TypeFor[Config]())
	for _, f := range root.fields {
		if _, ok := ours[f.name]; ok && f.name != "mcpServers" {
			return false
		}
	}
	_, own := root.get("mcpServers")
	servers, vscode := root.get("servers")
	if vscode && !own && servers.kind == kindObject {
		root.fields = slices.DeleteFunc(root.fields, func(f field) bool { return f.name == "inputs" })
		i := slices.IndexFunc(root.fields, func(f field) bool { return f.name == "servers" })
		root.fields[i].name = "mcpServers"
	}
	return own || vscode
}

// transports are other spellings of a realm's type.
var transports = map[string]string{"streamableHttp": "http", "streamable_http": "http", "http-stream": "http"}

// realm reads an entry of mcpServers. A disabled one is not expanded: its variables are often not set.
func (d *decoder) realm(n *node, v reflect.Value, path string) {
	if t, ok := n.get("type"); ok && transports[t.text] != "" {
		t.text = transports[t.text]
	}
	if off, ok := n.get("disabled"); ok && off.kind == kindBool && off.text == "true" {
		defer func(e *expander) { d.expand = e }(d.expand)
		d.expand = nil
	}
	d.fields(n, v, path)
}

// workspace is the folder that paths in the file are relative to: its own, or the project's for the files that clients
// keep in a folder of the project. project says that the client starts realms there.
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

// checkRealm says what is wrong with a realm on the whole; empty when nothing is.
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

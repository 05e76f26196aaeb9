package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// placeOfPolicies says where policies are to be written for this configuration. The file of a client is none of ours to extend: many
// clients refuse keys that they do not know.
func (c *Config) placeOfPolicies() string {
	switch {
	case c.PoliciesFile != "":
		return "in " + c.PoliciesFile
	case c.File == "":
		return "in runplane.yaml"
	case c.Client:
		return fmt.Sprintf("in a file of its own, such as %s, and pass it as well: --config %s --policies %[1]s",
			filepath.Join(filepath.Dir(c.File), "policies"+c.snippetForm()), c.File)
	}
	return "in " + c.File
}

// snippetForm is the extension of the file that a snippet is for.
func (c *Config) snippetForm() string {
	path := c.File
	if c.PoliciesFile != "" {
		path = c.PoliciesFile
	}
	if ext := filepath.Ext(path); ext == ".json" || ext == ".jsonc" {
		return ".json"
	}
	return ".yaml"
}

// effectSnippet is a configuration with the current effect of each capability, in the form of the file where it is to be pasted and
// corrected. For a name that suggests reading, a comment has the line that says so: it is a guess.
func effectSnippet(c *Config, realm string, capabilities []string) string {
	var b strings.Builder
	line := func(level int, format string, args ...any) {
		fmt.Fprintf(&b, "%s"+format+"\n", append([]any{strings.Repeat("  ", level)}, args...)...)
	}
	if c.snippetForm() == ".yaml" {
		line(0, "policies:")
		line(1, "realms:")
		line(2, "%s:", realm)
		line(3, "capabilities:")
		for _, name := range capabilities {
			line(4, "%q: {effect: once}", name)
			if readsByName(name) {
				line(4, "# %q: {effect: read}", name)
			}
		}
		return b.String()
	}
	own := c.Client && c.PoliciesFile == "" // the file is a new one
	level := 0
	if own {
		line(0, "{")
		level = 1
	}
	line(level, `"policies": {"realms": {%q: {"capabilities": {`, realm)
	for i, name := range capabilities {
		comma := ","
		if i == len(capabilities)-1 {
			comma = ""
		}
		line(level+1, `%q: {"effect": "once"}%s`, name, comma)
		if readsByName(name) {
			line(level+1, `// %q: {"effect": "read"}%s`, name, comma)
		}
	}
	if line(level, "}}}}"); own {
		line(0, "}")
	}
	return b.String()
}

const readingWords = "get|list|read|search|find|fetch|show|describe|query|count|echo|lookup|view"

// reading is a name whose first word is one of them, however words are set apart: get_order, GET-ORDER, getOrder.
var reading = regexp.MustCompile(`^[^A-Za-z]*(?:(?i:` + readingWords + `)(?:[^A-Za-z]|$)|(?:` + readingWords + `)[A-Z])`)

// readsByName reports whether a name suggests that the capability only reads: a hint, not a fact.
func readsByName(name string) bool { return reading.MatchString(name) }

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// expander replaces ${…} in the strings of a file. No error holds a value that it reads from the environment.
type expander struct {
	env    func(name string) (string, bool)
	folder string // what ${workspaceFolder} is: the folder of the file, or the one above .vscode and .cursor
	home   string
	used   map[string]string // the variables that were read, by name
	own    []string          // of a realm: the variables in its env, which its program can expand itself, as mcp-remote does
}

var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}`)
	// referenceName is what stands in the ${…} of clients.
	referenceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/-]*$`)
	// variable is Claude Code's form: NAME or NAME:-default.
	variable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$`)
)

// setting expands ${env:NAME} and ${env:NAME:-default}; nothing else is allowed in ${}. $${ is a literal ${.
func (e *expander) setting(text string) (string, []error) {
	return e.replace(text, func(name string) (string, error) {
		if v, ok := strings.CutPrefix(name, "env:"); ok {
			return e.variable(v)
		}
		return "", fmt.Errorf("${%s} is unknown: write ${env:NAME}, or $${ for a literal ${", name)
	})
}

// realm expands what the clients that share the mcpServers object know beside ${env:NAME}: Claude Code's ${NAME} and
// ${NAME:-default}, and of VS Code and Cursor ${workspaceFolder}, ${workspaceFolderBasename}, ${userHome},
// ${pathSeparator} and ${/}.
func (e *expander) realm(text string) (string, []error) {
	return e.replace(text, func(name string) (string, error) {
		switch name {
		case "workspaceFolder":
			return e.folder, nil
		case "workspaceFolderBasename":
			return filepath.Base(e.folder), nil
		case "userHome":
			if e.home == "" {
				return "", errors.New("${userHome}: the home folder is not known; set HOME")
			}
			return e.home, nil
		case "pathSeparator", "/":
			return string(filepath.Separator), nil
		}
		if id, ok := strings.CutPrefix(name, "input:"); ok {
			answer := envInput + envName(id)
			if value, ok := e.env(answer); ok {
				e.used[answer] = value
				return value, nil
			}
			return "", fmt.Errorf("${input:%s} is asked of a person by the client: give the answer in the variable %s", id, answer)
		}
		if v, ok := strings.CutPrefix(name, "env:"); ok {
			return e.variable(v)
		}
		if m := variable.FindStringSubmatch(name); m != nil {
			if _, ok := e.env(m[1]); !ok && m[1] == name && slices.Contains(e.own, name) {
				return "${" + name + "}", nil
			}
			return e.variable(name)
		}
		if !referenceName.MatchString(name) { // it may be a part of a password
			return "", errors.New("${…} with something other than a name: write ${env:NAME}, or $${ for a literal ${")
		}
		return "", fmt.Errorf("${%s} is unknown: write ${env:NAME}, or $${ for a literal ${", name)
	})
}

func (e *expander) replace(text string, value func(name string) (string, error)) (string, []error) {
	var problems []error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if literal, ok := strings.CutPrefix(ref, "$$"); ok {
			return "$" + literal
		}
		v, err := value(ref[2 : len(ref)-1])
		if err != nil {
			problems = append(problems, err)
		}
		return v
	})
	return out, problems
}

// variable reads NAME or NAME:-default; the default also stands for an empty variable, as in a shell.
func (e *expander) variable(ref string) (string, error) {
	m := variable.FindStringSubmatch(ref)
	if m == nil {
		return "", fmt.Errorf("invalid variable name %q", ref)
	}
	value, ok := e.env(m[1])
	e.used[m[1]] = value
	if strings.Contains(ref, ":-") {
		if value == "" {
			return m[2], nil
		}
		return value, nil
	}
	if !ok {
		return "", fmt.Errorf("environment variable %s is not set", m[1])
	}
	return value, nil
}

// envInput begins the variables that answer ${input:…}.
const envInput = envPrefix + "INPUT_"

var notInName = regexp.MustCompile(`[^A-Z0-9_]+`)

// envName turns the id of an input into a name that people give variables: "shop-token" to SHOP_TOKEN.
func envName(id string) string {
	return strings.Trim(notInName.ReplaceAllString(strings.ToUpper(id), "_"), "_")
}

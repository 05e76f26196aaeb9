package expr

import (
	"bytes"
	"encoding/json"
	"strings"
)

// SecretName is the name of the secret that the path reads; empty: it reads none.
func (p Path) SecretName() string {
	if p.Root != Secret || len(p.Steps) != 1 || p.Steps[0].Index >= 0 || !IsName(p.Steps[0].Key) {
		return ""
	}
	return p.Steps[0].Key
}

const beforeSecret = "${" + Secret + "."

// SecretReference is what stands for a secret in a rendered value until the call is sent: with it the value is stored, shown and compared.
func SecretReference(name string) string { return beforeSecret + name + "}" }

// Secrets counts the placeholders that read secrets, by the secret's name; nil: there are none.
func (t *Template) Secrets() (counts map[string]int) {
	for h := range t.Placeholders() {
		if !h.Plain {
			continue
		}
		if name := h.Path.SecretName(); name != "" {
			if counts == nil {
				counts = map[string]int{}
			}
			counts[name]++
		}
	}
	return counts
}

// FillSecrets puts values where the references to their secrets are in a rendered value. References to other secrets stay, and a value that
// looks like a reference is not read again.
func FillSecrets(rendered json.RawMessage, values map[string]string) json.RawMessage {
	out := make([]byte, 0, len(rendered))
	for {
		before, rest, found := bytes.Cut(rendered, []byte(beforeSecret))
		out = append(out, before...)
		if !found {
			return out
		}
		name, after, _ := bytes.Cut(rest, []byte("}"))
		value, known := values[string(name)]
		if !known {
			out, rendered = append(out, beforeSecret...), rest
			continue
		}
		quoted, _ := json.Marshal(value) // a string can always be encoded
		out, rendered = append(out, quoted[1:len(quoted)-1]...), after
	}
}

// CountSecret counts the references to a secret in a rendered value.
func CountSecret(rendered, name string) int { return strings.Count(rendered, SecretReference(name)) }

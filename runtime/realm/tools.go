package realm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// tool is one tool of a realm's catalog, with its policy. Its schemas are the bytes that the realm sent.
type tool struct {
	name         string
	title        string // cleaned, as are the description and the annotations
	description  string
	inputSchema  json.RawMessage
	outputSchema json.RawMessage
	annotations  json.RawMessage
	hash         string
	policy       schemas.Policy
	effect       schemas.Effect
	effectFrom   string
	warnings     []string // about what was removed from the texts above, or is in the schemas
}

// definition is a tool as a realm lists it.
type definition struct {
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  json.RawMessage `json:"annotations"`
}

// parseTool parses one definition.
func parseTool(raw json.RawMessage, limits Limits, policy func(name string) schemas.Policy) (*tool, error) {
	var d definition
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, err
	}
	if n := len(raw) - len(d.Description); n > limits.MaxDefinition {
		return nil, fmt.Errorf("its definition has %d bytes without the description (limit %d)", n, limits.MaxDefinition)
	}
	invalid := func(r rune) bool { return r <= ' ' || schemas.Hidden(r) }
	if d.Name == "" || len(d.Name) > maxToolName || !utf8.ValidString(d.Name) || strings.ContainsFunc(d.Name, invalid) {
		return nil, errors.New("its name is empty, too long or has invalid characters")
	}
	hash, err := definitionHash(d)
	if err != nil {
		return nil, err
	}
	t := &tool{
		name: d.Name, title: clean(d.Title, 200), description: clean(d.Description, limits.MaxText),
		inputSchema: d.InputSchema, outputSchema: object(d.OutputSchema),
		annotations: cleanJSON(object(d.Annotations), 200), hash: hash, policy: policy(d.Name),
		warnings: textWarnings(d, limits.MaxText),
	}
	t.effect, t.effectFrom = effectOf(t.policy, t.annotations)
	return t, nil
}

const maxToolName = 128

// object returns raw if it is a JSON object, else nil.
func object(raw json.RawMessage) json.RawMessage {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	return raw
}

// definitionHash changes with everything that a caller relies on: name, description, schemas and annotations. The order of keys
// and white space do not matter.
func definitionHash(d definition) (string, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, part := range []json.RawMessage{quote(d.Name), quote(d.Description), d.InputSchema, d.OutputSchema, d.Annotations} {
		var v any
		if len(part) > 0 {
			in := json.NewDecoder(bytes.NewReader(part))
			in.UseNumber()
			if err := in.Decode(&v); err != nil {
				return "", err
			}
		}
		if err := e.Encode(v); err != nil { // sorts the keys
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// capability describes the tool to a caller; hidden characters are removed from the schemas too.
func (t *tool) capability(realm string, schemasToo bool, limit int) schemas.Capability {
	c := schemas.Capability{
		Realm: realm, CapabilityName: t.name, Title: t.title, Description: t.description,
		Effect: t.effect, EffectFrom: t.effectFrom, Warnings: t.warnings,
	}
	if schemasToo {
		c.InputSchema = schemas.Object(cleanJSON(object(t.inputSchema), limit))
		c.OutputSchema = schemas.Object(cleanJSON(t.outputSchema, limit))
		c.Annotations = schemas.Object(t.annotations)
		c.DefinitionHash = t.hash
	}
	return c
}

// maxPages is the most pages of tools/list.
const maxPages = 1000

// listTools reads the raw definitions, page by page.
func (c *conn) listTools(ctx context.Context, limits Limits) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.ListTimeout)
	defer cancel()
	var all []json.RawMessage
	var seen []string
	size, cursor := 0, ""
	for range maxPages {
		params := c.listParams(cursor)
		raw, f := c.request(ctx, c.ids.Add(1), string(mcp.MethodToolsList), params, c.standardHeader(mcp.MethodToolsList, params))
		if f != nil {
			return nil, f.listError()
		}
		raw = c.redact.JSON(raw)
		var page struct {
			Tools []json.RawMessage `json:"tools"`
			Next  string            `json:"nextCursor"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, errors.New("tools/list did not return a list of tools")
		}
		all = append(all, page.Tools...)
		size += len(raw)
		switch {
		case len(all) > limits.MaxTools:
			return nil, fmt.Errorf("tools/list has more than %d tools", limits.MaxTools)
		case size > limits.MaxMessage:
			return nil, fmt.Errorf("tools/list has more than %d bytes", limits.MaxMessage)
		case page.Next == "":
			return all, nil
		case slices.Contains(seen, page.Next):
			c.log.Warn("tools/list repeats a cursor: the tools so far are taken", "tools", len(all), "pages", len(seen)+1)
			return all, nil
		}
		cursor = page.Next
		seen = append(seen, cursor)
	}
	return nil, fmt.Errorf("tools/list has more than %d pages", maxPages)
}

// errNoTools: the realm has no tools, which is not an error.
var errNoTools = errors.New("the realm offers no tools")

func (f *fault) listError() error {
	switch {
	case f.rpc != nil && f.rpc.Code == mcp.METHOD_NOT_FOUND:
		return errNoTools
	case f.cause != nil:
		return errors.New("tools/list was not answered in time")
	case f.err != nil:
		return f.err
	}
	return errors.New("tools/list failed: " + f.text())
}

func (c *conn) listParams(cursor string) json.RawMessage {
	b := []byte{'{'}
	if cursor != "" {
		b = append(append(b, `"cursor":`...), quote(cursor)...)
	}
	if len(c.metaTail) > 0 {
		if cursor != "" {
			b = append(b, ',')
		}
		b = append(b, `"_meta":{`...)
		b = append(b, c.metaTail[1:]...)
		b = append(b, '}')
	}
	return append(b, '}')
}

// toolsWithHeaders is the definitions with arguments that are sent in headers too (x-mcp-header). Over HTTP such a tool whose header is
// invalid must not be called; usable is the definitions without those.
func (c *conn) toolsWithHeaders(raw []json.RawMessage) (headed map[string]mcp.Tool, usable []json.RawMessage) {
	headed, usable = map[string]mcp.Tool{}, make([]json.RawMessage, 0, len(raw))
	for _, definition := range raw {
		var t mcp.Tool
		if !bytes.Contains(definition, []byte(`"x-mcp-header"`)) || json.Unmarshal(definition, &t) != nil {
			usable = append(usable, definition)
			continue
		}
		if err := mcp.ValidateParamHeaderAnnotations(&t); err != nil {
			if c.kind == transportHTTP && c.modern {
				c.log.Warn("tool omitted from the catalog: its x-mcp-header is invalid", "capability", printable([]byte(t.Name), 80), "error", err)
				continue
			}
		} else {
			headed[t.Name] = t
		}
		usable = append(usable, definition)
	}
	return headed, usable
}

package schemas

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// CheckSettled is Check for arguments some of which may be absent: a document that the schema refuses is checked again as Settle
// leaves it. It returns the document that was found valid, or the problems that remain.
func (c *Checker) CheckSettled(ctx context.Context, doc json.RawMessage) (json.RawMessage, []Problem) {
	return c.checkSettled(doc, translator{checker: c, ctx: ctx})
}

// CheckSettledToEnd is CheckSettled without an interrupt; see [Checker.CheckToEnd].
func (c *Checker) CheckSettledToEnd(doc json.RawMessage) (json.RawMessage, []Problem) {
	return c.checkSettled(doc, translator{checker: c, ctx: uninterrupted})
}

func (c *Checker) checkSettled(doc json.RawMessage, t translator) (json.RawMessage, []Problem) {
	problems := c.check(doc, t)
	if len(problems) == 0 || problems[0].Keyword == KeywordInterrupted {
		return doc, problems
	}
	if settled, changed := c.settle(doc, settler{ctx: t.ctx}); changed {
		return settled, c.check(settled, t)
	}
	return doc, problems
}

// Settle leaves out what counts as absent, and fills in what has a default. For every object in the document, the members that its schema
// declares decide: one that is null, is not required and may not be null is left out; one that is missing, is required and has a valid
// default is filled in. An object with alternatives (anyOf, oneOf) is settled where only one of them takes an object. The values at the
// JSON pointers of open are not known yet and stay. changed reports whether there was anything to do.
func (c *Checker) Settle(doc json.RawMessage, open []string) (settled json.RawMessage, changed bool) {
	return c.settle(doc, settler{ctx: uninterrupted, open: open})
}

func (c *Checker) settle(doc json.RawMessage, s settler) (settled json.RawMessage, changed bool) {
	if len(bytes.TrimSpace(doc)) == 0 {
		doc = []byte("{}")
	}
	value, problem := decodeDocument(doc)
	if problem != "" {
		return doc, false
	}
	one, err := c.take()
	if err != nil {
		return doc, false
	}
	defer c.giveBack(one)
	s.compiled = one
	if err := one.within(s.ctx, func() error { s.value(value, one.root, ""); return nil }); err != nil || !s.changed {
		return doc, false
	}
	out, err := Encode(value)
	if err != nil {
		return doc, false
	}
	return out, true
}

// settler changes a decoded document.
type settler struct {
	ctx      context.Context //nolint:containedctx // of one walk
	compiled *compiled
	open     []string
	changed  bool
}

// value settles a value that all of the schemas describe.
func (s *settler) value(v any, at *jsonschema.Schema, where string) {
	switch v := v.(type) {
	case map[string]any:
		if declared := s.facets(at, nil, 0); len(declared) > 0 {
			s.object(v, declared, where)
		}
	case []any:
		for _, facet := range s.facets(at, nil, 0) {
			for i, item := range v {
				if of := itemSchema(facet, i); of != nil {
					s.value(item, of, PointerToItem(where, i))
				}
			}
		}
	}
}

func (s *settler) object(v map[string]any, declared []*jsonschema.Schema, where string) {
	required := map[string]bool{}
	for _, facet := range declared {
		for _, name := range facet.Required {
			required[name] = true
		}
	}
	for _, facet := range declared {
		for name, of := range facet.Properties {
			member, given := v[name]
			switch {
			case !given && required[name]:
				if standard, ok := s.defaultOf(of, declared, name); ok {
					v[name], s.changed = standard, true
				}
			case given && member == nil && !required[name] && !slices.Contains(s.open, PointerTo(where, name)) && !s.takes(of, nil):
				delete(v, name)
				s.changed = true
			case given:
				s.value(member, of, PointerTo(where, name))
			}
		}
		other, ok := facet.AdditionalProperties.(*jsonschema.Schema)
		if !ok {
			continue
		}
		for name, member := range v {
			if facet.Properties[name] == nil {
				s.value(member, other, PointerTo(where, name))
			}
		}
	}
}

// defaultOf is the default of a missing member, if every schema of the member takes it.
func (s *settler) defaultOf(of *jsonschema.Schema, declared []*jsonschema.Schema, name string) (any, bool) {
	for _, facet := range s.facets(of, nil, 0) {
		if facet.Default == nil {
			continue
		}
		for _, other := range declared {
			if also := other.Properties[name]; also != nil && !s.takes(also, *facet.Default) {
				return nil, false
			}
		}
		return *facet.Default, true
	}
	return nil, false
}

// takes reports whether the schema takes the value.
func (s *settler) takes(of *jsonschema.Schema, v any) bool { return of.Validate(v) == nil }

// maxFacets bounds the schemas that describe one value together.
const maxFacets = 64

// facets are the schemas that describe a value together: the schema itself, what it refers to, all of allOf, and of alternatives the
// only one that takes an object or a list.
func (s *settler) facets(of *jsonschema.Schema, found []*jsonschema.Schema, depth int) []*jsonschema.Schema {
	if of == nil || depth > maxInPlace || len(found) >= maxFacets || slices.Contains(found, of) {
		return found
	}
	s.compiled.spend(1)
	found = append(found, of)
	found = s.facets(of.Ref, found, depth+1)
	for _, each := range of.AllOf {
		found = s.facets(each, found, depth+1)
	}
	for _, alternatives := range [][]*jsonschema.Schema{of.AnyOf, of.OneOf} {
		if only := onlyContainer(alternatives); only != nil {
			found = s.facets(only, found, depth+1)
		}
	}
	return found
}

// onlyContainer is the only one of the alternatives that takes an object or a list; nil: there is none, or another one.
func onlyContainer(alternatives []*jsonschema.Schema) (only *jsonschema.Schema) {
	for _, one := range alternatives {
		if one.Types != nil && !slices.ContainsFunc(one.Types.ToStrings(), func(t string) bool { return t == "object" || t == "array" }) {
			continue
		}
		if only != nil {
			return nil
		}
		only = one
	}
	return only
}

// itemSchema is the schema of an item of a list; nil: it has none.
func itemSchema(list *jsonschema.Schema, i int) *jsonschema.Schema {
	if i < len(list.PrefixItems) {
		return list.PrefixItems[i]
	}
	switch items := list.Items.(type) {
	case *jsonschema.Schema:
		return items
	case []*jsonschema.Schema:
		if i < len(items) {
			return items[i]
		}
		return nil
	}
	return list.Items2020
}

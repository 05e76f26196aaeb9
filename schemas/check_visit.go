package schemas

import "github.com/santhosh-tekuri/jsonschema/v6"

// visit registers s and all schemas below it, and has the steps of each counted.
func (c *compiled) visit(s *jsonschema.Schema, locations map[string]*jsonschema.Schema) {
	if s == nil || locations[s.Location] != nil {
		return
	}
	locations[s.Location] = s
	weight := 1 + len(s.PatternProperties) + len(s.Properties)/16 + len(s.Required)/16
	if s.Enum != nil {
		weight += len(s.Enum.Values) / 8
	}
	if s.Const != nil {
		weight += partsOf(*s.Const) / 8
	}
	if s.DynamicRef != nil || s.RecursiveRef != nil { // they are looked for in all schemas around
		weight += 16
	}
	each := 0
	for _, one := range []any{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.AdditionalProperties,
		s.Items} {
		if len(schemasOf(one)) > 0 {
			each = 1
		}
	}
	for _, one := range inPlace(s) {
		if one != nil {
			weight++
		}
	}
	s.Extensions = append(s.Extensions, stepCounter{c, weight, each, s.UniqueItems})
	for _, one := range append(inPlace(s), within(s)...) {
		c.visit(one, locations)
	}
}

// inPlace are the sub-schemas that are applied to the same value as s.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	all = append(append(append(all, s.AllOf...), s.AnyOf...), s.OneOf...)
	for _, one := range s.DependentSchemas {
		all = append(all, one)
	}
	for _, other := range s.Dependencies {
		all = append(all, schemasOf(other)...)
	}
	return all
}

// within are the sub-schemas that are applied to what the value holds.
func within(s *jsonschema.Schema) []*jsonschema.Schema {
	all := []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema}
	all = append(all, s.PrefixItems...)
	for _, one := range s.Properties {
		all = append(all, one)
	}
	for _, one := range s.PatternProperties {
		all = append(all, one)
	}
	for _, other := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		all = append(all, schemasOf(other)...)
	}
	return all
}

func schemasOf(v any) []*jsonschema.Schema {
	switch v := v.(type) {
	case *jsonschema.Schema:
		if v == nil {
			return nil
		}
		return []*jsonschema.Schema{v}
	case []*jsonschema.Schema:
		return v
	}
	return nil
}

// inPlaceDepth is how many of the schemas are applied to one value, one within the other: the validator looks at all of them
// with each. One that leads back to itself counts once.
func inPlaceDepth(locations map[string]*jsonschema.Schema) int {
	depths := map[*jsonschema.Schema]int{nil: 0}
	var depth func(s *jsonschema.Schema) int
	depth = func(s *jsonschema.Schema) int {
		if n, known := depths[s]; known {
			return n
		}
		depths[s] = 0 // it is on the way
		deepest := 0
		for _, one := range inPlace(s) {
			deepest = max(deepest, depth(one))
		}
		depths[s] = deepest + 1
		return deepest + 1
	}
	deepest := 0
	for _, s := range locations {
		deepest = max(deepest, depth(s))
	}
	return deepest
}

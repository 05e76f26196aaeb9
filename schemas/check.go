package schemas

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Limits of a Checker. Schemas come from servers that are not trusted, so their cost is limited before and during use.
const (
	maxSchemaBytes  = 256 << 10
	maxSchemaValues = 8000    // JSON objects and lists in a schema
	maxCheckSteps   = 500_000 // sub-schemas applied in one check
	maxCheckDepth   = 1000    // levels of nesting in a document
	maxNumberLength = 400     // digits and size of the exponent of one number
)

// Checker checks documents against one JSON Schema (2020-12 unless the schema names another draft). It never fetches a
// remote $ref, a pattern that RE2 cannot express counts as satisfied, and both a schema and a check are limited in
// size and steps. It is safe for concurrent use; checks of one Checker run one at a time.
type Checker struct {
	root      *jsonschema.Schema
	locations map[string]*jsonschema.Schema // by absolute location
	mu        sync.Mutex                    // guards steps
	steps     int
}

// schemaURL names the schema inside the checker; nothing is ever read from it.
const schemaURL = "schema:tool"

// NewChecker prepares a schema. An empty one accepts everything. The error says why the schema cannot be used: it is not a
// JSON Schema, refers to another document, or is too large.
func NewChecker(schema json.RawMessage) (*Checker, error) {
	if len(bytes.TrimSpace(schema)) == 0 {
		schema = []byte("{}")
	}
	if len(schema) > maxSchemaBytes {
		return nil, fmt.Errorf("the schema has %d bytes (limit %d)", len(schema), maxSchemaBytes)
	}
	doc, problem := decodeDocument(schema)
	if problem != "" {
		return nil, fmt.Errorf("the schema %s", problem)
	}
	if n := countContainers(doc); n > maxSchemaValues {
		return nil, fmt.Errorf("the schema has %d parts (limit %d)", n, maxSchemaValues)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noRemote{})
	c.UseRegexpEngine(compilePattern)
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("the schema cannot be used: %w", err)
	}
	root, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("the schema cannot be used: %s", schemaProblems(doc, err))
	}
	checker := &Checker{root: root, locations: map[string]*jsonschema.Schema{}}
	checker.visit(root)
	return checker, nil
}

// Check returns all problems of a document in the order of its fields; none means that it is valid.
func (c *Checker) Check(doc json.RawMessage) []Problem { return c.CheckPartial(doc, nil) }

// CheckPartial checks a document in which the values at the JSON pointers of open are not known yet. It returns only the
// problems that exist whatever those values will be.
func (c *Checker) CheckPartial(doc json.RawMessage, open []string) []Problem {
	return c.check(doc, translator{checker: c, open: open})
}

// CheckShowing checks a document whose values may not all be shown: where show gives a text for a JSON pointer, messages
// have it instead of the value.
func (c *Checker) CheckShowing(doc json.RawMessage, show func(field string) (text string, ok bool)) []Problem {
	return c.check(doc, translator{checker: c, show: show})
}

func (c *Checker) check(doc json.RawMessage, t translator) []Problem {
	if len(bytes.TrimSpace(doc)) == 0 {
		doc = []byte("{}")
	}
	value, problem := decodeDocument(doc)
	if problem != "" {
		return []Problem{{Keyword: "json", Message: "the document " + problem}}
	}
	err := c.validate(value)
	if err == nil {
		return nil
	}
	var failed *jsonschema.ValidationError
	if !errors.As(err, &failed) {
		return []Problem{{Keyword: "steps", Message: "the document is too complex to check against the schema"}}
	}
	t.doc = value
	return t.translate(failed)
}

// errSteps ends a check that takes too many steps.
var errSteps = errors.New("too many steps")

func (c *Checker) validate(doc any) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = 0
	defer func() {
		if r := recover(); r != nil {
			if r != any(errSteps) {
				panic(r)
			}
			err = errSteps
		}
	}()
	return c.root.Validate(doc)
}

// stepCounter is added to every sub-schema and ends the check when the budget is spent: without it a schema of a few
// lines, whose allOf doubles at each level, would run for years.
type stepCounter struct {
	checker *Checker
	weight  int
}

// Validate counts one application of the sub-schema.
func (s stepCounter) Validate(*jsonschema.ValidatorContext, any) {
	if s.checker.steps += s.weight; s.checker.steps > maxCheckSteps {
		panic(errSteps)
	}
}

// visit registers s and all schemas below it.
func (c *Checker) visit(s *jsonschema.Schema) {
	if s == nil || c.locations[s.Location] != nil {
		return
	}
	c.locations[s.Location] = s
	weight := 1 + len(s.PatternProperties)
	if s.Enum != nil {
		weight += len(s.Enum.Values) / 8
	}
	s.Extensions = append(s.Extensions, stepCounter{c, weight})
	for _, one := range []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames,
		s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema} {
		c.visit(one)
	}
	if s.DynamicRef != nil {
		c.visit(s.DynamicRef.Ref)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, one := range list {
			c.visit(one)
		}
	}
	for _, one := range s.Properties {
		c.visit(one)
	}
	for _, one := range s.PatternProperties {
		c.visit(one)
	}
	for _, one := range s.DependentSchemas {
		c.visit(one)
	}
	for _, other := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		c.visitAny(other)
	}
	for _, other := range s.Dependencies {
		c.visitAny(other)
	}
}

func (c *Checker) visitAny(v any) {
	switch v := v.(type) {
	case *jsonschema.Schema:
		c.visit(v)
	case []*jsonschema.Schema:
		for _, one := range v {
			c.visit(one)
		}
	}
}

// noRemote refuses every document that is not part of the schema.
type noRemote struct{}

// Load returns an error.
func (noRemote) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %q, and remote schemas are never fetched", url)
}

// compilePattern compiles a pattern as RE2; those that need more (look-ahead, back-references) match everything, so that
// the tool itself checks them.
func compilePattern(pattern string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return anyPattern(pattern), nil //nolint:nilerr // the fallback is the answer
	}
	return re, nil
}

type anyPattern string

func (p anyPattern) String() string        { return string(p) }
func (anyPattern) MatchString(string) bool { return true }

// decodeDocument decodes JSON and keeps numbers as they were written.
func decodeDocument(doc json.RawMessage) (value any, problem string) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, "is not valid JSON: " + err.Error()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, "is followed by more data"
	}
	return value, boundDocument(value, 0)
}

// boundDocument reports numbers and nesting that would be too expensive to check.
func boundDocument(value any, depth int) string {
	if depth > maxCheckDepth {
		return fmt.Sprintf("is nested deeper than %d levels", maxCheckDepth)
	}
	switch v := value.(type) {
	case json.Number:
		if exponent := strings.IndexAny(string(v), "eE"); exponent >= 0 {
			if n, err := strconv.Atoi(string(v[exponent+1:])); err != nil || n > maxNumberLength || n < -maxNumberLength {
				return fmt.Sprintf("holds a number out of range: %.40s", v)
			}
		}
		if len(v) > maxNumberLength {
			return fmt.Sprintf("holds a number of %d digits", len(v))
		}
	case []any:
		for _, item := range v {
			if problem := boundDocument(item, depth+1); problem != "" {
				return problem
			}
		}
	case map[string]any:
		for _, item := range v {
			if problem := boundDocument(item, depth+1); problem != "" {
				return problem
			}
		}
	}
	return ""
}

func countContainers(value any) int {
	n := 0
	switch v := value.(type) {
	case []any:
		n = 1
		for _, item := range v {
			n += countContainers(item)
		}
	case map[string]any:
		n = 1
		for _, item := range v {
			n += countContainers(item)
		}
	}
	return n
}

// schemaProblems describes the places at which a schema is invalid.
func schemaProblems(doc any, err error) string {
	var invalid *jsonschema.SchemaValidationError
	var failed *jsonschema.ValidationError
	if !errors.As(err, &invalid) || !errors.As(invalid.Err, &failed) {
		return strings.ReplaceAll(FirstLine(err.Error()), schemaURL, "")
	}
	t := translator{checker: &Checker{}, doc: doc}
	problems := t.translate(failed)
	messages := make([]string, 0, len(problems))
	for _, p := range problems[:min(len(problems), 3)] {
		messages = append(messages, p.Message)
	}
	return cmp.Or(strings.Join(messages, "; "), FirstLine(err.Error()))
}

// propertyNames lists the properties that the schema at a location declares, sorted.
func (c *Checker) propertyNames(location string) []string {
	s := c.locations[location]
	if s == nil {
		return nil
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

package schemas

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	maxCheckSteps   = 500_000 // sub-schemas applied in one check, and values looked at; what takes longer than usual counts more
	largeCheckSteps = 50_000  // steps from which a check counts as large
	maxLargeChecks  = 2       // large checks in the process at once: each may take 100 MB
	maxCheckValues  = 1 << 20 // values in a document
	maxInPlace      = 200     // sub-schemas for one value, one within the other
	maxCheckDepth   = 1000    // levels of nesting in a document
	maxNumberLength = 400     // digits and size of the exponent of one number

	maxSchemaPatterns = 20_000 // instructions of all patterns of a schema that have more than smallPattern
	smallPattern      = 50
)

// Checker checks documents against one JSON Schema (2020-12 unless the schema names another draft). It never fetches a
// remote $ref. A pattern that RE2 cannot express, or that is too large, counts as satisfied. Both a schema and a check are
// limited in size and steps. It is safe for concurrent use.
type Checker struct {
	doc       any                           // the schema
	locations map[string]*jsonschema.Schema // by absolute location
	ready     bool                          // the patterns of the schema are known

	mu          sync.Mutex          // guards the following
	idle        []*compiled         // that no check uses now
	patterns    map[string]*Pattern // nil: it is not checked
	patternSize int                 // of all compiled ones
	leftOut     []string            // patterns of the schema that are too large
	unread      []string            // keywords of the schema that were left out; never changes once it is made
}

// schemaURL names the schema inside the checker; nothing is ever read from it.
const schemaURL = "schema:tool"

// NewChecker prepares a schema. An empty one accepts everything. The error says why the schema cannot be used: it is not a
// JSON Schema, refers to another document, or is too large. With `nullable: true` of OpenAPI 3.0 a schema takes null.
func NewChecker(schema json.RawMessage) (*Checker, error) { return newChecker(schema, false) }

func newChecker(schema json.RawMessage, foreign bool) (*Checker, error) {
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
	readNullable(doc)
	for checker, reading := (&Checker{doc: doc}), 1; ; reading++ {
		checker.patterns, checker.patternSize, checker.leftOut = map[string]*Pattern{}, 0, nil
		first, locations, err := checker.compile()
		if err == nil {
			checker.locations, checker.ready, checker.idle = locations, true, []*compiled{first}
			return checker, nil
		}
		if !foreign || reading == maxReadings || !checker.leaveOut(err) {
			return nil, err
		}
	}
}

// Unchecked are the patterns of the schema that are not checked, because each or all together are too large; see [MaxPattern].
func (c *Checker) Unchecked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.leftOut)
}

// Check returns all problems of a document in the order of its fields; none means that it is valid.
// If ctx ends before the check does, the only problem has the keyword [KeywordInterrupted].
func (c *Checker) Check(ctx context.Context, doc json.RawMessage) []Problem {
	return c.CheckPartial(ctx, doc, nil)
}

// CheckToEnd is Check without an interrupt, for problems that are recorded as a result. Like every check it is bounded.
func (c *Checker) CheckToEnd(doc json.RawMessage) []Problem {
	return c.check(doc, translator{checker: c, ctx: uninterrupted})
}

// uninterrupted is the context of checks that end by themselves.
var uninterrupted = context.Background()

// KeywordInterrupted is that of a problem which says that a check was not made to its end.
const KeywordInterrupted = "interrupted"

// CheckPartial checks a document in which the values at the JSON pointers of open are not known yet. It returns only the
// problems that exist whatever those values will be.
func (c *Checker) CheckPartial(ctx context.Context, doc json.RawMessage, open []string) []Problem {
	return c.check(doc, translator{checker: c, ctx: ctx, open: open})
}

// CheckShowing checks a document whose values may not all be shown: where show gives a text for a JSON pointer, messages
// have it instead of the value.
func (c *Checker) CheckShowing(
	ctx context.Context, doc json.RawMessage, show func(field string) (text string, ok bool),
) []Problem {
	return c.check(doc, translator{checker: c, ctx: ctx, show: show})
}

func (c *Checker) check(doc json.RawMessage, t translator) []Problem {
	if len(bytes.TrimSpace(doc)) == 0 {
		doc = []byte("{}")
	}
	value, problem := decodeDocument(doc)
	if problem != "" {
		return []Problem{{Keyword: "json", Message: "the document " + problem}}
	}
	one, err := c.take()
	if err != nil {
		return []Problem{{Keyword: "schema", Message: err.Error()}}
	}
	defer c.giveBack(one)
	if err = one.validate(t.ctx, value); err == nil {
		return nil
	}
	var failed *jsonschema.ValidationError
	switch {
	case errors.Is(err, errInterrupted):
		return []Problem{{Keyword: KeywordInterrupted, Message: "the document was not checked to its end", cause: context.Cause(t.ctx)}}
	case !errors.As(err, &failed):
		return []Problem{{Keyword: "steps", Message: fmt.Sprintf("the document is too complex to check against the schema (limit %d steps)",
			maxCheckSteps)}}
	}
	t.doc = value
	return t.translate(failed)
}

// decodeDocument decodes JSON and keeps numbers as they were written.
func decodeDocument(doc json.RawMessage) (value any, problem string) {
	if n := bytes.Count(doc, []byte(",")); n > maxCheckValues && valuesOf(doc) > maxCheckValues {
		return nil, fmt.Sprintf("has more than %d values", maxCheckValues)
	}
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

// valuesOf counts the items and members of a JSON text.
func valuesOf(doc []byte) int {
	n, inside := 1, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == ',' && !inside:
			n++
		}
	}
	return n
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

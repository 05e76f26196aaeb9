package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is a schema in the form in which one check at a time runs over it. A Checker makes another one when checks run at
// the same time.
type compiled struct {
	root  *jsonschema.Schema
	ctx   context.Context //nolint:containedctx // of the check that runs
	steps int
	large bool // the check that runs has one of the places of large checks
}

// largeChecks are the places of large checks, of all Checkers of the process. A check waits for one while it holds no other.
var largeChecks = make(chan struct{}, maxLargeChecks)

// compile compiles the schema once more. Compiled patterns are shared.
func (c *Checker) compile() (*compiled, map[string]*jsonschema.Schema, error) {
	one := &compiled{}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noRemote{})
	compiler.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) { return c.pattern(one, pattern), nil })
	if err := compiler.AddResource(schemaURL, c.doc); err != nil {
		return nil, nil, fmt.Errorf("the schema cannot be used: %w", err)
	}
	root, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, nil, &unusable{c.doc, err}
	}
	one.root = root
	locations := map[string]*jsonschema.Schema{}
	one.visit(root, locations)
	if n := inPlaceDepth(locations); n > maxInPlace {
		return nil, nil, fmt.Errorf("the schema has %d sub-schemas one within the other for the same value (limit %d)", n, maxInPlace)
	}
	return one, locations, nil
}

// take returns a compiled schema that no other check uses.
func (c *Checker) take() (*compiled, error) {
	c.mu.Lock()
	if last := len(c.idle) - 1; last >= 0 {
		one := c.idle[last]
		c.idle = c.idle[:last]
		c.mu.Unlock()
		return one, nil
	}
	c.mu.Unlock()
	one, _, err := c.compile()
	return one, err
}

func (c *Checker) giveBack(one *compiled) {
	if one.large {
		one.large = false
		<-largeChecks
	}
	one.ctx = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) < runtime.GOMAXPROCS(0) {
		c.idle = append(c.idle, one)
	}
}

// Why a check has no result.
var (
	errSteps       = errors.New("too many steps")
	errInterrupted = errors.New("interrupted")
)

// validate runs one check.
func (c *compiled) validate(ctx context.Context, doc any) error {
	return c.within(ctx, func() error { return c.root.Validate(doc) })
}

// within runs what spends steps, and returns why it was ended early.
func (c *compiled) within(ctx context.Context, run func() error) (err error) {
	c.ctx, c.steps = ctx, 0
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(error)
			if !ok || !errors.Is(failed, errSteps) && !errors.Is(failed, errInterrupted) {
				panic(r)
			}
			err = failed
		}
	}()
	return run()
}

// spend counts steps, and ends the check when there are too many or its context has ended.
func (c *compiled) spend(steps int) {
	before := c.steps
	if c.steps += steps; c.steps > maxCheckSteps {
		panic(errSteps)
	}
	if c.steps>>10 == before>>10 || c.ctx == nil {
		return
	}
	if c.ctx.Err() != nil {
		panic(errInterrupted)
	}
	if c.steps > largeCheckSteps && !c.large {
		select {
		case largeChecks <- struct{}{}:
			c.large = true
		case <-c.ctx.Done():
			panic(errInterrupted)
		}
	}
}

// stepCounter is added to every sub-schema and ends the check when the budget is spent: without it a schema of a few
// lines, whose allOf doubles at each level, would run for years.
// A sub-schema that fails at once is not counted by itself, so each counts what is below it too.
type stepCounter struct {
	check  *compiled
	weight int
	each   int  // sub-schemas for each item or member
	unique bool // the items of a list are compared with each other
}

// Validate counts one application of the sub-schema to a value.
func (s stepCounter) Validate(_ *jsonschema.ValidatorContext, v any) {
	steps := s.weight
	switch v := v.(type) {
	case string:
		steps += len(v) / 256
	case json.Number:
		steps += len(v) / 16
	case []any:
		steps += len(v)*s.each + len(v)/8
		if s.unique {
			steps += partsOf(v) / 4
		}
	case map[string]any:
		steps += len(v)*s.each + len(v)/8
	}
	s.check.spend(steps)
}

// partsOf counts the values within a value, and the bytes of its texts in parts of 64.
func partsOf(v any) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 64
	case []any:
		for _, item := range v {
			n += partsOf(item)
		}
	case map[string]any:
		for name, item := range v {
			n += 1 + len(name)/64 + partsOf(item)
		}
	}
	return n
}

// pattern is a pattern of the schema for one compiled form. One that is too large, or needs more than RE2 (look-ahead,
// back-references), matches everything, so that the tool itself checks it.
func (c *Checker) pattern(one *compiled, pattern string) jsonschema.Regexp {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, known := c.patterns[pattern]
	if !known {
		var err error
		if p, err = CompilePattern(pattern); err == nil {
			if c.patternSize += sizeOfLarge(p); c.patternSize > maxSchemaPatterns && sizeOfLarge(p) > 0 {
				p, err = nil, ErrPatternSize
			}
		}
		if len(c.patterns) < maxSchemaValues { // values of format regex are patterns too
			c.patterns[pattern] = p
		}
		if errors.Is(err, ErrPatternSize) && !c.ready {
			c.leftOut = append(c.leftOut, pattern)
		}
	}
	if p == nil {
		return anyPattern(pattern)
	}
	return countedPattern{p, one}
}

// sizeOfLarge is what a pattern counts among all of a schema; small ones are limited by the size of the schema.
func sizeOfLarge(p *Pattern) int {
	if p.Size() <= smallPattern {
		return 0
	}
	return p.Size()
}

// countedPattern counts what matching takes.
type countedPattern struct {
	*Pattern
	check *compiled
}

// pairsPerStep is how many pairs of a byte and an instruction take as long as a step.
const pairsPerStep = 64

// MatchString reports whether the text has a match. It ends the check if that would take too long.
func (p countedPattern) MatchString(text string) bool {
	p.check.spend(1 + len(text)*p.Size()/pairsPerStep)
	return p.Pattern.MatchString(text)
}

type anyPattern string

func (p anyPattern) String() string        { return string(p) }
func (anyPattern) MatchString(string) bool { return true }

// noRemote refuses every document that is not part of the schema.
type noRemote struct{}

// Load returns an error.
func (noRemote) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %q, and remote schemas are never fetched", url)
}

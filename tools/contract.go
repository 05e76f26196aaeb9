// Package tools holds the contracts: one file for each contract, one row for each method, which becomes one MCP tool. It
// owns what clients read about a method (name, description, schemas, annotations) and the strict decoding of its
// arguments. Package server lists the rows and calls them; a row calls one method of one door of [runtime.Runtime], such as
// Executions. There is no logic here and nothing of MCP.
package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
)

// Effect is what a method does to the world; a client shows it and may ask before it calls.
type Effect int

const (
	// Reads changes nothing.
	Reads Effect = iota
	// Adds creates or starts something and removes nothing; a second call does it again.
	Adds
	// Sets brings something into a state; a second call changes nothing more.
	Sets
	// Destroys ends or removes something.
	Destroys
	// Acts may do anything that the realms allow.
	Acts
)

// Hints derives the annotations from the effect.
func (e Effect) Hints() schemas.Hints {
	return map[Effect]schemas.Hints{
		Reads:    {ReadOnly: true, Idempotent: true},
		Adds:     {},
		Sets:     {Idempotent: true},
		Destroys: {Destructive: true, Idempotent: true},
		Acts:     {Destructive: true, OpenWorld: true},
	}[e]
}

// Request is one call of a method.
type Request struct {
	Arguments json.RawMessage // a JSON object; empty counts as {}
	// Progress reports to the client how far a waiting call is; nil: the client did not ask for it. It must not block.
	Progress func(done, total float64, message string)
}

// Method is one row of a contract.
type Method struct {
	Contract    string
	Name        string // on the wire
	Title       string
	Description string // a prompt: what it does, when to use it, what comes back, what undoes it
	Effect      Effect
	ExactHints  *schemas.Hints  // annotations that say more than Effect does; nil: those of Effect
	Operator    bool            // only operators see it and can call it
	Input       json.RawMessage // JSON Schema of the arguments as it is listed; Call checks more
	Output      json.RawMessage // JSON Schema of the result as it is listed
	// Call checks the arguments strictly, runs the method and returns a value of the output schema. Every failure is, or
	// wraps, a *schemas.Error.
	Call func(ctx context.Context, rt *runtime.Runtime, r Request) (any, error)

	accepts func() (*schemas.Checker, error) // checks the arguments
}

// Hints are the method's annotations.
func (m *Method) Hints() schemas.Hints {
	if m.ExactHints != nil {
		return *m.ExactHints
	}
	return m.Effect.Hints()
}

// method makes a row of a function. In is a struct of arguments, Out one of results.
func method[In, Out any](contract, name, title string, effect Effect, description string,
	do func(ctx context.Context, rt *runtime.Runtime, in In, r Request) (Out, error),
) Method {
	m := Method{
		Contract: contract, Name: name, Title: title, Description: description, Effect: effect,
		Input: schemas.ListedInput(new(In)), Output: schemas.ListedOutput(new(Out)),
	}
	m.accepts = sync.OnceValues(func() (*schemas.Checker, error) { return schemas.NewChecker(schemas.InputSchema(new(In))) })
	m.Call = func(ctx context.Context, rt *runtime.Runtime, r Request) (any, error) {
		c, err := m.accepts()
		if err != nil {
			return nil, fmt.Errorf("%s: schema: %w", name, err)
		}
		var in In
		r.Arguments, err = decode(ctx, c, r.Arguments, &in)
		if err != nil {
			return nil, err
		}
		out, err := do(ctx, rt, in, r)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	return m
}

// operatorOnly restricts a method to operators.
func operatorOnly(m Method) Method {
	m.Operator = true
	return m
}

// formatJSON is the format of a value that is given as its JSON text.
const formatJSON = "json"

// fromText returns a value as the caller means it: text is text, unless its format says that it is JSON.
func fromText(field string, given schemas.Value, format string) (schemas.Value, error) {
	if format != formatJSON {
		return given, nil
	}
	var text string
	if json.Unmarshal(given, &text) != nil {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "with format json `%s` must be JSON text, and it is no text", field).WithField("/" + field).
			WithHint("leave format out: other values are taken as they are")
	}
	value, problem := schemas.ReadText(text)
	if problem != "" {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "with format json `%s` must be JSON text, and this text %s", field, problem).WithField("/" + field).
			WithHint("correct it, or leave format out to mean the text itself")
	}
	return value, nil
}

// decode checks arguments against the method's schema, reporting all problems at once, and decodes them. It returns them as they
// were understood, see [schemas.Checker.CheckGiven].
func decode(ctx context.Context, c *schemas.Checker, arguments json.RawMessage, into any) (json.RawMessage, error) {
	if arguments = bytes.TrimSpace(arguments); len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	arguments, problems := c.CheckGiven(ctx, arguments)
	if len(problems) > 0 {
		return nil, schemas.InvalidArguments(problems)
	}
	if err := json.Unmarshal(arguments, into); err != nil { // what a schema cannot express, such as the form of a duration
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s", schemas.DecodeProblem(err))
	}
	return arguments, nil
}

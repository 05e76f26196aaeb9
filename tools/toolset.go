package tools

import (
	"slices"
	"strings"
	"sync"

	"github.com/runplane/runplane/runtime/workflow"
	"github.com/runplane/runplane/schemas"
)

// Choice says which tools a client sees and may call, of those that it may call at all. The zero value leaves none out. A published
// workflow is a tool like those of the contract Workflow, and is read-only if its plan only reads.
type Choice struct {
	Toolsets []string // see CheckToolsets; empty: all, or none if Tools names some
	Tools    []string // names, in addition to Toolsets
	Exclude  []string // names; they go before everything else
	ReadOnly bool     // only tools that are annotated as read-only
}

// Rules of a choice, by the names of their flags.
const (
	ByToolsets = "toolsets"
	ByTools    = "tools"
	ByExclude  = "exclude-tools"
	ByReadOnly = "read-only"
)

// Toolsets beside the contracts.
const (
	setMinimal = "minimal"
	setAgent   = "agent" // every method that is not only for operators
	setAll     = "all"
)

// Minimal lists the methods of the toolset of this name: what an agent cannot do without.
var Minimal = []string{
	"execute_plan", "validate_plan", "get_execution_status", "get_node_output", "list_executions", "resume_execution", "cancel_execution",
	"discover_capabilities", "resolve_capability", "invoke_capability",
}

// LeftOutBy returns the rule that leaves the method out, or "".
func (c *Choice) LeftOutBy(m *Method) string {
	switch {
	case slices.Contains(c.Exclude, m.Name):
		return ByExclude
	case c.ReadOnly && !m.Hints().ReadOnly:
		return ByReadOnly
	case len(c.Toolsets) == 0 && len(c.Tools) == 0, slices.Contains(c.Tools, m.Name), slices.ContainsFunc(c.Toolsets, m.in):
		return ""
	case len(c.Toolsets) == 0:
		return ByTools
	}
	return ByToolsets
}

// reader is in every toolset: it reads what other tools' answers have no room for.
const reader = "get_node_output"

// in reports whether the method belongs to a toolset.
func (m *Method) in(set string) bool {
	if m.Name == reader {
		return true
	}
	switch strings.ToLower(set) {
	case setAll:
		return true
	case setAgent:
		return !m.Operator
	case setMinimal:
		return slices.Contains(Minimal, m.Name)
	}
	return strings.EqualFold(set, m.Contract)
}

// Of returns the methods that the choice does not leave out.
func (c *Choice) Of(methods []Method) []Method {
	return slices.DeleteFunc(slices.Clone(methods), func(m Method) bool { return c.LeftOutBy(&m) != "" })
}

// ReadBytes is how much a model reads for tools: names, descriptions and input schemas.
func ReadBytes(methods []Method) (n int) {
	for i := range methods {
		n += len(methods[i].Name) + len(methods[i].Description) + len(methods[i].Input)
	}
	return n
}

// Publishes reports whether published workflows may be among the tools.
func (c *Choice) Publishes() bool {
	named := func(name string) bool { return isPublished(name) && !slices.Contains(c.Exclude, name) }
	return c.LeftOutBy(&Method{Contract: WorkflowContract, Effect: Reads}) == "" || slices.ContainsFunc(c.Tools, named)
}

// isPublished reports whether a published workflow may have the name.
func isPublished(name string) bool { return strings.HasPrefix(name, workflow.ToolPrefix) }

// Toolsets lists the names that CheckToolsets accepts: to make all methods for them would slow every start of the program.
func Toolsets() []string {
	return []string{setMinimal, setAgent, setAll, "execution", "session", "state", "workflow", "capability", "queue", "health"}
}

// toolNames are made once, when a name is checked.
var toolNames = sync.OnceValue(func() (names []string) {
	for _, m := range All() {
		names = append(names, m.Name)
	}
	return names
})

// CheckToolsets returns an error that names what is no toolset: minimal, agent, all, or a contract, in capitals or not.
func CheckToolsets(names []string) error {
	known := Toolsets()
	for _, name := range names {
		if low := strings.ToLower(name); !slices.Contains(known, low) {
			return unknown("toolset", name, schemas.Nearest(low, known, 3)).WithHint("there are %s", strings.Join(known, ", "))
		}
	}
	return nil
}

// CheckTools returns an error that names what is no tool. Any name of a published workflow may be one.
func CheckTools(names []string) error {
	for _, name := range names {
		if !slices.Contains(toolNames(), name) && !isPublished(name) {
			return unknown("tool", name, schemas.Nearest(name, toolNames(), 3)).
				WithHint("`runplane serve` without settings lists every tool; %s and its name is a published workflow", workflow.ToolPrefix)
		}
	}
	return nil
}

func unknown(what, name string, near []string) *schemas.Error {
	e := schemas.Errorf(schemas.CodeInvalidArgument, "no %s %s", what, schemas.Quote(name, 100)).WithCandidates(near)
	if len(near) > 0 {
		e.Message += ": did you mean " + near[0] + "?"
	}
	return e
}

// SplitNames splits names at commas and drops the space around them and what is empty.
func SplitNames(text string) (names []string) {
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

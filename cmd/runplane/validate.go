package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/schemas"
)

func (c *cli) validateCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate PLAN",
		Short: "Check a plan against the live tools without running it",
		Long: "Checks a plan file (JSON or YAML, - for stdin) as execute_plan would and prints every finding, " +
			"with a JSON Patch that fixes it if there is one. Exit code 0: valid; 2: invalid.",
		Args: exactArgs("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.validate(cmd, args[0], asJSON) },
	}
	addConfigFlags(cmd.Flags(), "log.level", "log.json")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result of validate_plan")
	return cmd
}

func (c *cli) validate(cmd *cobra.Command, file string, asJSON bool) (err error) {
	source, err := c.planFile(file)
	if err != nil {
		return err
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	if cfg.Log.Level == "info" && !cmd.Flags().Changed("log-level") {
		cfg.Log.Level = "warn"
	}
	cfg.Store = "mem:" // nothing is stored, and a server may hold the configured store
	p, err := open(cmd.Context(), cfg, c.err, false)
	if err != nil {
		return err
	}
	stop := p.start(cmd.Context())
	defer func() { err = errors.Join(err, stop(time.Time{})) }()
	v, err := p.runtime.Executions.Validate(cmd.Context(), source)
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		err = c.printJSON(v)
	default:
		c.printFindings(file, v.Findings, cfg)
		if v.Valid {
			x := v.Explain
			fmt.Fprintf(forPeople{c.out}, "valid: %d waves, at most %d calls%s, critical path %s\n",
				len(x.Waves), x.MaxCalls, inWorkflows(x), strings.Join(x.CriticalPath, " → "))
			for _, after := range orderOf(x) {
				fmt.Fprintf(forPeople{c.out}, "  %s\n", after)
			}
			if len(x.OnceNodes) > 0 {
				fmt.Fprintf(forPeople{c.out}, "never repeated without a decision: %s\n", strings.Join(x.OnceNodes, ", "))
			}
		}
	}
	if err == nil && !v.Valid {
		err = exit(exitInvalid)
	}
	return err
}

// maxOrder is the most lines that show what waits for what.
const maxOrder = 50

// orderOf says for each node that waits for others which they are, in the order of the plan.
func orderOf(x *schemas.Explain) (lines []string) {
	last := ""
	for _, edge := range x.Edges {
		if edge[1] == last {
			lines[len(lines)-1] += ", " + edge[0]
			continue
		}
		if last = edge[1]; len(lines) == maxOrder {
			return append(lines, "…")
		}
		lines = append(lines, last+" after "+edge[0])
	}
	return lines
}

// inWorkflows says how many executions of workflow nodes a plan may have.
func inWorkflows(x *schemas.Explain) string {
	if x.MaxExecutions == 0 {
		return ""
	}
	return fmt.Sprintf(" in %d executions of workflow nodes", x.MaxExecutions)
}

// printFindings prints each finding of a plan for a person, with its place in the file where it is known.
func (c *cli) printFindings(file string, findings []schemas.Finding, cfg Config) {
	if file == "-" {
		file = "<stdin>"
	}
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b schemas.Finding) int { // those without a place come first
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, f := range findings {
		where := f.Path
		if where == "" {
			where = "/"
		}
		if f.Line > 0 {
			fmt.Fprintf(forPeople{c.err}, "%s:%d:%d: ", file, f.Line, f.Column)
		}
		fmt.Fprintf(forPeople{c.err}, "%s %s: %s [%s]\n", f.Severity, where, f.Message, f.Code)
		if len(f.Paths) > 0 {
			fmt.Fprintf(forPeople{c.err}, "  also: %s\n", strings.Join(f.Paths, ", "))
		}
		if len(f.Fix) > 0 {
			fix, err := json.Marshal(f.Fix)
			if err == nil {
				fmt.Fprintf(forPeople{c.err}, "  fix: %s\n", fix)
			}
		}
	}
	if len(cfg.MCPServers) == 0 && slices.ContainsFunc(findings, func(f schemas.Finding) bool { return f.Code == "unknown_realm" }) {
		fmt.Fprintf(forPeople{c.err}, "  hint: the configuration (%s) has no mcpServers: write them to ./runplane.yaml, or pass a file with --config\n",
			orNone(cfg.File))
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/safety"
	"github.com/runplane/runplane/schemas"
)

func (c *cli) reviewsCommand() *cobra.Command {
	var asJSON bool
	list := &cobra.Command{
		Use:   "reviews",
		Short: "List open reviews; approve or reject one",
		Long: "Lists the open reviews of the store: nodes that ask a question, and calls that need approval, with the exact call. " +
			"`reviews approve ID` and `reviews reject ID` decide one. The execution continues with the next `run --resume` or `serve` on the same store.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, func(rt *runtime.Runtime) error {
				open, err := rt.Safety.Reviews(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(map[string]any{"reviews": open})
				}
				return printReviews(c.out, open)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print the reviews as JSON")
	addConfigFlags(list.PersistentFlags(), "store", "log.level")
	list.AddCommand(c.decideCommand("approve", true), c.decideCommand("reject", false))
	return list
}

func (c *cli) decideCommand(verb string, approve bool) *cobra.Command {
	d := safety.Decision{Approve: approve}
	var inputs, data string
	cmd := &cobra.Command{
		Use:   verb + " ID",
		Short: map[bool]string{true: "Approve a review", false: "Reject a review: the node fails with code denied"}[approve],
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if inputs != "" {
				if err := readableFlag("--inputs", inputs, true); err != nil {
					return err
				}
				if err := d.Inputs.UnmarshalJSON([]byte(inputs)); err != nil {
					return schemas.Errorf(schemas.CodeInvalidArgument, "--inputs: %s", schemas.DecodeProblem(err))
				}
			}
			if data != "" {
				if err := readableFlag("--data", data, true); err != nil {
					return err
				}
				if err := d.Data.UnmarshalJSON([]byte(data)); err != nil {
					return schemas.Errorf(schemas.CodeInvalidArgument, "--data: %s", schemas.DecodeProblem(err))
				}
			}
			if err := readableFlag("--choice", d.Choice, false); err != nil {
				return err
			}
			if err := readableFlag("--comment", d.Comment, false); err != nil {
				return err
			}
			d.By = operatorName()
			return c.withStore(cmd, func(rt *runtime.Runtime) error {
				e, err := rt.Safety.Decide(cmd.Context(), args[0], d)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.out, "decided; continue with: runplane run --resume %s\n", e.ExecutionID)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&d.Comment, "comment", "", "why; it is stored in the execution's log")
	if approve {
		cmd.Flags().StringVar(&d.Choice, "choice", "", "one of the choices of the review")
		cmd.Flags().StringVar(&data, "data", "", "JSON `value` by the schema of the review")
		cmd.Flags().StringVar(&inputs, "inputs", "", "JSON `object` to call with instead of the plan's inputs")
	}
	return cmd
}

// withStore calls do with a runtime on the configured store that runs no executions.
func (c *cli) withStore(cmd *cobra.Command, do func(*runtime.Runtime) error) error {
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	p, err := open(cmd.Context(), cfg, c.err, false)
	if err != nil {
		return err
	}
	return errors.Join(do(p.runtime), p.store.Close())
}

// visibleJSON is a JSON document on one line, with hidden characters as escapes; those that are escaped in it already stay so.
func visibleJSON(doc schemas.Object) string {
	var line bytes.Buffer
	if json.Compact(&line, doc) != nil {
		return schemas.VisibleLine(string(doc))
	}
	return schemas.Visible(line.String())
}

// printReviews prints what a person decides on as it is, in full: nothing is cut, and nothing is hidden.
func printReviews(out io.Writer, open []schemas.ReviewRequest) error {
	if len(open) == 0 {
		_, err := fmt.Fprintln(out, "no open reviews")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, r := range open {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.ReviewID, r.Since.Format("2006-01-02 15:04:05"), schemas.VisibleLine(r.Question))
		if len(r.Choices) > 0 {
			fmt.Fprintf(w, "\t--choice\t%s\n", schemas.VisibleLine(strings.Join(r.Choices, " | ")))
		}
		if len(r.Schema) > 0 {
			fmt.Fprintf(w, "\t--data\t%s\n", visibleJSON(r.Schema))
		}
		if r.Capability != "" {
			fmt.Fprintf(w, "\t%s\t%s\n", schemas.VisibleLine(r.Capability), visibleJSON(r.Inputs))
		}
		if r.Hidden {
			fmt.Fprintf(w, "\t\twarning: it has characters that are not seen, shown as escapes such as \\u202e\n")
		}
		if r.MayRunUntil != nil {
			fmt.Fprintf(w, "\tan earlier call may still run until %s\t\n", r.MayRunUntil.Format("2006-01-02 15:04:05"))
		}
	}
	return w.Flush()
}

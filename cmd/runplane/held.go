package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
)

func (c *cli) heldCommand() *cobra.Command {
	var asJSON bool
	list := &cobra.Command{
		Use:   "held",
		Short: "List executions that are held because the runtime died by them; cancel or resume one",
		Long: "Lists the executions of the store that are held because processes died while they evaluated them. `held cancel ID` ends one, and " +
			"evaluates nothing; `held resume ID` has it tried again, and the runtime may die again. Both take effect with the next `serve` or " +
			"`run --resume` on the store, or at once if one runs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, func(rt *runtime.Runtime) error {
				held, err := rt.Executions.Held(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(map[string]any{"executions": held})
				}
				return printHeld(c.out, held)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print the executions as JSON")
	addConfigFlags(list.PersistentFlags(), "store", "log.level")
	// decide makes a subcommand that decides on one execution.
	decide := func(use, short, done string, do func(*cobra.Command, *runtime.Runtime, string) (schemas.Execution, error)) {
		list.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStore(cmd, func(rt *runtime.Runtime) error {
				e, err := do(cmd, rt, args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.out, done+"\n", e.ExecutionID)
				return err
			})
		}})
	}
	decide("cancel ID", "End a held execution without evaluating it", "cancelling %s",
		func(cmd *cobra.Command, rt *runtime.Runtime, id string) (schemas.Execution, error) {
			return rt.Executions.Cancel(cmd.Context(), id, engine.CancelOptions{Reason: "the runtime died by it"})
		})
	decide("resume ID", "Have a held execution tried again: the runtime may die again", "%[1]s is resumed; continue with: runplane run --resume %[1]s",
		func(cmd *cobra.Command, rt *runtime.Runtime, id string) (schemas.Execution, error) {
			return rt.Executions.Resume(cmd.Context(), id, nil)
		})
	return list
}

func printHeld(out io.Writer, held []schemas.Execution) error {
	if len(held) == 0 {
		_, err := fmt.Fprintln(out, "no execution is held")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for i := range held {
		e := &held[i]
		since := ""
		for _, f := range e.WaitingFor {
			if f.Reason == schemas.ReasonRecovery {
				since = f.Since.Format("2006-01-02 15:04:05")
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.ExecutionID, since, e.Status, schemas.VisibleLine(e.Name))
	}
	fmt.Fprintln(w, "end one with `runplane held cancel ID`, or have it tried again with `runplane held resume ID`")
	return w.Flush()
}

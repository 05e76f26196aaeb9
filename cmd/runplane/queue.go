package main

import (
	"cmp"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/schemas"
)

func (c *cli) queueCommand() *cobra.Command {
	var asJSON bool
	var reason string
	// action makes a subcommand that changes the queue, or nothing, and shows its state.
	action := func(cmd *cobra.Command, do func(*cobra.Command, *runtime.Runtime) (schemas.QueueStatus, error)) *cobra.Command {
		cmd.Args = exactArgs()
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, func(rt *runtime.Runtime) error {
				q, err := do(cmd, rt)
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(q)
				}
				return printQueue(c.out, q)
			})
		}
		return cmd
	}
	status := func(cmd *cobra.Command, rt *runtime.Runtime) (schemas.QueueStatus, error) {
		return rt.Queue.Status(cmd.Context())
	}
	queue := action(&cobra.Command{
		Use:   "queue",
		Short: "Show the queue; pause or resume it",
		Long: "Shows how many executions of the store wait for a worker, by priority. `queue pause` keeps every process on the store, " +
			"also those that start later, from taking any; running executions continue, and submitted ones wait. `queue resume` ends the pause.",
	}, status)
	pause := action(&cobra.Command{Use: "pause", Short: "Keep every process from taking executions out of the queue"},
		func(cmd *cobra.Command, rt *runtime.Runtime) (schemas.QueueStatus, error) {
			if strings.TrimSpace(reason) == "" {
				return schemas.QueueStatus{}, usageError(cmd, "--reason is missing: it is shown to callers whose executions wait")
			}
			return rt.Queue.Pause(cmd.Context(), reason, operatorName())
		})
	pause.Flags().StringVar(&reason, "reason", "", "why; shown to callers whose executions wait")
	queue.PersistentFlags().BoolVar(&asJSON, "json", false, "print the state of the queue as JSON")
	addConfigFlags(queue.PersistentFlags(), "store", "log.level")
	queue.AddCommand(pause,
		action(&cobra.Command{Use: "status", Short: "Show the queue"}, status),
		action(&cobra.Command{Use: "resume", Short: "End a pause"}, func(cmd *cobra.Command, rt *runtime.Runtime) (schemas.QueueStatus, error) {
			return rt.Queue.Resume(cmd.Context())
		}),
	)
	return queue
}

// operatorName is the user who runs the command.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "an operator at the command line"
}

func printQueue(out io.Writer, q schemas.QueueStatus) error {
	var by []string
	for p := schemas.PriorityFirst; p <= schemas.PriorityLast; p++ {
		if n := q.DepthByPriority[fmt.Sprint(p)]; n > 0 {
			by = append(by, fmt.Sprintf("%d of priority %d", n, p))
		}
	}
	wait := fmt.Sprintf("%d wait", q.Depth)
	if q.Depth > 0 {
		oldest := time.Duration(q.OldestAgeSeconds * float64(time.Second)).Round(time.Second)
		wait += fmt.Sprintf(" (%s), the oldest for %s", strings.Join(by, ", "), oldest)
	}
	state := "open"
	if p := q.Paused; p != nil {
		state = fmt.Sprintf("paused by %s since %s: %s", oneLine(p.By), p.Since.Format("2006-01-02 15:04:05"), oneLine(cmp.Or(p.Reason, "no reason given")))
	}
	_, err := fmt.Fprintf(out, "%s; %d run, %d sleep until a timer\nthe queue is %s\n", wait, q.Leased, q.Sleeping, state)
	return err
}

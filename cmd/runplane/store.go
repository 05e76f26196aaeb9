package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// shownFindings is how many findings a table shows; JSON has all.
const shownFindings = 50

func (c *cli) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Back up a store, make one from a backup, check one, or salvage what is whole in a damaged one",
		Long:  "Reads the file of a store (file:DIR) and does not change it. A backup can be made while a process serves the store.",
		Args:  exactArgs(),
	}
	cmd.AddCommand(c.storeBackupCommand(), c.storeRestoreCommand(), c.storeCheckCommand(), c.storeSalvageCommand())
	return cmd
}

func (c *cli) storeCheckCommand() *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read all of a store and print what is damaged",
		Long: "Reads every page, key and value of a store's file, compares all checksums, decodes every record, compares the indexes with the " +
			"records and looks for gaps in the logs. Changes nothing. Exit code 0: the store is sound; 1: something is damaged; " +
			"2: the command line or the configuration is invalid; 4: the file cannot be read, or a process serves it.",
		Example: "  runplane store check --store file:/var/lib/runplane\n  runplane store check --store file:/var/lib/runplane -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := c.storeFolder(cmd, form)
			if err != nil {
				return err
			}
			report, err := bolt.Check(dir)
			if err != nil {
				return c.unreadable(err)
			}
			if err := c.printReport(cmd, form, report, func(w io.Writer) { printCheck(w, &report) }); err != nil {
				return err
			}
			if len(report.Findings) > 0 {
				return exit(exitFailed)
			}
			return nil
		},
	}
	addConfigFlags(cmd.Flags(), "store")
	addFormFlag(cmd, &form)
	return cmd
}

func (c *cli) storeSalvageCommand() *cobra.Command {
	var form, out string
	cmd := &cobra.Command{
		Use:   "salvage",
		Short: "Copy what is whole in a damaged store into a new one",
		Long: "Copies every record, log and wake of a store's file that matches its checksum into a new store in another folder, and prints what is " +
			"lost, by kind and id. Changes nothing in the first. An open execution whose log has a gap is copied up to the gap and suspended: " +
			"look at it, then resume or cancel it. One that cannot continue, since its plan is lost, ends as failed. " +
			"Exit code 0: nothing is lost; 1: something is lost, or the copy failed; 2: the command line or the configuration is invalid; " +
			"4: the file cannot be read, or a process serves it.",
		Example: "  runplane store salvage --store file:/var/lib/runplane --out /var/lib/runplane-salvaged\n" +
			"  runplane serve --store file:/var/lib/runplane-salvaged",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError(cmd, "--out is missing: the folder of the new store")
			}
			dir, err := c.storeFolder(cmd, form)
			if err != nil {
				return err
			}
			return c.salvage(cmd, dir, strings.TrimPrefix(out, "file:"), form)
		},
	}
	addConfigFlags(cmd.Flags(), "store")
	addFormFlag(cmd, &form)
	cmd.Flags().StringVar(&out, "out", "", "`DIR` of the new store; it must have none")
	return cmd
}

func addFormFlag(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVarP(form, "output", "o", "table", "`FORM` of the result: table or json")
}

// storeFolder is the folder of the configured store, which must be a file.
func (c *cli) storeFolder(cmd *cobra.Command, form string) (string, error) {
	if form != "table" && form != "json" {
		return "", usageError(cmd, "-o %s: the forms are table and json", form)
	}
	cfg, err := c.config(cmd)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(cfg.Store, "file:")
	if !ok {
		return "", schemas.Errorf(schemas.CodeInvalidArgument, "this command reads the files of stores (file:DIR); %s is none", storeName(cfg.Store)).
			WithHint("name a store with --store file:DIR. On a Redis each value is checked when it is read, and an error names its key; " +
				"redis-check-rdb and redis-check-aof check the server's files")
	}
	return dir, nil
}

// unreadable prints why a store's file cannot be read.
func (c *cli) unreadable(err error) error {
	if f, ok := errors.AsType[*bolt.Fault](err); ok {
		c.printError(schemas.Errorf(schemas.CodeUnavailable, "%s", f).WithHint("%s", f.Hint()))
		return exit(exitUnreachable)
	}
	hint := ""
	switch {
	case errors.Is(err, store.ErrInUse):
		hint = "stop that process, and try again"
	case errors.Is(err, store.ErrInvalid):
		c.printError(schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithHint("name a new folder with --out DIR"))
		return exit(exitInvalid)
	case errors.Is(err, fs.ErrNotExist):
		hint = "name the folder of a store with --store file:DIR"
	}
	c.printError(schemas.Errorf(schemas.CodeUnavailable, "%s", err).WithHint("%s", hint))
	return exit(exitUnreachable)
}

// printReport prints a report as JSON, or with table.
func (c *cli) printReport(cmd *cobra.Command, form string, report any, table func(io.Writer)) error {
	if form == "json" {
		return c.printJSON(report)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	table(w)
	return w.Flush()
}

func printCheck(w io.Writer, r *bolt.Report) {
	printKinds(w, r)
	printFindings(w, r.Findings)
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "the store is sound: %s, %d bytes, format %s\n", r.Path, r.Bytes, r.Format)
	} else {
		fmt.Fprintf(w, "the store is damaged: %s, %d findings\n", r.Path, len(r.Findings))
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(w, "%d entries of an older version have no checksum; each gets one when it is written again\n", r.Unsealed)
	}
}

// printKinds prints how much there is of each kind.
func printKinds(w io.Writer, r *bolt.Report) {
	fmt.Fprintln(w, "KIND\tRECORDS\tLOGS\tENTRIES\tWAKES")
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		n := r.Kinds[kind]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", kind, n.Records, n.Logs, n.Entries, n.Wakes)
	}
}

func printFindings(w io.Writer, all []bolt.Finding) {
	for i := range all {
		if i == shownFindings {
			fmt.Fprintf(w, "… and %d more: see all with -o json\n", len(all)-i)
			return
		}
		mark := "damaged"
		if all[i].Lost {
			mark = "lost"
		}
		fmt.Fprintf(w, "%s\t%s\n", mark, oneLine(all[i].String()))
	}
}

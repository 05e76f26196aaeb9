package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

func (c *cli) storeBackupCommand() *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use:   "backup FILE|DIR",
		Short: "Copy a store to a file, also while a process serves it",
		Long: "Copies the file of a store as one commit left it, also while a process serves it, which then makes the copy in the store's folder: that " +
			"needs as much room again. All of the copy is read, and it is kept only if it is sound. FILE must not exist; in a folder the copy is named " +
			"after the time. Exit code 0: the copy is whole; 1: the store is damaged; " +
			"2: the command line or the configuration is invalid; 4: the file cannot be read, or the process that serves it does not answer.",
		Example: "  runplane store backup /backups/ --store file:/var/lib/runplane\n" +
			"  runplane store restore /backups/runplane-20260131T020000Z.db --store file:/var/lib/runplane",
		Args: exactArgs("FILE|DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := c.backedUpFolder(cmd, form)
			if err != nil {
				return err
			}
			to := args[0]
			if info, err := os.Stat(to); err == nil && info.IsDir() || strings.HasSuffix(to, string(filepath.Separator)) {
				to = filepath.Join(to, time.Now().UTC().Format("runplane-20060102T150405Z.db"))
			}
			report, err := bolt.Backup(cmd.Context(), dir, to)
			if err != nil {
				return c.notCopied(err)
			}
			return c.printReport(cmd, form, report, func(w io.Writer) {
				printKinds(w, &report)
				fmt.Fprintf(w, "copied, and the copy is sound: %s, %d bytes\n", report.Path, report.Bytes)
			})
		},
	}
	addConfigFlags(cmd.Flags(), "store")
	addFormFlag(cmd, &form)
	return cmd
}

// restored is what restore prints.
type restored struct {
	bolt.Report
	Suspended []string `json:"suspended"` // executions that were open
}

func (c *cli) storeRestoreCommand() *cobra.Command {
	var form string
	var goOn bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a store from a backup",
		Long: "Makes the store of a folder, which must have none, from a backup that is sound and of a format that this version knows. Executions that " +
			"were open when the backup was made are suspended: what they have done since is not in it, and they would do it again. Look at each, and " +
			"then resume or cancel it. With --go-on they are not suspended: say so only if nothing ran after the backup. " +
			"Exit code 0: the store is made; 1: the backup is damaged; 2: the command line or the configuration is invalid, or there is a store; " +
			"4: the file cannot be read.",
		Example: "  runplane store restore /backups/runplane-20260131T020000Z.db --store file:/var/lib/runplane",
		Args:    exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := c.backedUpFolder(cmd, form)
			if err != nil {
				return err
			}
			report, err := bolt.Restore(args[0], dir)
			if err != nil {
				return c.notCopied(err)
			}
			r := restored{Report: report, Suspended: []string{}}
			if !goOn {
				if err := c.suspendOpen(cmd, dir, &r); err != nil {
					return fmt.Errorf("the store %s was made; suspend its executions before it is served: %w", dir, err)
				}
			}
			return c.printReport(cmd, form, r, func(w io.Writer) {
				printKinds(w, &r.Report)
				for _, id := range r.Suspended {
					fmt.Fprintf(w, "suspended\texecution %s: what it did after the backup is not known\n", id)
				}
				fmt.Fprintf(w, "made from %s: %s, %d bytes\n", args[0], report.Path, report.Bytes)
			})
		},
	}
	addConfigFlags(cmd.Flags(), "store")
	addFormFlag(cmd, &form)
	cmd.Flags().BoolVar(&goOn, "go-on", false, "do not suspend what was open: nothing ran after the backup")
	return cmd
}

// backedUpFolder is the folder of the configured store, which must be a file.
func (c *cli) backedUpFolder(cmd *cobra.Command, form string) (string, error) {
	dir, err := c.storeFolder(cmd, form)
	if e := schemas.AsError(err); err != nil && e.Code == schemas.CodeInvalidArgument {
		return "", e.WithHint("name a store with --store file:DIR. A Redis is backed up by its own means: BGSAVE and a copy of its dump file, or of its " +
			"append-only files; a managed one by its provider")
	}
	return dir, err
}

// notCopied prints why there is no copy.
func (c *cli) notCopied(err error) error {
	f, ok := errors.AsType[*bolt.Fault](err)
	switch {
	case ok && f.Kind == bolt.Damaged:
		c.printError(schemas.Errorf(schemas.CodeUnavailable, "%s", f).WithHint("%s", f.Hint()))
		return exit(exitFailed)
	case errors.Is(err, store.ErrInvalid):
		c.printError(schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithHint("name a file, or a folder of a store, that does not exist yet"))
		return exit(exitInvalid)
	}
	return c.unreadable(err)
}

// suspendOpen suspends each open execution of a restored store.
func (c *cli) suspendOpen(cmd *cobra.Command, dir string, r *restored) error {
	return c.eachExecution(cmd, dir, func(p *plane, rec *store.Record) error {
		var h journal.Head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return fmt.Errorf("read %s: %w", rec.Key, err)
		}
		if h.Status.Terminal() || h.Deleted || h.ParentID != "" || h.Status == schemas.StatusSuspended { // children are suspended with their parent
			return nil
		}
		as := caller.With(cmd.Context(), caller.Caller{Principal: h.Principal})
		_, err := p.runtime.Executions.Suspend(as, h.ExecutionID, "", "restored from a backup: what it did after that is not known")
		if errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) { // it is being cancelled or undone, which is to end
			return nil
		}
		if err == nil {
			r.Suspended = append(r.Suspended, h.ExecutionID)
		}
		return err
	})
}

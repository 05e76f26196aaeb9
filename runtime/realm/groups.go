package realm

import (
	"crypto/rand"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
)

// groups tracks the process groups of this run in the guardian, which ends them if this process dies, and in a record on disk,
// with which the next start ends what is left if the guardian died too. A nil groups tracks nothing.
type groups struct {
	guard  *guardian
	record *record
	log    hclog.Logger
}

// markVariable is the environment variable of children that identifies the run that started them. It distinguishes a process
// with a recorded group id from an unrelated one to which the system gave the same id later.
const markVariable = "RUNPLANE_GROUP"

// newMark is a unique id of a run.
func newMark() string { return rand.Text() }

// mark is the value of markVariable; empty where nothing is recorded.
func (g *groups) mark() string {
	if g == nil || g.record == nil {
		return ""
	}
	return g.record.mark
}

func (g *groups) watch(group int) { g.write("+", group) }

func (g *groups) forget(group int) { g.write("-", group) }

func (g *groups) write(op string, group int) {
	if g == nil {
		return
	}
	g.guard.write(op, group)
	if err := g.record.write(op, group); err != nil {
		g.log.Debug("process group not recorded", "error", err)
	}
}

// close ends groups that were not forgotten.
func (g *groups) close() {
	g.guard.close()
	g.record.close()
}

// writeEntry writes one line as the guardian and the record read it: + or - and the id of a group.
func writeEntry(w io.Writer, op string, group int) error {
	_, err := fmt.Fprintf(w, "%s %d\n", op, group)
	return err
}

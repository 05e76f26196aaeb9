package realm

import (
	"crypto/rand"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
)

// groups is everybody who must know which process groups are ours: the guardian, which ends them when we die, and a record
// on disk, by which the next start sweeps what both of us left. A nil groups tells nobody.
type groups struct {
	guard  *guardian
	record *record
	log    hclog.Logger
}

// markVariable names the run of ours that a child belongs to. Whether a process that is found by a recorded group id is a
// child of that run, or a stranger to whom the system gave the id later, only this can tell.
const markVariable = "RUNPLANE_GROUP"

// newMark is a name that no other run has.
func newMark() string { return rand.Text() }

// mark is the value of markVariable; empty where nothing is recorded.
func (g *groups) mark() string {
	if g == nil || g.record == nil {
		return ""
	}
	return g.record.mark
}

func (g *groups) watch(group int) { g.tell("+", group) }

func (g *groups) forget(group int) { g.tell("-", group) }

func (g *groups) tell(op string, group int) {
	if g == nil {
		return
	}
	g.guard.tell(op, group)
	if err := g.record.tell(op, group); err != nil {
		g.log.Debug("a process group is not recorded", "error", err)
	}
}

// close ends what was not forgotten.
func (g *groups) close() {
	g.guard.close()
	g.record.close()
}

// note writes one line of the form that the guardian and the record read: + or - and the id of a group.
func note(w io.Writer, op string, group int) error {
	_, err := fmt.Fprintf(w, "%s %d\n", op, group)
	return err
}

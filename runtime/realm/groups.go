package realm

import (
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// groups tracks the process groups of this run in the guardian, which ends them if this process dies, and in a record on disk,
// with which the next start ends what is left if the guardian died too. A nil groups tracks nothing.
type groups struct {
	mark     string // of this run
	children atomic.Int64
	guard    *guardian
	record   *record
	log      hclog.Logger
}

// newGroups starts the guardian, and the record in dir; with an empty dir there is no record.
func newGroups(dir string, log hclog.Logger) *groups {
	g := &groups{mark: rand.Text(), log: log}
	g.guard = startGuardian(g.mark, log)
	var err error
	if g.record, err = newRecord(dir, g.mark); err != nil {
		log.Debug("process groups are not recorded: after a crash only the guardian process ends them", "error", err)
	}
	return g
}

// markVariable is the environment variable of children, and of all processes that they start, that identifies the run and the
// child. By it a helper is found that has left the child's group, and a process with a recorded group id is distinguished from
// an unrelated one to which the system gave the same id later.
const markVariable = "RUNPLANE_GROUP"

// leftoverGrace is the time between TERM and KILL for helpers: it is short, since the program that they belong to has ended.
const leftoverGrace = 250 * time.Millisecond

// childMark is the value of markVariable for one more child: the mark of the run, a dot and a number. Empty: nothing is tracked.
func (g *groups) childMark() string {
	if g == nil {
		return ""
	}
	return g.mark + "." + strconv.FormatInt(g.children.Add(1), 10)
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

// close ends groups that were not forgotten, and what else has the mark of the run.
func (g *groups) close() {
	g.guard.close()
	endMarked(g.mark, leftoverGrace)
	g.record.close()
}

// writeEntry writes one line as the guardian and the record read it: + or - and the id of a group.
func writeEntry(w io.Writer, op string, group int) error {
	_, err := fmt.Fprintf(w, "%s %d\n", op, group)
	return err
}

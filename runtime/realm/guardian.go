package realm

import (
	"io"
	"os/exec"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// guardian is a small shell process that ends the process groups of this process if it is killed. It reads the ids of the groups
// from its stdin and acts when that is closed. The kernel's death signal only reaches the children; only a guardian finds their
// helpers (of npx, uvx, browsers). On Linux it also ends helpers that left their group, by the mark in their environment. Without a
// shell there is none.
//
// A nil guardian does nothing.
type guardian struct {
	log hclog.Logger
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardScript keeps a set of group ids; at the end of its input it sends TERM to each, and KILL a second later. $1 is the mark of
// the run, with which it finds processes in no such group.
const guardScript = `set -f; trap '' INT TERM HUP; g=
while read -r op id; do case $op in
+) g="$g $id";;
-) n=; for i in $g; do [ "$i" = "$id" ] || n="$n $i"; done; g=$n;;
esac; done
set +f
marked() { for e in $(grep -lsF -- "` + markVariable + `=$1." /proc/[0-9]*/environ); do e=${e#/proc/}; echo "${e%/environ}"; done; }
m=$(marked "$1")
for i in $g; do kill -s TERM -- "-$i"; done 2>/dev/null
for i in $m; do kill -s TERM "$i"; done 2>/dev/null
[ -z "$g$m" ] || sleep 1
for i in $g; do kill -s KILL -- "-$i"; done 2>/dev/null
for i in $(marked "$1"); do kill -s KILL "$i"; done 2>/dev/null`

// startGuardian starts the shell; close stops it.
func startGuardian(mark string, log hclog.Logger) *guardian {
	g := &guardian{log: log, cmd: exec.Command("/bin/sh", "-c", guardScript, "runplane-guardian", mark)}
	g.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	g.cmd.Dir = "/"
	g.cmd.SysProcAttr = guardianAttributes()
	in, err := g.cmd.StdinPipe()
	if err == nil {
		err = g.cmd.Start()
	}
	if err != nil {
		log.Debug("no guardian process: after a SIGKILL of this process the helpers of its realms may keep running", "error", err)
		return nil
	}
	g.in = in
	return g
}

// write records that a group was started (+) or has ended (-).
func (g *guardian) write(op string, group int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := writeEntry(g.in, op, group); err != nil {
		g.log.Debug("the guardian process has ended", "error", err)
	}
}

// close ends the guardian, which then ends the groups that were not forgotten.
func (g *guardian) close() {
	if g == nil {
		return
	}
	_ = g.in.Close()
	_ = g.cmd.Wait() // its result does not matter
}

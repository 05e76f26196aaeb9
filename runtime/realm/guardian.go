package realm

import (
	"io"
	"os/exec"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// guardian is a small shell process that ends our process groups when we die without a chance to do it. It reads the ids of
// the groups on its stdin and acts when that ends. The kernel's death signal reaches the children alone; their helpers (of
// npx, uvx, browsers) only a guardian can find. Where there is no shell it does nothing.
//
// A nil guardian is a guardian that does nothing.
type guardian struct {
	log hclog.Logger
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardScript keeps a set of group ids; at the end of its input it ends each, politely first.
const guardScript = `set -f; trap '' INT TERM HUP; g=
while read -r op id; do case $op in
+) g="$g $id";;
-) n=; for i in $g; do [ "$i" = "$id" ] || n="$n $i"; done; g=$n;;
esac; done
for i in $g; do kill -s TERM -- "-$i"; done 2>/dev/null
[ -z "$g" ] || sleep 1
for i in $g; do kill -s KILL -- "-$i"; done 2>/dev/null`

// startGuardian starts the shell; it is stopped with close.
func startGuardian(log hclog.Logger) *guardian {
	g := &guardian{log: log, cmd: exec.Command("/bin/sh", "-c", guardScript)}
	g.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	g.cmd.Dir = "/"
	g.cmd.SysProcAttr = guardianAttributes()
	in, err := g.cmd.StdinPipe()
	if err == nil {
		err = g.cmd.Start()
	}
	if err != nil {
		log.Debug("no guardian: after a SIGKILL of this process the helpers of its realms may live on", "error", err)
		return nil
	}
	g.in = in
	return g
}

// tell says that a group is ours (+) or gone (-).
func (g *guardian) tell(op string, group int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := note(g.in, op, group); err != nil {
		g.log.Debug("the guardian is gone", "error", err)
	}
}

// close ends the guardian, which then ends the groups that were not forgotten.
func (g *guardian) close() {
	if g == nil {
		return
	}
	_ = g.in.Close()
	_ = g.cmd.Wait() // how it ended changes nothing
}

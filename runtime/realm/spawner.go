package realm

import (
	"context"
	"os/exec"
	"runtime"
)

// spawner starts children on one operating-system thread that exists as long as the pool: the kernel sends the death signal
// (process_linux.go) when the thread that forked ends, and Go ends threads at any time.
type spawner struct{ commands chan spawnRequest }

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error // size 1
}

func newSpawner() *spawner { return &spawner{commands: make(chan spawnRequest)} }

// run starts the commands of start until ctx ends. The thread ends with it, so ctx must outlive every child.
func (s *spawner) run(ctx context.Context) {
	runtime.LockOSThread() // never unlocked
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.commands:
			r.done <- r.cmd.Start()
		}
	}
}

// start starts the command on the spawner's thread, which must be running.
func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd, make(chan error, 1)}
	s.commands <- r
	return <-r.done
}

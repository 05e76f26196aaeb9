package realm

import (
	"context"
	"os/exec"
	"runtime"
)

// spawner starts children on one operating-system thread that lives as long as the pool: the kernel's death signal
// (process_linux.go) follows the thread that forked, and Go ends and moves threads as it likes.
type spawner struct{ commands chan spawnRequest }

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error // size 1
}

func newSpawner() *spawner { return &spawner{commands: make(chan spawnRequest)} }

// run starts what start asks for until ctx ends. The thread ends with it, so ctx must outlive every child.
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

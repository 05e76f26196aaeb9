package realm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// process is a child that leads a process group of its own. It is started by startProcess and must be stopped, even if it has
// ended.
type process struct {
	cmd      *exec.Cmd
	stdin    *os.File // our end; closed by stop
	stdout   *os.File
	exited   chan struct{} // closed after the child was reaped and its group was ended
	grace    time.Duration
	log      hclog.Logger
	groups   *groups
	mark     string // in its environment, and in that of the processes that it starts; empty: none
	stderr   *stderrLog
	stopping atomic.Bool // stop was called before the child ended
	wg       sync.WaitGroup
	once     sync.Once

	elsewhere bool // what it is asked to do may run outside of it, see worksElsewhere
}

// spawn starts a command; on Linux on a thread that outlives the child (spawner.go).
type spawn func(*exec.Cmd) error

// startProcess starts the realm's command without a shell. The error is a *schemas.Error.
func startProcess(name string, spec schemas.Realm, inherit []string, limits Limits, start spawn, groups *groups, redactor *redact.Redactor,
	log hclog.Logger) (*process, error) {
	unavailable := func(format string, args ...any) *schemas.Error {
		return schemas.Errorf(schemas.CodeUnavailable, "realm %q: %s", name, fmt.Sprintf(format, args...)).WithOutcome(schemas.NotRun)
	}
	env, err := environment(spec, inherit)
	if err != nil {
		return nil, unavailable("its envFile cannot be read: %v", err).WithHint("correct mcpServers.%s.envFile", name)
	}
	var secrets redact.Secrets
	if file, err := envFile(spec); err == nil {
		secrets.Named(file)
	}
	redactor.Add(&secrets)
	if spec.Cwd != "" {
		if info, err := os.Stat(spec.Cwd); err != nil || !info.IsDir() {
			return nil, unavailable("its working directory %s does not exist", spec.Cwd).WithHint("correct mcpServers.%s.cwd", name)
		}
	}
	mark := groups.childMark()
	if mark != "" {
		env[markVariable] = mark
	}
	file, searched := lookCommand(spec.Command, spec.Cwd, env["PATH"])
	if file == "" {
		return nil, unavailable("command %q was not found; searched %s", spec.Command, searched).
			WithHint("install %s, or give its full path in mcpServers.%s.command, or set PATH in mcpServers.%s.env", spec.Command, name, name)
	}

	p := &process{
		exited: make(chan struct{}), grace: limits.CloseGrace, log: log, groups: groups, mark: mark, elsewhere: worksElsewhere(spec),
	}
	var theirs, ours []*os.File
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(theirs, ours...))
			return nil, unavailable("cannot create a pipe: %v", err)
		}
		if len(theirs) == 0 {
			theirs, ours = append(theirs, r), append(ours, w)
		} else {
			theirs, ours = append(theirs, w), append(ours, r)
		}
	}
	p.stdin, p.stdout = ours[0], ours[1]
	p.cmd = exec.Command(file, spec.Args...)
	p.cmd.Args[0] = spec.Command
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = spec.Cwd, environ(env), childAttributes()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	err = start(p.cmd)
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		return nil, unavailable("command %q does not start: %v", spec.Command, err).
			WithHint("run it by hand; mcpServers.%s has the command, its args and its cwd", name)
	}
	groups.watch(p.cmd.Process.Pid)
	p.stderr = newStderrLog(log, redactor, limits.StderrRate)
	silent := make(chan struct{}) // closed when its stderr is read to the end
	p.wg.Go(func() {
		defer close(silent)
		p.stderr.read(ours[2])
	})
	p.wg.Go(func() { p.wait(ours[2], silent) })
	return p, nil
}

// wait reaps the child, then ends the rest of its group, which would keep the pipes open, and its helpers that have left the group.
func (p *process) wait(stderr *os.File, silent <-chan struct{}) {
	_ = p.cmd.Wait() // the state is in ProcessState
	endGroup(p.cmd.Process.Pid, p.grace)
	p.groups.forget(p.cmd.Process.Pid)
	// A process that left the group may keep the pipes open: read what is in them, but do not wait.
	soon := time.Now().Add(drainTime)
	_ = p.stdout.SetReadDeadline(soon)
	_ = stderr.SetReadDeadline(soon)
	<-silent
	close(p.exited)
	endMarked(p.mark, min(p.grace, leftoverGrace))
}

// drainTime is how long the pipes of an ended child are read.
const drainTime = 200 * time.Millisecond

// stop ends the child and its group: it closes stdin, then sends TERM, then KILL, with the grace period between them. It returns
// when all have ended. Only the first call does something; it is safe after the child has ended.
func (p *process) stop() {
	p.once.Do(func() {
		p.stopping.Store(p.exitError() == nil)
		_ = p.stdin.Close()
		for _, end := range []func(int){terminateGroup, killGroup} {
			if p.exitsWithin(p.grace) {
				break
			}
			end(p.cmd.Process.Pid)
		}
		p.wg.Wait()
		_ = p.stdout.Close()
	})
}

func (p *process) exitsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// exitedUnasked reports whether the child ended before stop.
func (p *process) exitedUnasked() bool { return p.exitError() != nil && !p.stopping.Load() }

// exitError is how the child ended and what it last wrote to stderr; nil while it runs.
func (p *process) exitError() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	how := "ended: " + p.cmd.ProcessState.String()
	if words := p.stderr.last(); words != "" {
		how += "; last on stderr: " + words
	}
	return errors.New(how)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

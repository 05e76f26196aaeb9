package redistest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// deadline is how long a server may take to do what it was told; reaching it fails the test.
const deadline = 30 * time.Second

// Server is one redis-server process, or the place of one that ended: Restart brings it back with its data. Methods
// fail the test when they cannot do what they say. They may be called from any goroutine of the test, one at a time.
type Server struct {
	Addr string // host:port, the same for all its lives
	Dir  string // configuration, data and log

	t        testing.TB
	binary   string
	args     []string
	password string

	mu   sync.Mutex
	life *life
}

// life is one process of a server.
type life struct {
	process *os.Process
	ended   chan struct{} // closed when the process is gone
	output  *bytes.Buffer // complete once ended
}

// Standalone starts one server. Each line of config is one of redis.conf, such as "maxmemory 10mb"; it overrides ours.
func Standalone(t testing.TB, config ...string) *Server {
	t.Helper()
	return start(t, nil, func(int, int) []string { return config })
}

// start runs a server on ports that are free. The lines that config makes of its port and a second one, which is as
// free, come behind our own; args are for the command line.
func start(t testing.TB, args []string, config func(port, second int) []string) *Server {
	t.Helper()
	path := binary(t)
	for range 20 {
		ports := takePorts(t, 2)
		s := &Server{Addr: fmt.Sprintf("127.0.0.1:%d", ports[0]), Dir: t.TempDir(), t: t, binary: path}
		lines := append([]string{
			"bind 127.0.0.1", fmt.Sprintf("port %d", ports[0]), "dir " + s.Dir, "logfile redis.log", "save \"\"", "appendonly yes",
		}, config(ports[0], ports[1])...)
		for _, line := range lines {
			if word, rest, _ := strings.Cut(line, " "); word == "requirepass" {
				s.password = rest
			}
		}
		file := filepath.Join(s.Dir, "redis.conf")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = append([]string{file}, args...)
		t.Cleanup(s.end)
		if s.run() {
			return s
		}
		if !s.portTaken() {
			t.Fatalf("redis-server does not start:\n%s", s.Log())
		}
	}
	t.Fatal("redis-server found no free port in 20 tries")
	return nil
}

// run starts a process and waits until it answers; false when it ended before.
func (s *Server) run() bool {
	s.t.Helper()
	l := &life{ended: make(chan struct{}), output: &bytes.Buffer{}}
	cmd := exec.Command(s.binary, s.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.Dir, l.output, l.output, attributes()
	started := make(chan error, 1)
	go func() {
		// The process ends with the thread that started it (see attributes), so this one stays until it has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(l.ended)
		err := cmd.Start()
		l.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	s.mu.Lock()
	s.life = l
	s.mu.Unlock()
	for end := time.Now().Add(deadline); ; time.Sleep(2 * time.Millisecond) {
		if s.ready(l.process.Pid) {
			return true
		}
		select {
		case <-l.ended:
			return false
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("redis-server at %s did not answer within %v:\n%s", s.Addr, deadline, s.Log())
		}
	}
}

// ready tells whether the process of that id answers at our address, with its data loaded.
func (s *Server) ready(pid int) bool {
	info, err := s.Ask("INFO")
	text, ok := info.(string)
	return err == nil && ok && strings.Contains(text, "process_id:"+strconv.Itoa(pid)+"\r\n") && !strings.Contains(text, "\nloading:1")
}

func (s *Server) portTaken() bool { return strings.Contains(s.Log(), "in use") }

// URL is the address as a redis:// URL, with the password if it has one.
func (s *Server) URL() string {
	if s.password != "" {
		return "redis://:" + s.password + "@" + s.Addr + "/0"
	}
	return "redis://" + s.Addr + "/0"
}

// Log is what the server has logged in all its lives.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log")) // it may have ended before its first line
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != nil {
		select {
		case <-s.life.ended:
			return string(text) + s.life.output.String()
		default:
		}
	}
	return string(text)
}

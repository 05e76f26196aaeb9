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

// deadline is how long a server may take for anything; reaching it fails the test.
const deadline = 30 * time.Second

// Server is one redis-server, running or not: Restart starts it again with its data. Methods fail the test when they fail. They
// may be called from any goroutine of the test, one at a time.
type Server struct {
	Addr string // host:port; Restart keeps it
	Dir  string // configuration, data and log

	t        testing.TB
	binary   string
	args     []string
	password string

	mu      sync.Mutex
	process *process
}

// process is one process of a server.
type process struct {
	os     *os.Process
	ended  chan struct{} // closed when the process has ended
	output *bytes.Buffer // complete once ended
}

// Standalone starts one server. Each line of config is one of redis.conf, such as "maxmemory 10mb"; it overrides ours.
func Standalone(t testing.TB, config ...string) *Server {
	t.Helper()
	return start(t, nil, func(int, int) []string { return config })
}

// start runs a server on free ports. The lines that config returns for its port and a second one follow the common lines; args
// are further command-line arguments.
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
			t.Fatalf("redis-server did not start:\n%s", s.Log())
		}
	}
	t.Fatal("redis-server found no free port in 20 tries")
	return nil
}

// run starts a process and waits until it answers; false: it ended before.
func (s *Server) run() bool {
	s.t.Helper()
	p := &process{ended: make(chan struct{}), output: &bytes.Buffer{}}
	cmd := exec.Command(s.binary, s.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.Dir, p.output, p.output, attributes()
	started := make(chan error, 1)
	go func() {
		// The process ends with the thread that started it (see attributes), so this thread waits for its end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		p.os = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // its log has the reason
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	for end := time.Now().Add(deadline); ; time.Sleep(2 * time.Millisecond) {
		if s.ready(p.os.Pid) {
			return true
		}
		select {
		case <-p.ended:
			return false
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("redis-server at %s did not answer within %v:\n%s", s.Addr, deadline, s.Log())
		}
	}
}

// ready reports whether the process with the pid answers at the address and has loaded its data.
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

// Log is what all processes of the server have logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log")) // it may have ended before its first line
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		select {
		case <-s.process.ended:
			return string(text) + s.process.output.String()
		default:
		}
	}
	return string(text)
}

package redistest

import (
	"os"
	"time"
)

// Kill ends the process with SIGKILL and returns when it has ended. The files stay as they are.
func (s *Server) Kill() {
	s.t.Helper()
	s.signal(os.Kill)
	s.await()
}

// Stop shuts the server down, which writes everything to disk, and returns when it has ended.
func (s *Server) Stop() {
	s.t.Helper()
	s.signal(terminate)
	s.await()
}

// Restart starts the server again with its port and data, and returns when it answers; a running one is stopped first.
func (s *Server) Restart() {
	s.t.Helper()
	if s.Running() {
		s.Stop()
	}
	for end := time.Now().Add(deadline); !s.run(); time.Sleep(20 * time.Millisecond) {
		if !s.portTaken() || time.Now().After(end) {
			s.t.Fatalf("redis-server did not start again:\n%s", s.Log())
		}
	}
}

// Pause suspends the process: its connections stay open and accept bytes until their buffers are full, and it answers nothing
// until Continue.
func (s *Server) Pause() { s.t.Helper(); s.signal(pause) }

// Continue resumes a paused server.
func (s *Server) Continue() { s.t.Helper(); s.signal(resume) }

// Running reports whether the process exists, paused or not.
func (s *Server) Running() bool {
	select {
	case <-s.current().ended:
		return false
	default:
		return true
	}
}

// Config sets a parameter of the running server; Restart resets it.
func (s *Server) Config(name, value string) {
	s.t.Helper()
	s.Do("CONFIG", "SET", name, value)
}

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.current().os.Signal(sig); err != nil {
		s.t.Fatalf("signal %v to redis-server at %s: %v", sig, s.Addr, err)
	}
}

func (s *Server) await() {
	s.t.Helper()
	select {
	case <-s.current().ended:
	case <-time.After(deadline):
		s.t.Fatalf("redis-server at %s did not end within %v", s.Addr, deadline)
	}
}

// end kills the process at the end of the test.
func (s *Server) end() {
	if p := s.current(); p != nil {
		_ = p.os.Kill() // it may have ended already
		<-p.ended
	}
}

package redistest

import (
	"os"
	"time"
)

// Kill ends the process with SIGKILL and returns when it is gone. The data stay as they are on disk.
func (s *Server) Kill() {
	s.t.Helper()
	s.signal(os.Kill)
	s.await()
}

// Stop ends the server in order, with everything written, and returns when it is gone.
func (s *Server) Stop() {
	s.t.Helper()
	s.signal(terminate)
	s.await()
}

// Restart starts the server again on its port and data, and returns when it answers; one that still runs is stopped first.
func (s *Server) Restart() {
	s.t.Helper()
	if s.Running() {
		s.Stop()
	}
	for end := time.Now().Add(deadline); !s.run(); time.Sleep(20 * time.Millisecond) {
		if !s.portTaken() || time.Now().After(end) {
			s.t.Fatalf("redis-server does not start again:\n%s", s.Log())
		}
	}
}

// Pause stops the process where it is: it keeps its connections, takes bytes until its buffers are full, and answers
// nothing until Continue.
func (s *Server) Pause() { s.t.Helper(); s.signal(pause) }

// Continue lets a paused server go on.
func (s *Server) Continue() { s.t.Helper(); s.signal(resume) }

// Running tells whether its process lives, paused or not.
func (s *Server) Running() bool {
	select {
	case <-s.current().ended:
		return false
	default:
		return true
	}
}

// Config sets a parameter of the running server; Restart takes it back.
func (s *Server) Config(name, value string) {
	s.t.Helper()
	s.Do("CONFIG", "SET", name, value)
}

func (s *Server) current() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.current().process.Signal(sig); err != nil {
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

// end kills what may be left of it when the test is over.
func (s *Server) end() {
	if l := s.current(); l != nil {
		_ = l.process.Kill() // it may be gone already
		<-l.ended
	}
}

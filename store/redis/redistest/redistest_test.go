package redistest_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store/redis/redistest"
)

func TestDataSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "appendfsync always")
	s.Do("SET", "a", "1")
	s.Kill()
	if _, err := s.Ask("PING"); err == nil || s.Running() {
		t.Fatal("a killed server answers")
	}
	s.Restart()
	if got := s.Do("GET", "a"); got != "1" {
		t.Fatalf("after SIGKILL: got %v, want 1", got)
	}
	s.Do("SET", "a", "2")
	s.Stop()
	s.Restart()
	if got := s.Do("GET", "a"); got != "2" {
		t.Fatalf("after a stop: got %v, want 2", got)
	}
	s.Restart()
	if got := s.Do("GET", "a"); got != "2" {
		t.Fatalf("after a restart: got %v, want 2", got)
	}
}

func TestPausedServerAnswersLater(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t)
	s.Pause()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 5)
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); err == nil {
		t.Fatalf("a paused server answers %q", answer[:n])
	}
	s.Continue()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(answer); err != nil || string(answer) != "+PONG" {
		t.Fatalf("got %q, %v", answer, err)
	}
}

func TestCommandsAndConfiguration(t *testing.T) {
	t.Parallel()
	s := redistest.Standalone(t, "requirepass secret", "maxmemory-policy allkeys-lru")
	if got := fmt.Sprint(s.Do("CONFIG", "GET", "maxmemory-policy")); got != "[maxmemory-policy allkeys-lru]" {
		t.Errorf("got %s", got)
	}
	s.Config("maxmemory-policy", "noeviction")
	if got := fmt.Sprint(s.Do("CONFIG", "GET", "maxmemory-policy")); got != "[maxmemory-policy noeviction]" {
		t.Errorf("got %s", got)
	}
	if got := s.Do("GET", "missing"); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	if got := s.Do("INCR", "n"); got != int64(1) {
		t.Errorf("got %v, want 1", got)
	}
	if _, err := s.Ask("LPUSH", "n", "x"); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE") {
		t.Errorf("got %v, want WRONGTYPE", err)
	}
	if !strings.Contains(s.URL(), ":secret@") {
		t.Errorf("no password in %s", s.URL())
	}
}

func TestEveryServerEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var servers []*redistest.Server
	t.Run("some", func(t *testing.T) {
		for range 3 {
			servers = append(servers, redistest.Standalone(t))
		}
		servers[0].Kill()
		servers[1].Pause()
	})
	for _, s := range servers {
		if s.Running() {
			t.Errorf("the server at %s outlived its test", s.Addr)
		}
		if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
			t.Errorf("its folder is left: %v", err)
		}
	}
}

func TestClusterServesAllSlots(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t)
	moved := 0
	for i := range 100 {
		key := fmt.Sprint("k", i)
		stored := 0
		for _, m := range c.Masters {
			if _, err := m.Ask("SET", key, "v"); err == nil {
				stored++
			} else if strings.HasPrefix(err.Error(), "MOVED") {
				moved++
			} else {
				t.Fatal(err)
			}
		}
		if stored != 1 {
			t.Fatalf("%s was stored by %d masters, want 1", key, stored)
		}
	}
	if moved != 200 {
		t.Errorf("%d redirections, want 200", moved)
	}
	c.Masters[1].Kill()
	c.Masters[1].Restart()
	c.Await()
}

func TestSentinelsPromoteTheReplica(t *testing.T) {
	t.Parallel()
	w := redistest.Sentinel(t)
	old := w.Master()
	if old != w.Servers[0] {
		t.Fatalf("the master is %s, want %s", old.Addr, w.Servers[0].Addr)
	}
	old.Do("SET", "a", "1")
	until(t, "the replica follows", func() bool { return w.Servers[1].Do("GET", "a") == "1" })
	old.Kill()
	m := w.AwaitMaster(old)
	if got := m.Do("GET", "a"); got != "1" {
		t.Fatalf("got %v from the new master, want 1", got)
	}
	m.Do("SET", "a", "2")
	old.Restart()
	until(t, "the old master follows the new one", func() bool { return old.Do("GET", "a") == "2" })
}

// until polls until done, and fails the test after 30 s.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

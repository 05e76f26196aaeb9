package redistest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// MasterName is the name of the master in the sentinels' configuration.
const MasterName = "runplane"

// Watched is a master and its replica with sentinels, which promote the replica about a second after the master stopped
// answering.
type Watched struct {
	Servers   [2]*Server // the first is the master at the start
	Sentinels [3]*Server
}

// Sentinel starts a master, its replica and three sentinels, and returns when all have found each other.
func Sentinel(t testing.TB, config ...string) *Watched {
	t.Helper()
	w := &Watched{}
	w.Servers[0] = Standalone(t, append([]string{"repl-diskless-sync-delay 0"}, config...)...)
	host, port, _ := net.SplitHostPort(w.Servers[0].Addr)
	w.Servers[1] = Standalone(t, append([]string{"repl-diskless-sync-delay 0", "replicaof " + host + " " + port}, config...)...)
	for i := range w.Sentinels {
		w.Sentinels[i] = start(t, []string{"--sentinel"}, func(int, int) []string {
			return []string{
				fmt.Sprintf("sentinel monitor %s %s %s 2", MasterName, host, port),
				"sentinel down-after-milliseconds " + MasterName + " 1000",
				"sentinel failover-timeout " + MasterName + " 5000",
			}
		})
		w.Sentinels[i].Do("SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "300", "PING-PERIOD", "200", "ASK-PERIOD", "200")
	}
	for end := time.Now().Add(deadline); !w.connected(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the sentinels did not find each other within %v", deadline)
		}
	}
	return w
}

// connected reports whether the replica is connected and each sentinel knows it and the other two.
func (w *Watched) connected() bool {
	role, ok := w.Servers[1].Do("ROLE").([]any)
	if !ok || len(role) < 4 || role[3] != "connected" {
		return false
	}
	if info, _ := w.Servers[0].Do("INFO", "replication").(string); !strings.Contains(info, "state=online") {
		return false // what is written now may not be replicated
	}
	for _, s := range w.Sentinels {
		facts := map[any]any{}
		list, _ := s.Do("SENTINEL", "MASTER", MasterName).([]any)
		for pair := range slices.Chunk(list, 2) {
			facts[pair[0]] = pair[1]
		}
		if facts["num-slaves"] != "1" || facts["num-other-sentinels"] != "2" || facts["flags"] != "master" {
			return false
		}
	}
	return true
}

// Master is the server that the sentinels name the master now.
func (w *Watched) Master() *Server {
	for _, s := range w.Sentinels {
		list, _ := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).([]any)
		if len(list) != 2 {
			continue
		}
		for _, m := range w.Servers {
			if m.Addr == fmt.Sprintf("%v:%v", list[0], list[1]) {
				return m
			}
		}
	}
	w.Servers[0].t.Fatal("the sentinels name no master")
	return nil
}

// AwaitMaster waits until the master is another one than old and accepts writes, and returns it.
func (w *Watched) AwaitMaster(old *Server) *Server {
	for end := time.Now().Add(deadline); ; time.Sleep(20 * time.Millisecond) {
		if m := w.Master(); m != old {
			if role, err := m.Ask("ROLE"); err == nil {
				if list, ok := role.([]any); ok && list[0] == "master" {
					return m
				}
			}
		}
		if time.Now().After(end) {
			w.Servers[0].t.Fatalf("no failover within %v", deadline)
		}
	}
}

// AwaitReplica returns when s is a connected replica with all data.
func (w *Watched) AwaitReplica(s *Server) {
	for end := time.Now().Add(deadline); ; time.Sleep(20 * time.Millisecond) {
		if role, err := s.Ask("ROLE"); err == nil {
			if list, ok := role.([]any); ok && len(list) > 3 && list[0] == "slave" && list[3] == "connected" {
				return
			}
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s did not become a replica within %v", s.Addr, deadline)
		}
	}
}

// URL is the URL of the sentinels and the master.
func (w *Watched) URL() string { return "redis+sentinel://" + addrs(w.Sentinels[:]) + "/" + MasterName }

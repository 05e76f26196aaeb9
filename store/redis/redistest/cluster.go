package redistest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// Shards is a Redis Cluster of masters without replicas.
type Shards struct {
	Masters []*Server
}

// Cluster starts a cluster of three masters and returns when all of them report that all slots are served.
func Cluster(t testing.TB, config ...string) *Shards {
	t.Helper()
	c := &Shards{}
	for range 3 {
		c.Masters = append(c.Masters, start(t, nil, func(_, bus int) []string {
			return append([]string{
				"cluster-enabled yes", fmt.Sprintf("cluster-port %d", bus), "cluster-node-timeout 3000", "cluster-config-file nodes.conf",
			}, config...)
		}))
	}
	const slots = 16384
	for i, m := range c.Masters {
		first, next := i*slots/len(c.Masters), (i+1)*slots/len(c.Masters)
		m.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		m.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(first), fmt.Sprint(next-1))
	}
	for _, m := range c.Masters[1:] {
		host, port, _ := net.SplitHostPort(m.Addr)
		c.Masters[0].Do("CLUSTER", "MEET", host, port, bus(m))
	}
	c.Await()
	return c
}

// bus is the cluster bus port of a node, from its line of CLUSTER NODES: "id ip:port@bus …".
func bus(m *Server) string {
	line, _ := m.Do("CLUSTER", "NODES").(string)
	_, rest, _ := strings.Cut(line, "@")
	port, _, _ := strings.Cut(rest, " ")
	return port
}

// Await returns when every master reports that all slots are served.
func (c *Shards) Await() {
	for end := time.Now().Add(deadline); ; time.Sleep(20 * time.Millisecond) {
		complete := true
		for _, m := range c.Masters {
			info, err := m.Ask("CLUSTER", "INFO")
			text, _ := info.(string)
			complete = complete && err == nil && strings.Contains(text, "cluster_state:ok") && strings.Contains(text, "cluster_slots_ok:16384") &&
				strings.Contains(text, fmt.Sprintf("cluster_size:%d", len(c.Masters)))
		}
		if complete {
			return
		}
		if time.Now().After(end) {
			c.Masters[0].t.Fatalf("not all slots were served within %v:\n%v", deadline, c.Masters[0].Do("CLUSTER", "NODES"))
		}
	}
}

// URL is the URL of all masters.
func (c *Shards) URL() string { return "redis+cluster://" + addrs(c.Masters) }

func addrs(servers []*Server) string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Addr)
	}
	return strings.Join(all, ",")
}

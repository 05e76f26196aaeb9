package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are below the range of outgoing connections: one of these could take the port of a server that is being restarted.
const lowest, highest = 12_000, 32_000

var (
	portsMu sync.Mutex
	taken   = map[int]bool{} // by this process, never released
)

// takePorts returns ports that are not in use. Another process may take one first; a server that finds its port in use is
// started on another one.
func takePorts(t testing.TB, n int) []int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	var ports []int
	for range 10_000 {
		if len(ports) == n {
			return ports
		}
		port := lowest + rand.IntN(highest-lowest)
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close() // it only checked that the port is free
		taken[port] = true
		ports = append(ports, port)
	}
	t.Fatal("no free loopback ports")
	return nil
}

// Package proxy is a TCP proxy on loopback that does to its connections what a bad network does: delays, resets, a link
// that swallows everything for a while. What it chooses, it chooses by a seed.
package proxy

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Faults is how bad the network is. The zero value is a good one.
type Faults struct {
	Latency   time.Duration // each piece of a stream arrives so much later
	Jitter    time.Duration // up to so much later still
	Cut       int           // a connection is reset behind so many more bytes in one direction, the last of which may be lost with it; 0: never
	CutJitter int           // up to so many bytes later
	Blackhole bool          // nothing passes; as in TCP, it arrives when the network is good again
	Refuse    bool          // new connections are reset at once
}

// Proxy passes connections on to one address. Its methods are safe for concurrent use.
type Proxy struct {
	Addr string // where it listens, host:port

	target   string
	seed     uint64
	listener net.Listener
	group    sync.WaitGroup

	mu       sync.Mutex
	faults   Faults
	changed  chan struct{} // closed and replaced with each Set
	links    map[*link]bool
	accepted uint64
	closed   bool
}

// New starts a proxy for target that ends with the test. The same seed makes the same choices for the same connections
// in the order of their coming.
func New(t testing.TB, target string, seed uint64) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), target: target, seed: seed, listener: l,
		changed: make(chan struct{}), links: map[*link]bool{},
	}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // nobody has closed it before
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Reset()
		p.group.Wait()
	})
	return p
}

// Set makes the network as bad as f says, for new connections and for those that are open; a Cut counts from here.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Heal makes the network good again.
func (p *Proxy) Heal() { p.Set(Faults{}) }

// Reset resets every open connection and tells how many there were.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.links)
	for l := range p.links {
		l.reset()
	}
	return n
}

// Accepted is how many connections have come so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.accepted)
}

// now is how bad the network is, until the channel closes.
func (p *Proxy) now() (Faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, p.changed
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.group.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	n, refuse := p.accepted, p.faults.Refuse
	p.accepted++
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil || refuse {
		if err == nil {
			_ = server.Close() // nothing was sent
		}
		hangUp(client)
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn), gone: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = true
	if p.closed {
		l.reset()
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(l, l.server, l.client, rand.New(rand.NewPCG(p.seed, 2*n))) })
	both.Go(func() { p.pass(l, l.client, l.server, rand.New(rand.NewPCG(p.seed, 2*n+1))) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	_, _ = client.Close(), server.Close() // both may be closed already
}

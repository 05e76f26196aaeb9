// Package proxy is a TCP proxy on loopback for tests that simulates a bad network: delays, resets, and a link on which nothing
// arrives for a while. Its random choices are made by a seed.
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
	Latency   time.Duration // added to the arrival of each piece of a stream
	Jitter    time.Duration // a random part of this is added too
	Cut       int           // a connection is reset after this many more bytes in one direction, the last of which may be lost; 0: never
	CutJitter int           // a random part of this is added to Cut
	Blackhole bool          // nothing passes until the network is good again; then, as in TCP, it arrives
	Refuse    bool          // new connections are reset at once
}

// Proxy forwards connections to one address. Its methods are safe for concurrent use.
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

// New starts a proxy for target that ends with the test. The same seed makes the same choices for the same connections in the
// same order.
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
		_ = l.Close() // it is closed only here
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Reset()
		p.group.Wait()
	})
	return p
}

// Set applies f to new and to open connections; a Cut counts from now.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Heal makes the network good again.
func (p *Proxy) Heal() { p.Set(Faults{}) }

// Reset resets every open connection and returns their number.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.links)
	for l := range p.links {
		l.reset()
	}
	return n
}

// Accepted is the number of connections accepted so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.accepted)
}

// now returns the current faults; the channel is closed when they change.
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

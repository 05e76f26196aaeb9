package proxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// link is one connection from client to server.
type link struct {
	client, server *net.TCPConn
	once           sync.Once
	gone           chan struct{} // closed with a reset
}

func (l *link) reset() {
	l.once.Do(func() {
		close(l.gone)
		hangUp(l.client)
		hangUp(l.server)
	})
}

// hangUp closes a connection with RST: the other end reads an error, not an end of file.
func hangUp(c *net.TCPConn) {
	_ = c.SetLinger(0) // it may be closed already
	_ = c.Close()
}

// piece is bytes in transit.
type piece struct {
	bytes []byte
	due   time.Time
}

// pass forwards one direction until it ends or the link is reset. Pieces are delayed independently, so that latency does not
// reduce bandwidth.
func (p *Proxy) pass(l *link, to, from *net.TCPConn, random *rand.Rand) {
	cuts := rand.New(rand.NewPCG(p.seed, random.Uint64())) // a separate source: the two goroutines run concurrently
	pieces := make(chan piece, 256)                        // in transit before the sender is blocked
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				f, _ := p.now()
				due := time.Now().Add(f.Latency)
				if f.Jitter > 0 {
					due = due.Add(time.Duration(random.Int64N(int64(f.Jitter))))
				}
				select {
				case pieces <- piece{buffer[:n], due}:
				case <-l.gone:
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					l.reset()
				}
				return
			}
		}
	})
	p.deliver(l, to, pieces, cuts)
	reader.Wait()
}

// deliver writes the pieces when they are due, and resets the link at the cut.
func (p *Proxy) deliver(l *link, to *net.TCPConn, pieces <-chan piece, random *rand.Rand) {
	var since <-chan struct{} // the faults that the cut was counted for
	left := 0
	for next := range pieces {
		if !sleep(time.Until(next.due), l.gone) {
			return
		}
		for {
			f, changed := p.now()
			if !f.Blackhole {
				if since != changed {
					since, left = changed, f.Cut
					if f.Cut > 0 && f.CutJitter > 0 {
						left += random.IntN(f.CutJitter)
					}
				}
				if f.Cut > 0 && len(next.bytes) >= left {
					_, _ = to.Write(next.bytes[:left]) // the link is reset in any case
					l.reset()
					return
				}
				break
			}
			select {
			case <-changed:
			case <-l.gone:
				return
			}
		}
		left -= len(next.bytes)
		if _, err := to.Write(next.bytes); err != nil {
			l.reset()
			return
		}
	}
	select {
	case <-l.gone:
	default:
		_ = to.CloseWrite() // the sender has closed its side
	}
}

// sleep reports whether it slept for d; false: the link was reset.
func sleep(d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-gone:
		return false
	}
}

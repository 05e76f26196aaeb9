package realm

import (
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// latency is the durations of the last calls of a realm. The zero value is ready.
type latency struct {
	mu    sync.Mutex
	ring  [latencyCalls]time.Duration
	calls int // in total
}

// latencyCalls is enough for a p99, and few enough to sort at each read.
const latencyCalls = 512

func (l *latency) add(took time.Duration) {
	l.mu.Lock()
	l.ring[l.calls%latencyCalls] = took
	l.calls++
	l.mu.Unlock()
}

// read is nil before the first call.
func (l *latency) read() *schemas.Latency {
	l.mu.Lock()
	n := min(l.calls, latencyCalls)
	recent := slices.Clone(l.ring[:n])
	l.mu.Unlock()
	if n == 0 {
		return nil
	}
	slices.Sort(recent)
	at := func(share float64) float64 {
		return float64(recent[int(share*float64(n-1)+0.5)].Microseconds()) / 1000
	}
	return &schemas.Latency{Calls: n, P50MS: at(0.50), P99MS: at(0.99)}
}

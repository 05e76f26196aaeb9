//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/testdata/proxy"
)

// chaosWorld is the store, the replicas, what clients know, and the faults with their times.
type chaosWorld struct {
	t        *testing.T
	seed     uint64
	ledger   string
	redis    *redistest.Server  // or
	watched  *redistest.Watched // as chaosPlace says
	proxies  []*proxy.Proxy
	replicas [3]*replica

	mu           sync.Mutex
	serial       int
	acknowledged []*chaosExecution
	strikes      []time.Time
	healed       time.Time      // zero: not yet
	retried      map[string]int // by key: how often a retry was decided
	odd          map[string]int // errors that a client should not see, by code
	broken       []string
}

// chaosExecution is what a client knows of an execution.
type chaosExecution struct {
	id, key string
	plan    json.RawMessage
	last    schemas.Execution
	held    int
	stuck   bool
}

func newChaosWorld(t *testing.T, place chaosPlace, seed uint64) *chaosWorld {
	w := &chaosWorld{t: t, seed: seed, ledger: t.TempDir() + "/ledger", retried: map[string]int{}, odd: map[string]int{}}
	w.build(place)
	return w
}

func (w *chaosWorld) replica(r *rand.Rand) *replica { return w.replicas[r.IntN(len(w.replicas))] }

// pass lets time pass in which the clients work.
func (w *chaosWorld) pass(d time.Duration) { time.Sleep(d) }

// warm waits until something has finished.
func (w *chaosWorld) warm() {
	for end := time.Now().Add(chaosGrace); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		w.mu.Lock()
		n := len(w.acknowledged)
		w.mu.Unlock()
		if n > 10 {
			return
		}
	}
	w.t.Fatal("no execution was acknowledged")
}

func (w *chaosWorld) struck() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strikes = append(w.strikes, time.Now())
}

// heal ends the faults.
func (w *chaosWorld) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.healed = time.Now()
}

// patience reports whether a client should go on.
func (w *chaosWorld) patience() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.healed.IsZero() || time.Since(w.healed) < chaosGrace
}

// wrong records a violation.
func (w *chaosWorld) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

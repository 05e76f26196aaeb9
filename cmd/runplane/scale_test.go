//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// TestScale measures the cost of waiting executions: `make scale` with the numbers of the design (100,000 that sleep or wait for an
// event, 10,000 that are open when the process starts), other runs with few, so that the test stays correct. The full run checks
// the budgets and prints its measurements.
func TestScale(t *testing.T) {
	sleeping, open, full := 400, 200, os.Getenv("RUNPLANE_SCALE") == "full"
	if full {
		sleeping, open = 100_000, 10_000
	}
	stores := map[string]func(t *testing.T) string{
		"bolt":  func(t *testing.T) string { return "file:" + t.TempDir() },
		"redis": func(t *testing.T) string { return redistest.Standalone(t).URL() },
	}
	for _, name := range []string{"bolt", "redis"} {
		t.Run(name+" sleeping", func(t *testing.T) {
			idle := weigh(t, stores[name](t), full)
			crowded := stores[name](t)
			began := time.Now()
			fill(t, crowded, sleeping, true)
			t.Logf("%d executions made in %s", sleeping, time.Since(began).Round(time.Millisecond))
			loaded := weigh(t, crowded, full)
			t.Logf("idle:   %s", idle)
			t.Logf("loaded: %s", loaded)
			if more := loaded.rss - idle.rss; full && more > 30<<10 {
				t.Errorf("%d executions that sleep cost %d KiB of memory, want at most 30 MiB", sleeping, more)
			}
			if full && loaded.cpu > idle.cpu+50*time.Millisecond {
				t.Errorf("they cost %s of processor time in %s, idle costs %s", loaded.cpu, watched, idle.cpu)
			}
		})
		t.Run(name+" reopen", func(t *testing.T) {
			setting := stores[name](t)
			fill(t, setting, open, false)
			began := time.Now()
			s := serve(t, "store: "+strconv.Quote(setting)+"\nlimits: {max_queued: 1000000}\n")
			listens := time.Since(began)
			first := s.took(t, `{"plan":"v1","priority":1,"nodes":[{"id":"n","set":1}]}`)
			for s.queue(t).Depth > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			t.Logf("%d open executions: it listens after %s, answers the first plan %s later, and has run them all after %s",
				open, listens.Round(time.Millisecond), first.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			if full && listens+first > time.Second {
				t.Errorf("it was ready after %s, want at most 1 s", listens+first)
			}
		})
	}
}

// watched is how long an idle process is measured.
const watched = 10 * time.Second

// fill makes n executions in the store and leaves it: half of those that sleep do so for a time, half for an event; the others wait
// for a worker.
func fill(t *testing.T, setting string, n int, sleep bool) {
	t.Helper()
	dir := t.TempDir()
	config, err := loadConfig(sources{
		environ: []string{"HOME=" + dir, "RUNPLANE_LIMITS_MAX_QUEUED=1000000"}, dir: dir, read: os.ReadFile, flags: map[string]string{"store": setting},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := open(t.Context(), config, io.Discard, false)
	if err != nil {
		t.Fatal(err)
	}
	leave := p.store.Close
	if sleep {
		stop := p.start(t.Context())
		leave = func() error { return stop(time.Time{}) }
	}
	var submitters sync.WaitGroup
	const at = 64
	for i := range at {
		submitters.Go(func() {
			for j := i; j < n; j += at {
				node := `"set":1`
				if sleep {
					node = []string{`"wait":"1000h"`, `"wait_for":"go"`}[j%2]
				}
				if _, err := p.runtime.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n",` + node + `}]}`)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	submitters.Wait()
	if sleep {
		waitFor(t, "all sleep", func() bool {
			q, err := p.runtime.Queue.Status(t.Context())
			return err != nil || q.Depth == 0 && q.Leased == 0
		})
	}
	if err := leave(); err != nil {
		t.Fatal(err)
	}
}

// waitFor is soon with more time, for a busy machine.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// weight is the memory, processor time and speed of a process on a store.
type weight struct {
	rss, anon   int           // KiB: all of it, and without what is mapped from files
	cpu         time.Duration // while it was watched
	listens     time.Duration // from start until it listens
	call, claim []time.Duration
}

func (w weight) String() string {
	return fmt.Sprintf("RSS %.1f MiB (%.1f without mapped files), processor %s in %s; it listens after %s; a plan p50 %s p99 %s, a timer that comes p50 %s p99 %s late",
		float64(w.rss)/1024, float64(w.anon)/1024, w.cpu, watched, w.listens.Round(time.Millisecond),
		percentile(w.call, 50), percentile(w.call, 99), percentile(w.claim, 50), percentile(w.claim, 99))
}

func percentile(all []time.Duration, p int) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)*p/100, len(all)-1)].Round(10 * time.Microsecond)
}

// weigh starts the program on a store and measures it.
func weigh(t *testing.T, setting string, full bool) (w weight) {
	t.Helper()
	began := time.Now()
	s := serve(t, "store: "+strconv.Quote(setting)+"\n")
	w.listens = time.Since(began)
	s.queue(t)
	calls := 20
	if full {
		calls = 300
		time.Sleep(35 * time.Second) // until the memory of the start is released: the store sweeps each 30 s
		before := s.processor(t)
		time.Sleep(watched)
		w.cpu = s.processor(t) - before
	}
	w.rss, w.anon = s.memory(t, "VmRSS:"), s.memory(t, "RssAnon:")
	for range calls {
		w.call = append(w.call, s.took(t, `{"plan":"v1","nodes":[{"id":"n","set":1}]}`))
	}
	// An execution with a timer over a second is not kept in memory and is claimed again.
	const timer = 1500 * time.Millisecond
	var group sync.WaitGroup
	var mu sync.Mutex
	for range calls {
		group.Go(func() {
			e := s.run(t, `{"plan":"v1","nodes":[{"id":"n","wait":"1500ms"}]}`)
			mu.Lock()
			defer mu.Unlock()
			w.claim = append(w.claim, e.FinishedAt.Sub(*e.StartedAt)-timer)
		})
	}
	group.Wait()
	return w
}

// run executes a plan to its end.
func (s *served) run(t *testing.T, plan string) (e schemas.Execution) {
	out, err := s.tool(context.Background(), "execute_plan", map[string]any{"execution_plan": plan})
	if err == nil {
		err = json.Unmarshal(out, &e)
	}
	if err != nil || e.Status != schemas.StatusSucceeded {
		t.Errorf("%v %s", err, e.Status)
	}
	return e
}

func (s *served) took(t *testing.T, plan string) time.Duration {
	t.Helper()
	began := time.Now()
	s.run(t, plan)
	return time.Since(began)
}

func (s *served) queue(t *testing.T) (q schemas.QueueStatus) {
	t.Helper()
	out, err := s.tool(t.Context(), "get_queue_status", map[string]any{})
	if err == nil {
		err = json.Unmarshal(out, &q)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// memory is a line of the process's status, in KiB.
func (s *served) memory(t *testing.T, line string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), line)
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// processor is the processor time of the process so far; Linux counts in hundredths of a second.
func (s *served) processor(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/runplane/runplane/schemas"
)

const (
	hostileMemory = 512 << 20        // of the program and its realms
	hostileCPU    = 2 * time.Second  // processor time of one evaluation, and of one check of a plan
	hostileSlack  = 5                // times hostileCPU is allowed where the number of plans is not given: that machine may be slow or busy
	hostileTree   = 60 * time.Second // processor time of one plan and all below it
)

// TestHostile gives the built program plans that are made to kill, hang or poison it: alone, several together, and with SIGKILL while
// they run, after which the program starts again on the same store. It has 512 MiB. It may not die, every store must open and let all
// its executions be cancelled, no evaluation may take more than 2 s of processor time, and every refusal must have a code and name
// the limit. RUNPLANE_HOSTILE is the number of plans; RUNPLANE_HOSTILE_SEED repeats a run, with RUNPLANE_HOSTILE_ONLY one plan of it, and
// RUNPLANE_HOSTILE_KIND, a regular expression, takes some kinds of plans alone.
func TestHostile(t *testing.T) {
	plans, seed, cpu := 120, uint64(1), hostileSlack*hostileCPU
	if s := os.Getenv("RUNPLANE_HOSTILE"); s != "" {
		plans, seed, cpu = must[int](t)(strconv.Atoi(s)), uint64(time.Now().UnixNano()), hostileCPU
	}
	if s := os.Getenv("RUNPLANE_HOSTILE_SEED"); s != "" {
		seed = must[uint64](t)(strconv.ParseUint(s, 10, 64))
	}
	t.Logf("RUNPLANE_HOSTILE_SEED=%d", seed)
	only := must[*regexp.Regexp](t)(regexp.Compile(os.Getenv("RUNPLANE_HOSTILE_KIND")))
	w := &hostileWorld{t: t, only: only, Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed, box: newBox(t, hostileMemory), cpu: cpu, kinds: map[string]*hostileCount{}}
	w.liar = startUpstream(t, "liar", "-http", "127.0.0.1:0", "-hostile")
	w.fresh()
	if s := os.Getenv("RUNPLANE_HOSTILE_ONLY"); s != "" {
		w.alone(makePlan(seed, must[int](t)(strconv.Atoi(s))))
		w.crash()
	} else {
		w.run(plans)
	}
	w.report()
}

// hostileWorld is the program on its present store, and what became of the plans.
type hostileWorld struct {
	*rand.Rand
	t    *testing.T
	seed uint64
	only *regexp.Regexp // kinds of plans
	box  *box
	cpu  time.Duration // of one evaluation, and of one check of a plan, at most
	liar *upstream
	dir  string // of the store
	life *life

	mu                    sync.Mutex
	kinds                 map[string]*hostileCount
	starts, stores, wide  int
	deaths, slow, damaged int
	blamed                int
	problems              []string
}

// hostileCount is what became of the plans of a kind.
type hostileCount struct {
	plans, refused, ended, cancelled int
	cpu                              time.Duration
	codes                            map[schemas.Code]int
}

const hostileConfig = `
store: "file:store"
log: {level: error}
limits: {start_timeout: 5s}
mcpServers:
  shop: {command: shop, args: [-ledger, ledger]}
  liar: {url: %s/mcp}
policies: {realms: {liar: {effect: read, breaker: {failures: 0}}}}
`

// problem records what may not happen, with the plans that were in work.
func (w *hostileWorld) problem(what string, plans ...*hostilePlan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprint(&b, what)
	for _, p := range plans {
		fmt.Fprintf(&b, "\n  plan %d (%s%s): %s", p.number, p.kind, p.mutation, p.brief())
	}
	w.problems = append(w.problems, b.String())
	w.t.Error(b.String())
}

// fresh starts the program on a new store.
func (w *hostileWorld) fresh() {
	if w.dir != "" {
		_ = os.RemoveAll(w.dir) // the test's folder goes at its end anyhow
	}
	w.dir = filepath.Join(w.t.TempDir(), "w")
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	write(w.t, filepath.Join(w.dir, "runplane.yaml"), fmt.Sprintf(hostileConfig, w.liar.url))
	w.stores++
	if err := w.open(); err != nil {
		w.t.Fatalf("it does not start on a new store: %v\n%s", err, w.life.log)
	}
}

// open starts the program on the present store and waits until its realms are known.
func (w *hostileWorld) open() (err error) {
	w.starts++
	if w.life, err = begin(w.t, w.box, w.dir); err != nil {
		return err
	}
	for _, realm := range []string{"shop", "liar"} {
		if err := w.life.tool("resolve_capability", object{"realm": realm, "capability_name": "echo"}, nil); err != nil {
			return fmt.Errorf("realm %s: %w", realm, err)
		}
	}
	return nil
}

// run makes plans in lives of some dozens, each of which ends with SIGKILL.
func (w *hostileWorld) run(plans int) {
	for n := 0; n < plans && len(w.problems) < 20; {
		take := func(most int) (some []*hostilePlan) {
			for ; n < plans && len(some) < most; n++ {
				if p := makePlan(w.seed, n); w.only.MatchString(p.kind) {
					some = append(some, p)
				}
			}
			return some
		}
		for range 1 + w.IntN(3) {
			for _, p := range take(10 + w.IntN(20)) {
				w.alone(p)
			}
			w.together(take(6), true)
		}
		w.together(take(6), false)
		time.Sleep(time.Duration(w.IntN(800)) * time.Millisecond)
		w.crash(take(0)...)
		if w.starts%6 == 0 {
			w.life.kill()
			w.fresh()
		}
	}
}

// alone runs one plan and measures it.
func (w *hostileWorld) alone(p *hostilePlan) {
	took := w.measured(func() { w.submit(p) })
	w.mu.Lock()
	w.count(p).cpu = max(w.count(p).cpu, took)
	w.mu.Unlock()
	if took > w.cpu {
		w.expensive(p, took)
	}
}

// measured is the processor time that the program spends while f runs.
func (w *hostileWorld) measured(f func()) time.Duration {
	of := w.life
	before := processorOf(of.cmd.Process.Pid)
	f()
	if w.life != of {
		return 0 // it has died, which is worse
	}
	return processorOf(of.cmd.Process.Pid) - before
}

// expensive finds out whether a plan took its time for one evaluation, for the check, or for many evaluations.
func (w *hostileWorld) expensive(p *hostilePlan, took time.Duration) {
	if took > hostileTree {
		w.problem(fmt.Sprintf("it took %s of processor time in all", took), p)
	}
	if source := p.source; source != nil {
		if check := w.measured(func() { w.judge(p, w.life.tool("validate_plan", object{"execution_plan": source}, nil)) }); check > w.cpu {
			w.slow++
			w.problem(fmt.Sprintf("its check takes %s of processor time", check), p)
		}
	}
	for _, e := range p.expressions() {
		single := &hostilePlan{number: p.number, kind: p.kind, mutation: " reduced to one expression", source: object{
			"plan": "v1", "inputs": p.inputs(), "nodes": []any{object{"id": "a", "for_each": []int{1}, "set": e}},
		}}
		slow := func(p *hostilePlan) bool { return w.measured(func() { w.work(p, false, w.life) }) > w.cpu }
		if slow(single) {
			w.slow++
			w.problem(fmt.Sprintf("one evaluation takes more than %s of processor time", w.cpu), smallest(single, slow))
			return
		}
	}
	w.wide++
}

// together submits plans at once. Either it waits for them and cancels what does not end, or it leaves them running.
func (w *hostileWorld) together(plans []*hostilePlan, wait bool) {
	var group sync.WaitGroup
	of := w.life
	for _, p := range plans {
		if !wait {
			_ = w.start(p) // the crash that follows shows what became of it
			continue
		}
		group.Go(func() { w.work(p, true, of) })
	}
	if wait {
		if err := of.tool("check_health", object{}, nil); err != nil {
			w.problem(fmt.Sprintf("health, while plans run together: %v", err), plans...)
		}
	}
	group.Wait()
	w.alive(plans...)
}

// crash ends the program with SIGKILL and starts it again; everything that is open must be cancelled.
func (w *hostileWorld) crash(plans ...*hostilePlan) {
	w.life.kill()
	w.reopen(plans...)
}

func (w *hostileWorld) reopen(plans ...*hostilePlan) {
	err := w.open()
	if err == nil {
		err = w.cancelAll()
	}
	if err == nil {
		return
	}
	w.damaged++
	w.problem(fmt.Sprintf("after a start on the same store: %v\n%s", err, w.ending()), plans...)
	w.life.kill()
	w.fresh()
}

// cancelAll cancels every execution that has not ended until there is none.
func (w *hostileWorld) cancelAll() error {
	for end := time.Now().Add(hostilePatience); ; time.Sleep(20 * time.Millisecond) {
		open := 0
		for _, status := range []schemas.Status{schemas.StatusPending, schemas.StatusRunning, schemas.StatusSuspending, schemas.StatusSuspended, schemas.StatusCancelling, schemas.StatusCompensating} {
			var list schemas.ExecutionList
			if err := w.life.tool("list_executions", object{"status": status, "limit": 100}, &list); err != nil {
				return fmt.Errorf("list_executions: %w", err)
			}
			open += len(list.Executions)
			for _, e := range list.Executions {
				err := w.life.tool("cancel_execution", object{"execution_id": e.ExecutionID, "grace_seconds": 0}, nil)
				if c := schemas.AsError(err); err != nil && (c == nil || c.Code != schemas.CodeAlreadyFinished && c.Code != schemas.CodeConflict) {
					return fmt.Errorf("cancel_execution: %w", err)
				}
			}
		}
		if open == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d executions or more are not cancelled after %s", open, hostilePatience)
		}
	}
}

// alive starts the program again if it has died.
func (w *hostileWorld) alive(plans ...*hostilePlan) {
	select {
	case <-w.life.ended:
	default:
		if lines := w.life.garbled(); len(lines) > 0 {
			w.problem(fmt.Sprintf("a strict client cannot read: %s", lines), plans...)
		}
		return
	}
	w.deaths++
	w.problem("it has died: "+w.ending(), plans...)
	w.reopen(plans...)
	w.blame(plans)
}

// ending is how the present life ended, if it has.
func (w *hostileWorld) ending() string {
	log := w.life.log.String()
	killed, _ := w.box.killed() // it was read before
	return fmt.Sprintf("%v; %d processes were killed for their memory so far; the end of its log: %s", w.life.cmd.ProcessState, killed, log[max(0, len(log)-3000):])
}

// count is the count of a plan's kind; the caller holds mu.
func (w *hostileWorld) count(p *hostilePlan) *hostileCount {
	if w.kinds[p.kind] == nil {
		w.kinds[p.kind] = &hostileCount{codes: map[schemas.Code]int{}}
	}
	return w.kinds[p.kind]
}

func (w *hostileWorld) report() {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "kind\tplans\trefused\tended\tcancelled\tmost CPU\tcodes")
	for _, name := range slices.Sorted(maps.Keys(w.kinds)) {
		c := w.kinds[name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%v\n", name, c.plans, c.refused, c.ended, c.cancelled, c.cpu, c.codes)
	}
	_ = table.Flush() // into memory
	killed, err := w.box.killed()
	if cmp.Or(killed, w.deaths) > 0 || err != nil {
		w.t.Errorf("%d deaths, %d processes killed for their memory: %v", w.deaths, killed, err)
	}
	w.t.Logf("%d starts on %d stores, %d deaths, %d stores that did not open, %d evaluations or checks over %s, %d plans of many evaluations above that; at most %d MiB of %d\n%s",
		w.starts, w.stores, w.deaths, w.damaged, w.slow, w.cpu, w.wide, w.box.most(), hostileMemory>>20, &b)
}

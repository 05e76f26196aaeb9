package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// slowPlan makes charges that go on after their timeout of a second, and asks whether they happened.
const slowPlan = `
plan: v1
name: slow
idempotency_key: the-one
defaults: {timeout: 1s, retry: {max_attempts: 3, initial_interval: 10ms}}
nodes:
  - id: a
    capability: slow.charge
    inputs: {order: a, ms: %d}
    on_unknown: {verify: {capability: slow.find_charges, inputs: {order: a}, happened: "${size(output.items) > 0}"}}
  - id: b
    capability: slow.charge
    inputs: {order: b, ms: %d}
    on_unknown: {verify: {capability: slow.find_charges, inputs: {order: b}, happened: "${size(output.items) > 0}"}}
  - {id: c, capability: slow.charge, inputs: {order: c, ms: %d}, on_unknown: retry, depends_on: [a]}
`

// slowSettle is the settle of these tests: no charge takes longer than this and its timeout.
const slowSettle = 6 * time.Second

// TestKillWithASlowRealm ends the real program with SIGKILL while calls run that take longer than their timeout, at a realm that goes on
// with them, or ends with the program, and starts it again. The realm's ledger shows each effect once.
func TestKillWithASlowRealm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var killed atomic.Int64
	t.Run("rounds", func(t *testing.T) {
		for _, kind := range []string{"http", "sse", "stdio", "http", "http", "stdio"} {
			after := time.Duration(200+random.IntN(4000)) * time.Millisecond
			ms := []any{random.IntN(3300), 1100 + random.IntN(2200), random.IntN(800)}
			t.Run(fmt.Sprintf("%s after %s", kind, after), func(t *testing.T) {
				t.Parallel()
				if slowRound(t, kind, after, fmt.Sprintf(slowPlan, ms...)) {
					killed.Add(1)
				}
			})
		}
	})
	if killed.Load() == 0 {
		t.Error("no round killed the program while it ran")
	}
}

func slowRound(t *testing.T, kind string, after time.Duration, plan string) (killed bool) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ledger")
	realm := fmt.Sprintf("{command: %q, args: [-ledger, %q]}", filepath.Join(bin, "slow"), file)
	if kind != "stdio" {
		path := map[string]string{"http": "/mcp", "sse": "/sse"}[kind]
		realm = fmt.Sprintf("{type: %s, url: %q}", kind, startUpstream(t, "slow", "-ledger", file, "-http", "127.0.0.1:0").url+path)
	}
	write(t, filepath.Join(dir, "plan.yaml"), plan)
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
		"mcpServers: {slow: %s}\npolicies: {realms: {slow: {settle: %s}}}\nstore: \"file:store\"\n", realm, slowSettle))

	first, _ := program(dir)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = first.Process.Kill() }) // it may have ended by itself
	killed = first.Wait() != nil
	timer.Stop()
	second, secondErr := program(dir)
	out, err := second.Output()
	var e schemas.Execution
	if json.Unmarshal(out, &e) != nil || e.Status != schemas.StatusSucceeded {
		t.Fatalf("second life: %v %s\n%s\n%s", err, e.Status, out, secondErr)
	}
	time.Sleep(slowSettle) // whatever still runs takes effect
	effects, running := map[string]int{}, map[string]int{}
	for _, line := range lines(t, file) {
		var c struct {
			Effect string
			Inputs struct{ Order string }
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("ledger: %v: %s", err, line)
		}
		if order := c.Inputs.Order; c.Effect == "once" {
			effects[order]++
			running[order]--
		} else if running[order]++; running[order] > 1 && kind != "stdio" { // there it ends with the program
			t.Errorf("%s is called while its last call runs", order)
		}
	}
	if effects["a"] != 1 || effects["b"] != 1 || effects["c"] == 0 { // the plan repeats c though it may have happened
		t.Errorf("effects %v\n%s", effects, strings.Join(lines(t, file), "\n"))
	}
	return killed
}

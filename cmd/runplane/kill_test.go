package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// killPlan has every effect, in a chain and in parallel; each call lasts as long as the shop's -delay.
const killPlan = `
plan: v1
name: kill
idempotency_key: the-one
nodes:
  - {id: order, capability: shop.get_order, inputs: {id: A-17}}
  - {id: reserve, capability: shop.reserve, inputs: {sku: "${nodes.order.output.items[0].sku}", qty: 1}}
  - {id: refund, capability: shop.refund, inputs: {order: A-17, cents: "${nodes.order.output.total_cents}"}, depends_on: [reserve]}
  - {id: mail1, capability: shop.send_mail, inputs: {to: a, text: "${nodes.refund.output.id}"}}
  - {id: mail2, capability: shop.send_mail, inputs: {to: b, text: "${nodes.mail1.output.to}"}}
  - {id: side1, capability: shop.charge, inputs: {order: A-2, cents: 1}}
  - {id: side2, capability: shop.charge, inputs: {order: A-3, cents: 2}, depends_on: [side1]}
  - {id: check, capability: shop.find_refund, inputs: {order: A-17}, depends_on: [mail2, side2]}
`

// killRepeatPlan polls, reads all pages and has an effect in each round, once or with a key.
const killRepeatPlan = `
plan: v1
name: kill
idempotency_key: the-one
nodes:
  - {id: poll, capability: shop.get_order, inputs: {id: A-17}, repeat: {until: "${index == 3}", every: 40ms}}
  - id: pages
    capability: shop.list_orders
    inputs: {limit: 10, cursor: "${previous == null ? null : previous.next_cursor}"}
    repeat: {until: "${!has(output.next_cursor)}", collect: "${output.orders.map(o, o.id)}"}
  - {id: stock, capability: shop.reserve, inputs: {sku: "s${index}", qty: 1}, repeat: {until: "${index == 3}", every: 20ms, collect: "${output.sku}"}}
  - {id: mails, capability: shop.send_mail, inputs: {to: "m${index}", text: x}, repeat: {until: "${index == 3}", collect: "${output.to}", once: true}}
  - id: charges
    capability: shop.charge
    inputs: {order: "A-${index + 1}", cents: "${size(nodes.pages.output)}"}
    depends_on: [poll]
    repeat: {until: "${index == 3}", every: 30ms, collect: "${output.order}", once: true}
output: "${nodes.poll.output.id} ${size(nodes.pages.output.distinct())} ${nodes.stock.output} ${nodes.mails.output} ${nodes.charges.output}"
`

// killRepeatOutput is what it gives, whenever it was killed.
const killRepeatOutput = `"A-17 40 [\"s0\",\"s1\",\"s2\",\"s3\"] [\"m0\",\"m1\",\"m2\",\"m3\"] [\"A-1\",\"A-2\",\"A-3\",\"A-4\"]"`

// killing is one way to be killed: a plan on a store, some time after it was started, and again after each start that follows.
type killing struct {
	plan, store string
	after       []time.Duration
}

var executionLine = regexp.MustCompile(`(?m)^execution (\S+)`)

// TestKill ends the real program with SIGKILL at random points of a plan, starts it again and asserts: acknowledged executions continue
// under the same id, reads and idempotent calls run again, and no once call happens twice. A third of the rounds kill a plan that repeats
// its calls, in a round or between two, and a third do so twice on Redis. RUNPLANE_KILL_ROUNDS is the number of rounds.
func TestKill(t *testing.T) {
	rounds := 30
	if s := os.Getenv("RUNPLANE_KILL_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var killed, held, repeated atomic.Int64
	t.Run("rounds", func(t *testing.T) {
		for round := range rounds {
			after := func() time.Duration { return time.Duration(random.IntN(1100)) * time.Millisecond }
			how := []killing{
				{killPlan, "file", []time.Duration{after()}}, {killRepeatPlan, "file", []time.Duration{after()}}, {killRepeatPlan, "redis", []time.Duration{after(), after()}},
			}[round%3]
			t.Run(fmt.Sprintf("%d %s after %s", round, how.store, how.after), func(t *testing.T) {
				t.Parallel()
				r := killRound(t, how)
				if r.killed {
					killed.Add(1)
				}
				held.Add(int64(r.held))
				repeated.Add(int64(r.repeated))
			})
		}
	})
	t.Logf("%d rounds: killed %d, once calls held %d, reads and idempotent calls repeated %d", rounds, killed.Load(), held.Load(), repeated.Load())
	if killed.Load() == 0 {
		t.Error("no round killed the program while it ran")
	}
}

type killResult struct {
	killed         bool
	held, repeated int
}

func killRound(t *testing.T, how killing) (r killResult) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	store := "file:store"
	if how.store == "redis" {
		store = redistest.Standalone(t).URL()
	}
	write(t, filepath.Join(dir, "plan.yaml"), how.plan)
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
		"mcpServers: {shop: {command: %q, args: [-ledger, %q, -delay, 60ms]}}\nstore: %q\nlimits: {lease: 1s}\n", filepath.Join(bin, "shop"), ledger, store))

	var acknowledged []string
	for _, after := range how.after {
		life, stderr := program(dir)
		if err := life.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { _ = life.Process.Kill() }) // it may have ended by itself
		r.killed = life.Wait() != nil || r.killed
		timer.Stop()
		if acknowledged == nil {
			acknowledged = executionLine.FindStringSubmatch(stderr.String())
		}
	}
	last, lastErr := program(dir)
	out, err := last.Output()
	var e schemas.Execution
	if json.Unmarshal(out, &e) != nil {
		t.Fatalf("last life: %v\n%s\n%s", err, out, lastErr)
	}
	if acknowledged != nil && acknowledged[1] != e.ExecutionID {
		t.Errorf("execution %s was acknowledged and is lost; now there is %s", acknowledged[1], e.ExecutionID)
	}
	calls, effects := map[string]int{}, map[string]int{}
	for _, line := range lines(t, ledger) {
		var c struct {
			Tool, Effect, Key string
			Inputs            json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("ledger: %v: %s", err, line)
		}
		calls[c.Key]++
		effects[c.Tool+string(c.Inputs)]++
		if c.Effect == "once" && max(calls[c.Key], effects[c.Tool+string(c.Inputs)]) > 1 {
			t.Errorf("%s (%s %s) happened %d times", c.Key, c.Tool, c.Inputs, calls[c.Key])
		}
		if calls[c.Key] > 1 {
			r.repeated++
		}
	}
	for _, w := range e.WaitingFor {
		if w.Reason != schemas.ReasonUnknown {
			t.Errorf("%s waits for %s", w.NodeID, w.Reason)
		}
		r.held++
	}
	switch {
	case e.Status == schemas.StatusSucceeded:
		for _, n := range e.Nodes {
			key := e.ExecutionID + "/" + n.ID
			for round := range n.Rounds {
				if calls[fmt.Sprintf("%s/round/%d", key, round)] == 0 {
					t.Errorf("round %d of %s succeeded and never happened", round, n.ID)
				}
			}
			if n.Rounds == 0 && calls[key] == 0 {
				t.Errorf("%s succeeded and never happened", n.ID)
			}
		}
		if how.plan == killRepeatPlan && string(e.Output) != killRepeatOutput {
			t.Errorf("its rounds gave %s, want %s", e.Output, killRepeatOutput)
		}
	case e.Status == schemas.StatusSuspended && r.held > 0:
	default:
		t.Errorf("the execution is %s: %s\n%s", e.Status, out, lastErr)
	}
	return r
}

// A second process on the same store gets an error that names the holder and says what to do, and disturbs nothing.
func TestSecondProcessOnAStore(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plan.yaml"), "plan: v1\nnodes: [{id: w, wait: 1h}]\n")
	write(t, filepath.Join(dir, "runplane.yaml"), "store: \"file:store\"\n")
	first, _ := program(dir)
	first.Stderr = nil
	output, err := first.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = first.Process.Signal(syscall.SIGTERM) // it waits for an hour
		_ = first.Wait()
	}()
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || !executionLine.MatchString(line) {
		t.Fatalf("%q %v", line, err)
	}
	second, stderr := program(dir)
	if err := second.Run(); err == nil {
		t.Error("the second process runs on the same store")
	}
	for _, want := range []string{strconv.Itoa(first.Process.Pid), "--store"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the error does not say %q:\n%s", want, stderr)
		}
	}
}

// program is one run of `runplane run` on the plan in dir.
func program(dir string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(filepath.Join(bin, "runplane"), "run", "--json", "plan.yaml")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		all = append(all, s.Text())
	}
	return all
}

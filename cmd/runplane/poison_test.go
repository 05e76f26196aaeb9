//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// poisonPlace is a store, and what is seen in it from outside.
type poisonPlace struct {
	url      string
	replicas int                    // that take turns; 1: a program is started again
	leased   func(id string) bool   // reports whether an execution is leased
	record   func(id string) []byte // has its head, and perhaps earlier ones
}

var poisonPlaces = map[string]func(t *testing.T) poisonPlace{
	"embedded": func(t *testing.T) poisonPlace {
		dir := t.TempDir()
		read := func(name string) []byte {
			b, _ := os.ReadFile(filepath.Join(dir, name)) // there is none: nothing is leased
			return b
		}
		return poisonPlace{"file:" + dir, 1, func(id string) bool {
			place := sha256.Sum256([]byte("execution\x00" + id))
			return bytes.Contains(read("runplane.leases"), place[:16])
		}, func(string) []byte { return read("runplane.db") }}
	},
	"redis": func(t *testing.T) poisonPlace {
		server := redistest.Standalone(t)
		return poisonPlace{server.URL(), 2, func(id string) bool {
			return server.Do("ZSCORE", "{rp:00}:e:execution", id) != nil
		}, func(id string) []byte {
			return fmt.Append(nil, server.Do("HGET", "{rp:00}:r:execution:"+id, "d"))
		}}
	},
}

// marks returns the processes that have marked an execution as the one that they evaluate.
func (p poisonPlace) marks(id string) (workers []string) {
	for _, m := range regexp.MustCompile(`"execution_id":"`+id+`"[^\x00]*?"evaluating":\{"worker":"(\w+)"`).FindAllSubmatch(p.record(id), -1) {
		workers = append(workers, string(m[1]))
	}
	return workers
}

// The program is killed as soon as an execution has woken from a sleep, before the first commit of its owner, and then each time while it
// evaluates that execution, as if by it. After the second time the execution is held, and nothing that woke beside it is. An operator finds and cancels it.
func TestWhatKillsTheProgramAsItWakesIsHeld(t *testing.T) {
	digits := "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]"
	heavy := `"${` + digits + `.map(a, ` + digits + `.map(b, ` + digits + `.map(c, a * b * c).size()).size()).size()}"`
	for name, place := range poisonPlaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := place(t)
			ledger := filepath.Join(t.TempDir(), "ledger")
			var replicas []*replica
			for i := range at.replicas {
				r := newReplica(t, i, at.url, ledger)
				if replicas = append(replicas, r); i > 0 {
					r.kill()
				}
			}
			a := newAgent(t, replicas[0].address())
			submit := func(nodes string) string {
				var e schemas.Execution
				if err := a.call(&e, "execute_plan", `{"wait_seconds":0,"execution_plan":{"plan":"v1","nodes":[{"id":"w","wait":"4s"},%s]}}`, nodes); err != nil {
					t.Fatal(err)
				}
				return e.ExecutionID
			}
			poison := submit(`{"id":"p","set":[` + strings.Repeat(heavy+",", 30) + `0],"depends_on":["w"]},{"id":"q","set":[` +
				strings.Repeat(heavy+",", 30) + `0],"depends_on":["w"]}`)
			var others []string
			for range 10 {
				others = append(others, submit(`{"id":"o","capability":"shop.get_order","inputs":{"id":"A-17"},"depends_on":["w"]},{"id":"s","set":1,"depends_on":["o"]}`))
			}
			soon(t, "it sleeps", func() bool { return !at.leased(poison) })
			deaths := 0
			status := func(id string) (e schemas.Execution) {
				if err := a.call(&e, "get_execution_status", `{"execution_id":%q}`, id); err != nil {
					t.Fatal(err)
				}
				return e
			}
			var held schemas.Execution
			isHeld := func() bool {
				held = status(poison)
				return len(held.WaitingFor) > 0 && held.WaitingFor[0].Reason == schemas.ReasonRecovery
			}
			live, seen := replicas[0], map[string]bool{}
			soon(t, "it is leased", func() bool { return at.leased(poison) })
			for ; deaths < 5; deaths++ {
				live.kill()
				live = replicas[(deaths+1)%at.replicas]
				live.start()
				a = newAgent(t, live.address())
				marked := false
				soon(t, "it is marked, or held", func() bool {
					for _, worker := range at.marks(poison) {
						marked = marked || !seen[worker]
						seen[worker] = true
					}
					return marked || isHeld()
				})
				if !marked {
					deaths++
					break
				}
			}
			t.Logf("held after %d deaths: %s, %s", deaths, held.Status, held.Reason)
			if deaths != 2 || held.Hint == "" {
				t.Fatalf("after %d deaths it is %+v", deaths, held)
			}
			var health schemas.Health
			if err := a.call(&health, "check_health", `{"scope":"runtime"}`); err != nil || !strings.Contains(fmt.Sprint(health), poison) {
				t.Errorf("check_health: %+v, %v", health, err)
			}
			for _, id := range others {
				soon(t, "the others end", func() bool { return status(id).Status.Terminal() })
				if e := status(id); e.Status != schemas.StatusSucceeded {
					t.Errorf("another one is %s: %v", e.Status, e.Error)
				}
			}
			live.kill() // the embedded store has one user at a time
			held2 := func(args ...string) string {
				t.Helper()
				out, err := exec.Command(filepath.Join(bin, "runplane"), append([]string{"held", "--store", at.url}, args...)...).CombinedOutput()
				if err != nil {
					t.Errorf("held %v: %v\n%s", args, err, out)
				}
				return string(out)
			}
			if out := held2(); !strings.Contains(out, poison) || !strings.Contains(out, "held cancel") {
				t.Errorf("held prints %s", out)
			}
			held2("cancel", poison)
			if out := held2(); strings.Contains(out, poison) {
				t.Errorf("after cancel, held prints %s", out)
			}
			live.start()
			a = newAgent(t, live.address())
			soon(t, "it is cancelled", func() bool { return status(poison).Status == schemas.StatusCancelled })
		})
	}
}

//go:build unix

package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis/redistest"
)

// TestAScheduleOutlivesItsReplicas: three programs share a Redis and one schedule. Each in turn, and so also the one that handles the
// schedule, is killed and started again. Every firing is one execution, and nothing is missing between them.
func TestAScheduleOutlivesItsReplicas(t *testing.T) {
	url := redistest.Standalone(t).URL()
	ledger := filepath.Join(t.TempDir(), "ledger")
	var replicas []*replica
	for n := range 3 {
		replicas = append(replicas, newReplica(t, n, url, ledger))
	}
	ask := func(i int) *agent { return newAgent(t, replicas[i].address()) }
	var made schemas.WorkflowRef
	if err := ask(0).call(&made, "create_workflow", `{"name":"tick","definition":{"plan":"v1","nodes":[{"id":"a","set":1}]},"schedule":{"every":"1s","overlap":"allow"}}`); err != nil {
		t.Fatal(err)
	}
	fired := func(a *agent) (at []time.Time) {
		for cursor := ""; ; {
			var page schemas.ExecutionList
			if err := a.call(&page, "list_executions", `{"workflow":"tick","limit":100,"cursor":%q}`, cursor); err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Executions {
				at = append(at, *e.ScheduledAt)
			}
			if cursor = page.NextCursor; cursor == "" {
				slices.SortFunc(at, time.Time.Compare)
				return at
			}
		}
	}
	for round := range 6 {
		dies, lives := replicas[round%3], ask((round+1)%3)
		before := len(fired(lives))
		soon(t, "it fires", func() bool { return len(fired(lives)) >= before+2 })
		dies.kill()
		before = len(fired(lives))
		soon(t, "it fires without the one that was killed", func() bool { return len(fired(lives)) >= before+2 })
		dies.start()
	}
	for i, at := range fired(ask(0)) {
		if want := made.NextFiring.Add(time.Duration(i) * time.Second); !at.Equal(want) {
			t.Fatalf("execution %d is of the firing at %s, want %s", i, at, want)
		}
	}
	var st schemas.WorkflowStatus
	if err := ask(1).call(&st, "get_workflow_status", `{"workflow_id":"tick"}`); err != nil || len(st.Schedule.Last) == 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	for _, f := range st.Schedule.Last {
		if f.Outcome != schemas.FiringExecuted {
			t.Errorf("%+v", f)
		}
	}
}

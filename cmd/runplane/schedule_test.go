package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// TestANightlyWorkflow: a workflow with inputs, versions and a schedule. The agent reads its next firing, corrects an invalid
// expression by the error, and then has it executed each second for a while, across a restart.
func TestANightlyWorkflow(t *testing.T) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
		"mcpServers: {shop: {command: %q, args: [-ledger, %q]}}\nstore: \"file:store\"\n", filepath.Join(bin, "shop"), ledger))
	url, stop := serveHTTP(t, dir)
	a := newAgent(t, url)
	create := func(out any, cents int, schedule string) *schemas.Error {
		return a.call(out, "create_workflow", `{"name":"nightly","input_schema":{"type":"object","properties":{"order":{"type":"string"}},"required":["order"]},"definition":{"plan":"v1","inputs":{"order":"A-1"},
			"nodes":[{"id":"pay","capability":"shop.refund","inputs":{"order":"${inputs.order}","cents":%d}}],"output":{"order":"${inputs.order}","cents":%d}},"schedule":%s}`, cents, cents, schedule)
	}
	if err := create(nil, 1, `{"cron":"0 27 * * *","timezone":"Europe/Berlin"}`); err == nil || err.Field != "/schedule/cron" || !strings.Contains(err.Message, "hour (field 2)") || !strings.Contains(err.Hint, "0-23") {
		t.Errorf("a wrong hour: %v", err)
	}
	var made schemas.WorkflowRef
	if err := create(&made, 1, `{"cron":"0 3 * * *","timezone":"Europe/Berlin","inputs":{"order":"A-2"}}`); err != nil {
		t.Fatal(err)
	}
	berlin, loadErr := time.LoadLocation("Europe/Berlin")
	if loadErr != nil {
		t.Fatal(loadErr)
	}
	if made.Version != 1 || made.NextFiring == nil || made.NextFiring.In(berlin).Format(time.TimeOnly) != "03:00:00" || time.Until(*made.NextFiring) > 25*time.Hour {
		t.Errorf("%+v", made)
	}
	if err := create(nil, 1, `{"every":"1s","inputs":{"order":7}}`); err == nil || err.Field != "/schedule/inputs/order" {
		t.Errorf("inputs that the schema refuses: %v", err)
	}
	if err := create(&made, 1, `{"every":"1s","inputs":{"order":"A-2"},"catch_up":0}`); err != nil || made.Version != 1 {
		t.Fatal(made, err)
	}
	var st schemas.WorkflowStatus
	succeeded := func(version string) (n int) {
		if err := a.call(&st, "get_workflow_status", `{"workflow_id":"nightly"}`); err != nil {
			t.Fatal(err)
		}
		var page schemas.ExecutionList
		if err := a.call(&page, "list_executions", `{"workflow":"nightly","status":"succeeded","limit":100}`); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Executions {
			if e.ScheduledAt != nil && e.Workflow == version {
				n++
			}
		}
		return n
	}
	soon(t, "the first version is executed", func() bool { return succeeded("nightly@1") >= 2 })
	stop()
	url, _ = serveHTTP(t, dir)
	a = newAgent(t, url)
	if err := create(&made, 2, `{"every":"1s","inputs":{"order":"A-2"},"catch_up":0}`); err != nil || made.Version != 2 {
		t.Fatal(made, err)
	}
	soon(t, "the second version is executed", func() bool { return succeeded("nightly@2") >= 2 })
	var paused schemas.WorkflowInfo
	if err := a.call(&paused, "pause_schedule", `{"workflow_id":"nightly"}`); err != nil || !paused.Schedule.Paused || paused.NextFiring != nil {
		t.Errorf("%+v, %v", paused, err)
	}
	soon(t, "what was begun ends", func() bool {
		succeeded("nightly@2")
		return st.Executions[schemas.StatusSucceeded] == len(lines(t, ledger))
	})
	seen := map[time.Time]bool{}
	for _, f := range st.Schedule.Last {
		if f.Outcome == schemas.FiringExecuted && seen[f.At] {
			t.Errorf("twice at %s", f.At)
		}
		seen[f.At] = true
	}
	if len(seen) < 4 || len(st.Versions) != 2 || string(st.Schedule.Inputs) != `{"order":"A-2"}` {
		t.Errorf("%+v", st)
	}
	if err := a.call(&paused, "resume_schedule", `{"workflow_id":"nightly"}`); err != nil || paused.NextFiring == nil {
		t.Errorf("%+v, %v", paused, err)
	}
	if err := a.call(nil, "delete_workflow", `{"workflow_id":"nightly"}`); err != nil {
		t.Error(err)
	}
	var list schemas.WorkflowList
	if err := a.call(&list, "list_workflows", `{"scheduled":true}`); err != nil || len(list.Workflows) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

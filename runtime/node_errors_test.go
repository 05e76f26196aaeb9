package runtime

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What failed of a list is read by later nodes, by the fallback of an item, and by a rerun that takes the list over.
func TestErrorsOfANode(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[
			{"id":"m","for_each":[1,0,1,0],"capability":"r.read","inputs":{"id":"i${index}","fail":"${item * 9}"},"on_error":"continue"},
			{"id":"f","for_each":[1,0],"capability":"r.read","inputs":{"fail":"${item * 9}"},"fallback":[{"capability":"r.read","inputs":{"give":"${nodes.f.errors}"}}]},
			{"id":"one","capability":"r.read","inputs":{"fail":9,"code":"denied"},"on_error":"continue"},
			{"id":"x","trigger_rule":"all_done","set":{"m":"${nodes.m.errors.map(e, e.index)}","code":"${nodes.m.errors[1].code}","one":"${nodes.one.errors[0].code}",
				"none":"${nodes.f.errors}","f":"${nodes.f.output[0]}"}}],"output":"${nodes.x.output}"}`)
		const output = `{"m":[0,2],"code":"tool_error","one":"denied","none":[],"f":[{"index":0,"code":"tool_error","message":"fails"}]}`
		e := p.rest(t, id)
		var got struct{ F []schemas.UnitError }
		if err := json.Unmarshal(e.Output, &got); err != nil || len(got.F) != 1 || got.F[0].Message == "" {
			t.Fatalf("got %s, %v", e.Output, e.Error)
		}
		want(t, e, schemas.StatusSucceeded, strings.Replace(output, "fails", got.F[0].Message, 1), "")

		again, err := p.Executions.Rerun(t.Context(), id, "x")
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, again.ExecutionID), schemas.StatusSucceeded, string(e.Output), "m=succeeded f=succeeded one=failed x=succeeded")
	})
}

// Ten thousand errors are still a list that an expression can read: their messages are shorter.
func TestErrorsAreBounded(t *testing.T) {
	for _, n := range []int{1, 10_000} {
		list := make([]schemas.UnitError, n)
		for i := range list {
			list[i] = schemas.NewUnitError(i, schemas.Errorf(schemas.CodeToolError, "%s", strings.Repeat("long ", 1000)))
		}
		raw, err := json.Marshal(schemas.ShortenErrors(list, 512<<10))
		if err != nil || len(raw) > 1<<20 {
			t.Errorf("%d errors have %d bytes", n, len(raw))
		}
		if !strings.Contains(string(raw), fmt.Sprintf(`"index":%d`, n-1)) {
			t.Errorf("the last of %d errors is missing", n)
		}
	}
}

// A resume without a patch that would suspend the execution again at once is refused, and says what is needed; one that has more to do is not.
func TestResumeThatCannotHelpIsRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		id := p.submit(t, `{"plan":"v1","nodes":[{"id":"f","capability":"r.read","inputs":{"fail":9},"retry":{"max_attempts":1},"on_error":"suspend"},{"id":"after","set":1,"depends_on":["f"]}]}`)
		time.Sleep(time.Minute)
		_, err := p.Executions.Resume(t.Context(), id, nil)
		if e := schemas.AsError(err); code(e) != schemas.CodeConflict || !strings.Contains(e.Message, `node "f" (error)`) || !strings.Contains(e.Hint, "patch") {
			t.Errorf("%v, %+v", err, e)
		}
		if e, err := p.Executions.Status(t.Context(), id, "", 0, nil); err != nil || e.Status != schemas.StatusSuspended {
			t.Errorf("%s, %v", e.Status, err)
		}
		p.resumeWith(t, id, "f", schemas.NodePatch{Skip: true})

		busy := p.submit(t, `{"plan":"v1","nodes":[{"id":"f","capability":"r.read","inputs":{"fail":9},"retry":{"max_attempts":1},"on_error":"suspend"},{"id":"w","wait":"1h"},{"id":"b","set":1,"depends_on":["w"]}]}`)
		time.Sleep(time.Minute)
		p.suspend(t, busy, "")
		p.resume(t, busy)
	})
}

package runtime

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

func TestPagesOfOneByteLoseNoCharacter(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"n","set":"aé→😀z"}]}`)
		var whole strings.Builder
		for offset, pages := 0, 0; ; pages++ {
			page, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, "n", nil, "", offset, 1)
			if err != nil || pages > 20 {
				t.Fatal(pages, err)
			}
			text, _ := json.Marshal(page.Text) // as it is sent to a client
			var read string
			if err := json.Unmarshal(text, &read); err != nil {
				t.Fatal(err)
			}
			whole.WriteString(read)
			if offset = page.NextOffset; offset == 0 {
				break
			}
		}
		if whole.String() != `"aé→😀z"` {
			t.Errorf("got %s", whole.String())
		}
	})
}

func TestOutputOfAnExecutionThatRunsIsNotNull(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","capability":"r.read","inputs":{"take":"10s"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputNode, nil, "", 0, 0); !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
			t.Errorf("got %s %v", out.Output, err)
		}
		p.rest(t, e.ExecutionID)
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputNode, nil, "", 0, 0); err != nil || string(out.Output) != `{"n":{"id":"n"}}` {
			t.Errorf("got %s %v", out.Output, err)
		}
	})
}

// A retry after a crash has to render the same inputs, so expressions read the creation time of the log. This needs a real clock: in virtual
// time no time passes between submission and first commit.
func TestExpressionsReadTheCreationTimeOfTheLog(t *testing.T) {
	r := replica(t, newWorld(), recordstest.Memory(t))
	r.Queue.SetVacant(true) // so that the submitter owns it
	var got, want []string
	for range 5 {
		e, err := r.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"n","set":"${execution.created_at}"}],"output":"${nodes.n.output}"}`)})
		if err != nil {
			t.Fatal(err)
		}
		if e, err = r.Executions.Status(t.Context(), e.ExecutionID, "", 5*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		text, _ := e.CreatedAt.MarshalJSON()
		got, want = append(got, string(e.Output)), append(want, string(text))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("expressions read %v, the executions show %v", got, want)
	}
}

func TestLargePatchedOutputIsReferenced(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","timeout":"1s","inputs":{"mute":true}},{"id":"b","set":"${size(nodes.a.output)}"}],"output":"${nodes.b.output}"}`)
		want(t, e, schemas.StatusSuspended, "", "a=held b=pending")
		big, _ := json.Marshal(strings.Repeat("x", 3*engine.MaxInline))
		p.resumeWith(t, e.ExecutionID, "a", schemas.NodePatch{Output: big})
		e = p.rest(t, e.ExecutionID)
		want(t, e, schemas.StatusSucceeded, "12288", "a=succeeded b=succeeded")
		time.Sleep(time.Second)
		synctest.Wait()
		entries, err := s.Log(t.Context(), journal.ExecutionKey(e.ExecutionID), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if len(entry.Value) > engine.MaxInline {
				t.Errorf("event %d has %d bytes", entry.Seq, len(entry.Value))
			}
		}
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, "a", nil, "", 0, 0); err != nil || string(out.Output) != string(big) {
			t.Errorf("%d bytes, %v", len(out.Output), err)
		}
	})
}

func TestSignalIsBounded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e, err := p.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(`{"plan":"v1","nodes":[{"id":"w","wait":"1h"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		data := func(n int) schemas.Value { return schemas.Value(`"` + strings.Repeat("x", n-2) + `"`) }
		if _, err := p.Executions.Signal(t.Context(), e.ExecutionID, "s", data(engine.MaxSignalData)); err != nil {
			t.Error(err)
		}
		if _, err := p.Executions.Signal(t.Context(), e.ExecutionID, "s", data(engine.MaxSignalData+1)); !errors.Is(err, &schemas.Error{Code: schemas.CodePayloadTooLarge}) {
			t.Errorf("%v", err)
		}
	})
}

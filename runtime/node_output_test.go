package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
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
			page, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "n", Offset: offset, MaxBytes: 1})
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
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: journal.OutputNode}); !errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
			t.Errorf("got %s %v", out.Output, err)
		}
		p.rest(t, e.ExecutionID)
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: journal.OutputNode}); err != nil || string(out.Output) != `{"n":{"id":"n"}}` {
			t.Errorf("got %s %v", out.Output, err)
		}
	})
}

func TestLargePatchedOutputIsReferenced(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.once","timeout":"1s","inputs":{"mute":true}},{"id":"b","set":"${size(nodes.a.output)}"}],"output":"${nodes.b.output}"}`)
		want(t, e, schemas.StatusSuspended, "", "a=held b=pending")
		big, _ := json.Marshal(strings.Repeat("x", 3*engine.MaxInlineOutput))
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
			if len(entry.Value) > engine.MaxInlineOutput {
				t.Errorf("event %d has %d bytes", entry.Seq, len(entry.Value))
			}
		}
		if out, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "a"}); err != nil || string(out.Output) != string(big) {
			t.Errorf("%d bytes, %v", len(out.Output), err)
		}
	})
}

func TestLargeOutputsAreReferencedAndPaged(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		text := strings.Repeat("é", 40_000)
		raw, _ := json.Marshal(map[string]any{"text": text, "n": []int{1, 2}})
		e := p.execute(t, `{"plan":"v1","nodes":[{"id":"big","capability":"r.read","inputs":{"give":`+string(raw)+`}},
			{"id":"n","set":"${nodes.big.output.n[1]}"},{"id":"copy","capability":"r.read","inputs":{"give":"${nodes.big.output}"}}],"output":"${nodes.copy.output}"}`)
		want(t, e, schemas.StatusSucceeded, "", "")
		if len(e.Output) != 0 || e.OutputRef == nil || e.OutputRef.Bytes != len(raw) {
			t.Errorf("output of %d bytes, ref %+v", len(e.Output), e.OutputRef)
		}
		if n := e.Nodes[0]; len(n.Output) != 0 || n.OutputRef == nil || n.OutputRef.Bytes != len(raw) {
			t.Errorf("node shows %d bytes, ref %+v", len(n.Output), n.OutputRef)
		}
		var whole strings.Builder
		for offset := 0; ; {
			page, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "copy", Offset: offset, MaxBytes: 1001})
			if err != nil {
				t.Fatal(err)
			}
			whole.WriteString(page.Text)
			if offset = page.NextOffset; offset == 0 {
				break
			}
		}
		var got, wanted any
		if json.Unmarshal([]byte(whole.String()), &got) != nil || json.Unmarshal(raw, &wanted) != nil || fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Error("the pages do not add up to the output")
		}
		part, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "big", Pointer: "/n/1"})
		if err != nil || string(part.Output) != "2" {
			t.Errorf("pointer: %s %v", part.Output, err)
		}
		for _, pointer := range []string{"n", "/m", "/n/7", "/n/1/x"} {
			if _, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "big", Pointer: pointer}); !errors.Is(err, &schemas.Error{Code: schemas.CodeInvalidArgument}) {
				t.Errorf("pointer %q: %v", pointer, err)
			}
		}
	})
}

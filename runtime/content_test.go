package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/store/redis/redistest"
	"github.com/runplane/runplane/store/storetest"
)

// picture is the content of an answer that has a text and an image of so many characters.
func picture(text string, size int) string {
	return fmt.Sprintf(`[{"text":%q,"type":"text"},{"data":%q,"mimeType":"image/png","type":"image"}]`, text, strings.Repeat("A", size))
}

// What nodes.x.content is, by what the tool sent: its blocks, its output if that is the list of blocks, or one text.
func TestContentOfEveryAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		answer call.Result
		want   string
	}{
		"a text":                  {call.Result{Output: json.RawMessage(`"taken"`), Text: "taken"}, `[{"type":"text","text":"taken"}]`},
		"JSON in a text":          {call.Result{Output: json.RawMessage(`{"n":1}`), Text: `{"n":1}`}, `[{"type":"text","text":"{\"n\":1}"}]`},
		"a list in a text":        {call.Result{Output: json.RawMessage(`[1]`), Text: `[1]`}, `[{"type":"text","text":"[1]"}]`},
		"a text beside an output": {call.Result{Output: json.RawMessage(`{"n":1}`), Text: "taken"}, `[{"type":"text","text":"taken"}]`},
		"only an output":          {call.Result{Output: json.RawMessage(`{"n":1}`)}, `[{"type":"text","text":"{\"n\":1}"}]`},
		"only blocks":             {call.Result{Output: json.RawMessage(picture("taken", 4)), Text: "taken", Blocks: true}, picture("taken", 4)},
		"blocks beside an output": {call.Result{Output: json.RawMessage(`{"n":1}`), Text: "taken", Content: json.RawMessage(picture("taken", 4))}, picture("taken", 4)},
		"large blocks":            {call.Result{Output: json.RawMessage(`{"n":1}`), Text: "taken", Content: json.RawMessage(picture("taken", 9000))}, picture("taken", 9000)},
		"no blocks":               {call.Result{Output: json.RawMessage(`{"n":1}`), Content: json.RawMessage(`[]`)}, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				d := withAnswer(w, schemas.EffectRead, "", "")
				d.answer["r.t"] = func(context.Context, *call.Call) (*call.Result, error) { r := tt.answer; return &r, nil }
				p := run(w, s, func(c *Config) { c.Realms = d })
				defer p.stop()
				e := p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.t"},{"id":"b","set":"${nodes.a.content}"},{"id":"c","set":"${size(nodes.a.content) == 0 ? '' : nodes.a.content[0].text}"},
					{"id":"w","set":"${[nodes.a].map(n, n.content)[0]}"}],
					"output":["${nodes.b.output}","${nodes.c.output}","${nodes.w.output == nodes.a.content}"]}`)
				first := ""
				var blocks []struct{ Text string }
				if err := json.Unmarshal([]byte(tt.want), &blocks); err != nil {
					t.Fatal(err)
				} else if len(blocks) > 0 {
					first = blocks[0].Text
				}
				quoted, _ := json.Marshal(first)
				want(t, e, schemas.StatusSucceeded, "["+tt.want+","+string(quoted)+",true]", "")
				got, err := p.Executions.NodeOutput(t.Context(), e.ExecutionID, journal.OutputQuery{Node: "a", Part: journal.PartContent})
				if err != nil || string(got.Output) != tt.want {
					t.Errorf("get_node_output: %s %v", got.Output, err)
				}
				if ref := e.Nodes[0].ContentRef; (ref != nil) != (len(tt.answer.Content) > 0) {
					t.Errorf("content_ref is %+v", ref)
				}
			})
		})
	}
}

// Large blocks are in a record of their own, pass from node to node without being evaluated, and are there in another process and in a rerun.
func TestLargeContentIsPassedOn(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		const size = 2 << 20
		d := withAnswer(w, schemas.EffectRead, "", "")
		d.tools["r.up"] = d.tools["r.t"]
		d.answer = map[string]func(context.Context, *call.Call) (*call.Result, error){
			"r.t": func(context.Context, *call.Call) (*call.Result, error) {
				return &call.Result{Output: json.RawMessage(`{"width":1}`), Text: "taken", Content: json.RawMessage(picture("taken", size))}, nil
			},
			"r.up": func(_ context.Context, c *call.Call) (*call.Result, error) {
				return &call.Result{Output: fmt.Appendf(nil, "%d", len(c.Inputs))}, nil
			},
		}
		configured := func(c *Config) { c.Realms = d }
		first := run(w, s, configured)
		id := first.submit(t, `{"plan":"v1","nodes":[{"id":"shot","capability":"r.t"},{"id":"pause","wait":"1h","depends_on":["shot"]},
			{"id":"up","capability":"r.up","inputs":{"d":"${nodes.shot.content[1].data}"},"depends_on":["pause"]},
			{"id":"n","capability":"r.up","inputs":{"d":"${nodes.shot.content[0].text}"},"depends_on":["pause"]}],
			"output":["${nodes.up.output}","${nodes.n.output}","${nodes.shot.output.width}"]}`)
		first.stop()
		p := run(w, s, configured)
		defer p.stop()
		output := fmt.Sprintf("[%d,%d,1]", size+len(`{"d":""}`), len(`{"d":"taken"}`))
		e := p.rest(t, id)
		want(t, e, schemas.StatusSucceeded, output, "")
		events, err := p.Executions.Events(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events.Events {
			if len(ev.Content) > engine.MaxInlineOutput || ev.Node == "shot" && ev.Type == schemas.EventNodeSucceeded && ev.ContentRef == nil {
				t.Errorf("%d bytes of content in the log, %+v", len(ev.Content), ev.ContentRef)
			}
		}
		again, err := p.Executions.Rerun(t.Context(), id, "pause")
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, again.ExecutionID), schemas.StatusSucceeded, output, "")
		if n := d.called("r.t"); n != 1 {
			t.Errorf("%d calls", n)
		}
		page, err := p.Executions.NodeOutput(t.Context(), again.ExecutionID, journal.OutputQuery{Node: "shot", Part: journal.PartContent, Pointer: "/1/data", Offset: size, MaxBytes: 9})
		if err != nil || page.Text != `A"` || page.TotalBytes != size+2 {
			t.Errorf("%+v %v", page, err)
		}
		e = p.execute(t, `{"plan":"v1","nodes":[{"id":"shot","capability":"r.t"},{"id":"n","set":"${size(nodes.shot.content)}"}]}`)
		if problem := e.Nodes[1].Error; problem == nil || problem.Code != schemas.CodePayloadTooLarge || !strings.Contains(problem.Hint, "${nodes.shot.content[0].data}") {
			t.Errorf("an expression over it: %+v", problem)
		}
	})
}

// The content of a list is the list of what its items sent, null for one that failed; also in a rerun, and item by item.
func TestContentOfItems(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[
			{"give":1,"sent":`+picture("one", 4)+`},{"fail":9},{"give":"two"},{"give":{"n":3},"text":"three"},{"give":4,"sent":`+picture("four", 9000)+`}]},"nodes":[
			{"id":"m","capability":"r.read","for_each":"${inputs.l}","on_error":"continue","inputs":{"id":"m${index}","give":"${item.?give}","fail":"${item.?fail}","text":"${item.?text}","sent":"${item.?sent}"}},
			{"id":"c","set":"${nodes.m.content}"},{"id":"x","set":"${nodes.m.content[4][1].data}"},{"id":"q","set":"${nodes.m.content.map(l, l == null ? '' : l[0].text)}"}],
			"output":["${nodes.q.output}","${size(nodes.x.output)}","${nodes.c.output == nodes.m.content}"]}`)
		const output = `[["one","","two","three","four"],9000,true]`
		want(t, e, schemas.StatusSucceeded, output, "")
		again, err := p.Executions.Rerun(t.Context(), e.ExecutionID, "c")
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.rest(t, again.ExecutionID), schemas.StatusSucceeded, output, "")
		if n := w.calls("read", "m0"); n != 1 {
			t.Errorf("%d calls", n)
		}
		for _, id := range []string{e.ExecutionID, again.ExecutionID} {
			for i, wanted := range []string{picture("one", 4), "null", `[{"type":"text","text":"two"}]`, `[{"type":"text","text":"three"}]`, picture("four", 9000)} {
				got, err := p.Executions.NodeOutput(t.Context(), id, journal.OutputQuery{Node: "m", Item: new(i), Part: journal.PartContent})
				if err != nil || string(got.Output) != wanted {
					t.Errorf("item %d: %s %v, want %s", i, got.Output, err, wanted)
				}
			}
		}
	})
}

// A person's output for a list has no content of the items that it replaces.
func TestContentOfAnOutputThatAPersonGave(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		e := p.execute(t, `{"plan":"v1","inputs":{"l":[0,9]},"nodes":[
			{"id":"m","capability":"r.read","for_each":"${inputs.l}","on_error":"suspend","inputs":{"fail":"${item}","sent":`+picture("sent", 4)+`}},
			{"id":"c","set":"${nodes.m.content}"}],"output":"${nodes.c.output}"}`)
		if e.Status != schemas.StatusSuspended {
			t.Fatal(e.Status, e.Error)
		}
		p.resumeWith(t, e.ExecutionID, "m[1]", schemas.NodePatch{Output: schemas.Value(`"given"`)})
		want(t, p.rest(t, e.ExecutionID), schemas.StatusSucceeded, `[`+picture("sent", 4)+`,[{"type":"text","text":"given"}]]`, "")
	})
}

// The content of a node with repeat is that of its last answer, unless it collects.
func TestContentOfRounds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		for _, size := range []int{4, 9000} {
			e := p.execute(t, `{"plan":"v1","nodes":[
				{"id":"a","capability":"r.read","repeat":{"until":"${index == 2}","every":"1s"},"inputs":{"give":"${index}","sent":[{"type":"text","text":"${string(index)}`+strings.Repeat("x", size)+`"},{"type":"image"}]}},
				{"id":"l","capability":"r.read","repeat":{"until":"${index == 2}","collect":"${output}"},"inputs":{"give":"${index}","sent":[{"type":"image"}]}}],
				"output":["${nodes.a.content[0].text.substring(0, 2)}","${size(nodes.a.content)}","${nodes.l.content}"]}`)
			want(t, e, schemas.StatusSucceeded, `["2x",2,[{"type":"text","text":"[0,1,2]"}]]`, "")
		}
	})
}

// Content counts as bytes that an execution has used, in the log and in a record of its own.
func TestContentCountsAsUsed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
		p := run(w, s)
		defer p.stop()
		used := func(nodes string) int64 {
			m, err := p.Executions.Metrics(t.Context(), p.execute(t, `{"plan":"v1","nodes":[{"id":"a","capability":"r.read","inputs":{"give":1}`+nodes+`]}`).ExecutionID)
			if err != nil {
				t.Fatal(err)
			}
			return m.Used.Bytes
		}
		for _, size := range []int{1, 30000} {
			sent := picture("a", size)
			without, with := used(`}`), used(`},{"id":"b","capability":"r.read","inputs":{"give":1,"sent":`+sent+`}}`)
			if got := with - without; got < int64(len(sent)) {
				t.Errorf("%d bytes used for content of %d", got, len(sent))
			}
		}
	})
}

// A crash at any commit loses no block, in the log, in records of their own or of items.
func TestCrashAtEveryCommitKeepsContent(t *testing.T) {
	source := `{"plan":"v1","idempotency_key":"k","inputs":{"l":[4,9000]},"nodes":[
		{"id":"a","capability":"r.read","inputs":{"take":"10ms","sent":` + picture("a", 9000) + `}},
		{"id":"m","capability":"r.idempotent","for_each":"${inputs.l}","inputs":{"id":"m[${index}]","take":"10ms","sent":[{"type":"image","data":"${lists.range(item).map(i, 'A').join('')}"}]},"depends_on":["a"]},
		{"id":"w","wait":"5s","depends_on":["m"]},
		{"id":"b","set":["${size(nodes.a.content[1].data)}","${nodes.m.content.map(c, size(c[0].data))}"],"depends_on":["w"]}],
		"output":"${nodes.b.output}"}`
	crashAtEveryCommit(t, source, `[9000,[4,9000]]`)
}

// Direct calls show what the output does not have: blocks, or another text; and a cached answer keeps it.
func TestDirectCallsShowContent(t *testing.T) {
	for _, tt := range []struct {
		answer call.Result
		want   string
	}{
		{call.Result{Output: json.RawMessage(`{"n":1}`), Text: `{"n": 1}`}, ""},
		{call.Result{Output: json.RawMessage(`"taken"`), Text: "taken"}, ""},
		{call.Result{Output: json.RawMessage(picture("a", 4)), Text: "a", Blocks: true}, ""},
		{call.Result{Output: json.RawMessage(`{"n":1}`), Text: `taken`}, `[{"type":"text","text":"taken"}]`},
		{call.Result{Output: json.RawMessage(`{"n":1}`), Text: `a`, Content: json.RawMessage(picture("a", 4))}, picture("a", 4)},
	} {
		inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
			d := withAnswer(w, schemas.EffectRead, "", "")
			d.tools["r.t"] = plan.Tool{Effect: schemas.EffectRead, InputSchema: json.RawMessage(`{"type":"object"}`), Hash: "h", Policy: schemas.Policy{CacheTTL: new(schemas.Duration(hour.Std()))}}
			d.answer["r.t"] = func(context.Context, *call.Call) (*call.Result, error) { r := tt.answer; return &r, nil }
			p := run(w, s, func(c *Config) { c.Realms = d })
			defer p.stop()
			for range 2 {
				got, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "t"})
				if err != nil || string(got.Content) != tt.want {
					t.Errorf("%s %v, want %s", got.Content, err, tt.want)
				}
			}
		})
	}
}

// The same on Redis, at the commit that has the blocks: another replica reads them where it is durable, and calls again where it is not.
func TestCrashOnRedisKeepsContent(t *testing.T) {
	t.Parallel()
	url := redistest.Standalone(t).URL()
	for _, mode := range storetest.CrashModes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			w, options := newWorld(), redis.Options{URL: fmt.Sprintf("%s?prefix=content%d", url, mode)}
			lease := func(c *Config) { c.Limits.Lease = time.Second }
			var dying *storetest.Crasher
			first := onRedis(t, w, options, lease, func(c *Config) {
				dying = storetest.Crash(c.Store, 2, mode)
				c.Store, c.Limits.Grace = dying, time.Nanosecond
			})
			source := `{"plan":"v1","idempotency_key":"k","nodes":[{"id":"a","capability":"r.read","inputs":{"sent":` + picture("a", 9000) + `}},
				{"id":"b","capability":"r.read","inputs":{"give":"${nodes.a.content[1].mimeType}"}},{"id":"c","set":"${size(nodes.a.content[1].data)}","depends_on":["b"]}],
				"output":["${nodes.b.output}","${nodes.c.output}"]}`
			_, _ = first.Executions.Execute(t.Context(), engine.Submit{Plan: []byte(source)}) // it may die here
			select {
			case <-dying.Dead():
			case <-time.After(30 * time.Second):
				t.Fatal("there is no second commit")
			}
			first.stop()
			second := onRedis(t, w, options, lease)
			want(t, second.rest(t, second.begin(t, source)), schemas.StatusSucceeded, `["image/png",9000]`, "")
		})
	}
}

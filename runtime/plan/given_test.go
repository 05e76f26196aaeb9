package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asWritten is a plan of one node, in the tools of the foreign plans.
func asWritten(node string) []byte { return []byte(`{"plan":"v1","nodes":[{"id":"a",` + node + `}]}`) }

// TestArgumentsGetTheShapeOfTheirTool walks arguments that are given in other shapes; each means the call beside it, by fixes and warnings alone.
func TestArgumentsGetTheShapeOfTheirTool(t *testing.T) {
	const (
		reset  = `"capability":"git.reset","inputs":{"files":["a.go"]}`
		refund = `"capability":"shop.refund","inputs":{"order":"A","cents":5}`
		mail   = `"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B"}`
		upsert = `"capability":"crm.upsert","inputs":{"email":"a@b"}`
		list   = `"capability":"files.list","inputs":{"dir":"x","recursive":true}`
		start  = `"capability":"jobs.start","inputs":{"kind":"x","params":{"n":1}}`
		page   = `"capability":"web.fetch","inputs":{"url":"u","method":"GET"}`
	)
	w := foreignWorld(t)
	for node, meant := range map[string]string{
		`"capability":"git.reset","inputs":{"args":{"files":["a.go"]}}`:                                                          reset,
		`"capability":"git.reset","inputs":{"inputs":{"arguments":{"files":["a.go"]}}}`:                                          reset,
		`"capability":"git.reset","inputs":{"params":"{\"files\":[\"a.go\"]}"}`:                                                  reset,
		`"capability":"git.reset","inputs":{"payload":{"Files":["a.go"]}}`:                                                       reset,
		`"capability":"git.reset","inputs":"{\"files\": [\"a.go\"]}"`:                                                            reset,
		`"capability":"git.reset","inputs":[{"name":"files","value":["a.go"]}]`:                                                  reset,
		`"capability":"git.reset","inputs":{"file":"a.go"}`:                                                                      reset,
		`"capability":"git.reset","inputs":{"flies":["a.go"]}`:                                                                   reset,
		`"capability":"git.reset","inputs":{"FILES":"a.go"}`:                                                                     reset,
		`"capability":"git.reset","inputs":{"files":"['a.go']"}`:                                                                 reset,
		`"capability":"git.reset","files":["a.go"]`:                                                                              reset,
		`"tool":"git.reset","files":["a.go"]`:                                                                                    reset,
		`"git.reset":{"files":["a.go"]}`:                                                                                         reset,
		`"tool":{"name":"git.reset","arguments":{"files":["a.go"]}}`:                                                             reset,
		`"function":{"name":"git.reset","arguments":"{\"files\":[\"a.go\"]}"}`:                                                   reset,
		`"server":"git","capability":"reset","inputs":{"files":["a.go"]}`:                                                        reset,
		`"capability":{"mcp_server":"git","tool_name":"reset"},"inputs":{"files":["a.go"]}`:                                      reset,
		`"capability":"shop.refund","order":"A","cents":5`:                                                                       refund,
		`"capability":"shop.refund","order":"A","inputs":{"cents":5}`:                                                            refund,
		`"capability":"shop.refund","inputs":{"orderId":"A","cents":"5"}`:                                                        refund,
		`"capability":"shop.refund","inputs":{"the_order":"A","amountCents":5}`:                                                  refund,
		`"capability":"shop.refund","inputs":{"order":["A"],"cents":"5.00"}`:                                                     refund,
		`"capability":"shop.refund","inputs":{"ORDER":"A","Cents":5}`:                                                            refund,
		`"capability":"mail.send","to":"a@b","subject":"S","body":"B"`:                                                           mail,
		`"capability":"mail.send","body":"B","inputs":{"to":"a@b","subject":"S"}`:                                                mail,
		`"capability":"mail.send","inputs":{"to":["a@b"],"subject":"S","body_text":"B"}`:                                         mail,
		`"capability":"mail.send","inputs":{"to":"a@b","subject_line":"S","mail_body":"B"}`:                                      mail,
		`"capability":"crm.upsert","inputs":{"Email":"a@b"}`:                                                                     upsert,
		`"capability":"crm.upsert","inputs":{"data":{"email":"a@b"}}`:                                                            upsert,
		`"capability":"crm.upsert","email":"a@b","name":"Ada"`:                                                                   `"capability":"crm.upsert","inputs":{"email":"a@b","name":"Ada"}`,
		`"capability":"files.list","inputs":{"dir":"x","recursive":"yes"}`:                                                       list,
		`"capability":"files.list","inputs":{"dir":"x","recursive":"TRUE"}`:                                                      list,
		`"capability":"files.list","inputs":{"Dir":"x","Recursive":"on"}`:                                                        list,
		`"capability":"jobs.start","inputs":{"kind":"x","params":"{\"n\": 1}"}`:                                                  start,
		`"capability":"jobs.start","inputs":{"kind":"x","params":"{'n': 1}"}`:                                                    start,
		`"capability":"web.fetch","url":"u","method":"GET"`:                                                                      page,
		`"capability":"web.fetch","inputs":{"url":"u","method":"Get"}`:                                                           page,
		`"capability":"shop.list_orders","inputs":{"status":"Canceled"}`:                                                         `"capability":"shop.list_orders","inputs":{"status":"cancelled"}`,
		`"capability":"files.write","inputs":{"path":"p","content":"c","mode":"createNew"}`:                                      `"capability":"files.write","inputs":{"path":"p","content":"c","mode":"create_new"}`,
		`"capability":"db.query","inputs":{"sql":"s","params":3}`:                                                                `"capability":"db.query","inputs":{"sql":"s","params":[3]}`,
		`"capability":"shop.refund","inputs":{"order":"A","cents":5},"labels":{"x":"y"},"note":"n"`:                              refund,
		`"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","cc":"c@d"}`:                                     `"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","cc":["c@d"]}`,
		`"capability":"shop.void","inputs":{"charge_id":"C"},"note":"n","labels":{}`:                                             ``,
		`"capability":"shop.charge","inputs":{"order":"A","cents":5},"rollback":{"tool":"shop.void","args":{"args":{"id":"x"}}}`: `"capability":"shop.charge","inputs":{"order":"A","cents":5},"compensate":{"capability":"shop.void","inputs":{"id":"x"}}`,
	} {
		p, says, warns := mended(t, asWritten(node), w)
		if meant == "" {
			if p != nil {
				t.Errorf("%s\nis mended", node)
			}
			continue
		}
		want, says2, _ := mended(t, asWritten(meant), w)
		if want == nil {
			t.Fatalf("%s: %s", meant, says2)
		}
		if p == nil {
			t.Errorf("%s\nis refused: %s", node, says)
			continue
		}
		if diff := cmp.Diff(meaningOf(want), meaningOf(p)); diff != "" {
			t.Errorf("%s\nmeans something else:\n%s", node, diff)
		}
		if says+warns == "" {
			t.Errorf("%s\nis taken in silence", node)
		}
	}
}

// TestArgumentsThatAreNotCertain walks arguments that have two readings, or none; no fix decides between them, and a message says what to write.
func TestArgumentsThatAreNotCertain(t *testing.T) {
	w := foreignWorld(t)
	for node, say := range map[string]string{
		`"capability":"git.reset","inputs":{"paths":["a.go"]}`:                                       "files",
		`"capability":"git.reset","inputs":{"exclude_files":["a.go"]}`:                               "files",
		`"capability":"git.reset","inputs":{"files":"a.go b.go"}`:                                    "write a list",
		`"capability":"git.reset","inputs":{"files":"all"}`:                                          "write a list",
		`"capability":"git.reset","inputs":{"files":"*.go"}`:                                         "write a list",
		`"capability":"git.reset","inputs":{"files":""}`:                                             "write a list",
		`"capability":"git.reset","inputs":{"file1":"a.go","file2":"b.go"}`:                          "files",
		`"capability":"git.reset","inputs":{"options":{"hard":true}}`:                                "files",
		`"capability":"git.reset","inputs":{"params":{"hard":true}}`:                                 "files",
		`"capability":"mail.send","inputs":{"reply_to":"a@b","subject":"S","body":"B"}`:              "`to`",
		`"capability":"mail.send","inputs":{"to":["a@b","c@d"],"subject":"S","body":"B"}`:            "for_each",
		`"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","approval":true}`:    "safety_level: review",
		`"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","when":"${true}"}`:   "beside inputs",
		`"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","depends_on":["x"]}`: "beside inputs",
		`"capability":"mail.send","inputs":{"to":"a@b","subject":"S","body":"B","compensate":{}}`:    "beside inputs",
		`"capability":"shop.refund","inputs":{"order":"A","min_cents":5}`:                            "cents",
		`"capability":"shop.refund","inputs":{"order":"A","cent":5,"total_cents":6}`:                 "cents",
		`"capability":"shop.refund","inputs":{"order":"A","cents":5,"Cents":6}`:                      "Cents",
		`"capability":"shop.refund","inputs":{"order":"A","cents":5.5}`:                              "integer",
		`"capability":"shop.refund","inputs":{"order":"A","cents":"5,00"}`:                           "integer",
		`"capability":"shop.refund","inputs":{"order":"A","cents":5},"urgent":true`:                  "urgent",
		`"capability":"shop.refund","inputs":{"order":"A","cents":5},"signed_off_by":"me"`:           "signed_off_by",
		`"capability":"crm.upsert","inputs":{"email":"a@b"},"must_be_checked":true`:                  "must_be_checked",
		`"capability":"files.list","inputs":{"dir":"x","recursive":0}`:                               "true or false",
		`"capability":"files.list","inputs":{"dir":"x","recursive":"maybe"}`:                         "boolean",
		`"capability":"files.write","inputs":{"path":"p","content":"c","mode":"replace"}`:            "overwrite",
		`"capability":"files.write","inputs":{"path":"p","content":"c","mode":"w"}`:                  "overwrite",
		`"capability":"files.write","inputs":{"path":"p","content":{"a":1},"mode":"append"}`:         "string",
		`"capability":"shop.set_order","inputs":{"id":"A"}`:                                          "get_order",
		`"capability":"git.rest","inputs":{"x":1}`:                                                   "reset",
		`"capability":"execute_plan","inputs":{}`:                                                    "workflow: {definition",
		`"capability":"shop.get_order('A')"`:                                                         "inputs",
		`"capability":"shop.charge","inputs":{"order":"A","cents":5},"effect":"read"`:                "once",
		`"capability":"shop.charge","inputs":{"order":"A","cents":5},"undo":"b"`:                     "compensate",
	} {
		p, says, _ := mended(t, asWritten(node), w)
		if p != nil || !strings.Contains(says, say) {
			t.Errorf("%s\nvalid %v: %q, want %q", node, p != nil, says, say)
		}
	}
}

// TestUndeclaredArgumentsOfOpenSchemasAreSent: they are warned about, and nothing is taken out.
func TestUndeclaredArgumentsOfOpenSchemasAreSent(t *testing.T) {
	w := foreignWorld(t)
	for node, say := range map[string]string{
		`"capability":"crm.upsert","inputs":{"email":"a@b","phon":"1"}`:           "phone",
		`"capability":"crm.upsert","inputs":{"email":"a@b","colour":"red"}`:       "does not declare `colour`",
		`"capability":"crm.upsert","inputs":{"email":"a@b","hitl":true}`:          "safety_level: review",
		`"capability":"crm.upsert","inputs":{"email":"a@b","Name":"Ada"}`:         "`name`",
		`"capability":"crm.upsert","inputs":{"email":"a@b","retry":{"n":1}}`:      "beside inputs",
		`"capability":"crm.upsert","inputs":{"email":"a@b","dry_run":true}`:       "validate_plan",
		`"capability":"crm.upsert","inputs":{"email":"a@b","body":{"x":"y"}}`:     "does not declare `body`",
		`"capability":"crm.upsert","inputs":{"email":"a@b","safety_level":"low"}`: "safety_level: review",
	} {
		p, says, warns := mended(t, asWritten(node), w)
		if p == nil || !strings.Contains(warns, say) {
			t.Errorf("%s\n%s %q, want %q", node, says, warns, say)
			continue
		}
		if sent := string(p.Definition.Plan.Nodes[0].Inputs); !strings.Contains(node, sent) {
			t.Errorf("%s\nis sent as %s", node, sent)
		}
	}
}

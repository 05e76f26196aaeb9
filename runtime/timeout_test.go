package runtime

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// An attempt ends by the timeout of the innermost level that has one, and its error names that level; a timeout of 0 is none.
func TestTimeoutNamesItsLevel(t *testing.T) {
	const second = schemas.Duration(time.Second)
	for _, tt := range []struct {
		name                    string
		level, realm, own       *schemas.Duration
		call, node, plan, words string // given with a call; for a node in the node, in the plan
		took                    time.Duration
		direct                  string // of a direct call, which then takes 50 s; empty: as words
	}{
		{name: "built-in", words: "1m, the timeout of its built-in default", took: time.Minute, direct: "limits.direct_timeout"},
		{name: "default", level: new(7 * second), words: "7s, the timeout of its default policy", took: 7 * time.Second},
		{name: "realm", level: new(7 * second), realm: new(5 * second), words: "5s, the timeout of its realm's policy", took: 5 * time.Second},
		{name: "longer than the default", level: new(7 * second), realm: new(90 * second), words: "1m30s, the timeout of its realm's policy", took: 90 * time.Second},
		{name: "capability", level: new(7 * second), realm: new(5 * second), own: new(3 * second), words: "3s, the timeout of its capability's policy", took: 3 * time.Second},
		{name: "call", level: new(7 * second), realm: new(5 * second), own: new(3 * second), call: "2s", node: "2s", plan: "4s", words: "2s, the timeout of its ", took: 2 * time.Second},
		{name: "off", level: new(7 * second), realm: new(5 * second), own: new(schemas.Duration(0))},
		{name: "off by the realm", level: new(7 * second), realm: new(schemas.Duration(0))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, w *world, s store.Store) {
				policies := schemas.Policies{Default: schemas.Policy{Timeout: tt.level}, Realms: map[string]schemas.RealmPolicy{"r": {
					Policy: schemas.Policy{Timeout: tt.realm}, Capabilities: map[string]schemas.Policy{"read": {Timeout: tt.own}},
				}}}
				w.change("read", plan.Tool{Hash: "read", Effect: schemas.EffectRead, InputSchema: worldSchema, Policy: policies.For("r", "read")})
				p := run(w, s, func(c *Config) { c.Policies = policies })
				defer p.stop()
				inputs := `{"mute":true}`
				if tt.took == 0 { // it takes what no built-in timeout allows, and is answered
					inputs = `{"take":"2h"}`
				}
				limit, _ := time.ParseDuration(tt.call)
				began := time.Now()
				_, err := p.Capabilities.Invoke(t.Context(), capability.Invocation{Realm: "r", Capability: "read", Inputs: json.RawMessage(inputs), Timeout: limit, Retry: once})
				check := func(err *schemas.Error, from string) {
					t.Helper()
					took, words, wantTook := time.Since(began), tt.words, tt.took
					if from == "call" && tt.direct != "" {
						words, wantTook = tt.direct, 50*time.Second
					}
					if strings.HasSuffix(words, " ") {
						words += from
					}
					switch {
					case tt.took == 0 && (err != nil || took < 2*time.Hour):
						t.Errorf("%v after %s", err, took)
					case tt.took != 0 && (code(err) != schemas.CodeTimeout || !strings.Contains(err.Message, words) || took != wantTook):
						t.Errorf("%v after %s, want %s", err, took, words)
					}
				}
				check(schemas.AsError(err), "call")
				began = time.Now()
				n := map[string]any{"id": "n", "capability": "r.read", "inputs": json.RawMessage(inputs), "retry": map[string]any{"max_attempts": 1}, "on_error": "continue"}
				source := map[string]any{"plan": "v1", "nodes": []any{n}}
				if tt.node != "" {
					n["timeout"] = tt.node
				}
				if tt.plan != "" {
					source["defaults"] = map[string]any{"timeout": tt.plan}
				}
				b, err := json.Marshal(source)
				if err != nil {
					t.Fatal(err)
				}
				check(p.execute(t, string(b)).Nodes[0].Error, "node")
			})
		})
	}
}

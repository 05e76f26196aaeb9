package capability_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
)

// sent are realms that remember what was sent.
type sent struct {
	capability.Realms
	inputs []string
}

func (s *sent) Invoke(_ context.Context, c *call.Call) (*call.Result, error) {
	s.inputs = append(s.inputs, string(c.Inputs))
	return &call.Result{Output: json.RawMessage("1")}, nil
}

// Values and permissions are those of the time at which a call is sent. An answer of the cache rests on the present values.
func TestSecretsAreFilledInAsTheCallIsSent(t *testing.T) {
	realms := &sent{}
	r, log := recordstest.Replica(recordstest.Memory(t)), hclog.NewNullLogger()
	allowed := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"shop": {Policy: schemas.Policy{Secrets: []string{"token"}, CacheTTL: new(schemas.Duration(1e12))}}}}
	c := capability.New(capability.Config{
		Store: r, Log: log, Sessions: session.New(session.Config{Store: r, Log: log}), Realms: realms, NewID: records.NewID, Random: rand.Float64,
		Policies: allowed, Secrets: map[string]string{"token": "first"},
	})
	for i, tt := range []struct {
		change func()
		realm  string
		sent   string
		code   schemas.Code
		text   bool // of a direct call: the reference is an ordinary text
	}{
		{func() {}, "shop", `{"a":"x first"}`, "", false},
		{func() {}, "shop", "", "", false}, // from the cache
		{func() {}, "shop", `{"a":"x ${secret.token}"}`, "", true},
		{func() { c.SetSecrets(map[string]string{"token": "sec\"ond"}) }, "shop", `{"a":"x sec\"ond"}`, "", false},
		{func() {}, "mail", "", schemas.CodeDenied, false},
		{func() { c.SetSecrets(nil) }, "shop", "", schemas.CodeDenied, false},
		{func() { c.SetSecrets(map[string]string{"token": "third"}); c.SetPolicies(schemas.Policies{}) }, "shop", "", schemas.CodeDenied, false},
	} {
		tt.change()
		realms.inputs = nil
		planned := call.Call{
			Realm: tt.realm, Capability: "get", Inputs: json.RawMessage(`{"a":"x ${secret.token}"}`), Secrets: []string{"token"}, Effect: schemas.EffectRead,
			Rules: c.RulesOf(tt.realm, "get"), Hash: "h", Attempt: 1,
		}
		if tt.text {
			planned.Secrets = nil
		}
		_, err := c.Attempt(t.Context(), &planned)
		got := ""
		if len(realms.inputs) > 0 {
			got = realms.inputs[0]
		}
		code := schemas.Code("")
		if err != nil {
			code = schemas.AsError(err).Code
		}
		if got != tt.sent || code != tt.code || string(planned.Inputs) != `{"a":"x ${secret.token}"}` {
			t.Errorf("%d: sent %q, %v; the call has %s", i, got, err, planned.Inputs)
		}
	}
}

package schemas

import (
	"reflect"
	"testing"
	"time"
)

const second = Duration(time.Second)

// Each field inherits on its own: this walks all of them, so that a new field that Or forgets fails here.
func TestRetryInheritsEachField(t *testing.T) {
	jitter := 0.5
	full := Retry{
		MaxAttempts: 7, InitialInterval: second, BackoffCoefficient: 3, MaxInterval: 2 * second, Jitter: &jitter,
		MaxElapsed: 3 * second, RetryOn: []Code{CodeTimeout}, NoRetryOn: []Code{CodeDenied},
	}
	for i := range reflect.TypeFor[Retry]().NumField() {
		name := reflect.TypeFor[Retry]().Field(i).Name
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Fatalf("the test does not set %s", name)
		}
		without := full
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		if got := without.Or(&full); !reflect.DeepEqual(*got, full) {
			t.Errorf("%s is not inherited: %+v", name, got)
		}
		var only Retry
		reflect.ValueOf(&only).Elem().Field(i).Set(reflect.ValueOf(full).Field(i))
		if got := only.Or(&Retry{}); !reflect.DeepEqual(*got, only) {
			t.Errorf("%s does not survive: %+v", name, got)
		}
	}
	if got := (*Retry)(nil).Or(&full); got != &full {
		t.Errorf("nil does not inherit all: %+v", got)
	}
	if got := full.Or(nil); !reflect.DeepEqual(*got, full) {
		t.Errorf("nothing to inherit changes it: %+v", got)
	}
	zero := 0.0
	if got := (&Retry{Jitter: &zero}).Or(&full); *got.Jitter != 0 {
		t.Error("a written jitter of 0 is overridden")
	}
}

func TestPolicyLevels(t *testing.T) {
	p := Policies{
		Default: Policy{Timeout: 30 * second, Retry: &Retry{MaxAttempts: 3, InitialInterval: second}},
		Realms: map[string]RealmPolicy{"shop": {
			Policy: Policy{Timeout: 10 * second, Effect: EffectRead, Protocol: "2025-11-25"},
			Capabilities: map[string]Policy{
				"charge": {IdempotencyArg: "key", Retry: &Retry{MaxAttempts: 5}},
				"list":   {Timeout: second},
				"a.b":    {Effect: EffectIdempotent},
			},
		}},
	}
	for _, tt := range []struct {
		realm, capability string
		want              Policy
	}{
		{"other", "x", p.Default},
		{"shop", "x", Policy{Timeout: 10 * second, Effect: EffectRead, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "list", Policy{Timeout: second, Effect: EffectRead, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "a.b", Policy{Timeout: 10 * second, Effect: EffectIdempotent, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "charge", Policy{ // its idempotency_arg says what it is; the realm's read does not
			Timeout: 10 * second, IdempotencyArg: "key", Protocol: "2025-11-25", Retry: &Retry{MaxAttempts: 5, InitialInterval: second},
		}},
	} {
		if got := p.For(tt.realm, tt.capability); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s.%s:\n got %+v\nwant %+v", tt.realm, tt.capability, got, tt.want)
		}
	}
	if got := (Policies{}).For("a", "b"); !reflect.DeepEqual(got, Policy{}) {
		t.Errorf("no policy gives %+v", got)
	}
}

func TestEffectRank(t *testing.T) {
	if !(EffectRead.Rank() < EffectIdempotent.Rank() && EffectIdempotent.Rank() < EffectOnce.Rank()) {
		t.Error("effects are not ordered from harmless to strict")
	}
	if Effect("nonsense").Rank() != EffectOnce.Rank() || Effect("").Rank() != EffectOnce.Rank() {
		t.Error("an unknown effect is not strict")
	}
}

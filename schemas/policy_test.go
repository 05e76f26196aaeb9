package schemas

import (
	"fmt"
	"reflect"
	"strings"
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

// As for Retry: a field that Or forgets fails here. An explicit 0 is a value.
func TestPolicyInheritsEachField(t *testing.T) {
	full := Policy{
		Timeout: new(second), Settle: new(second), Retry: &Retry{MaxAttempts: 2}, Breaker: &Breaker{Failures: new(3), OpenFor: second},
		RateLimit:   &RateLimit{Rate: 1},
		Concurrency: new(4), ConcurrencyWait: new(second), CacheTTL: new(second), StaleIfError: new(second),
		Fallback: []PolicyFallback{{Capability: "a.b"}}, Drift: DriftAllowCompatible, Effect: EffectRead, Safety: SafetyReviewed, Secrets: []string{"token"}, IdempotencyArg: "key", Protocol: "auto", Required: new(true), TimeoutFrom: "somewhere",
		MaxRefusals: new(5), RetryUnknown: new(true), RetryUnknownFrom: "elsewhere",
	}
	off := Policy{
		Timeout: new(Duration(0)), Settle: new(Duration(0)), Breaker: &Breaker{Failures: new(0)}, RateLimit: &RateLimit{}, Concurrency: new(0),
		ConcurrencyWait: new(Duration(0)),
		CacheTTL:        new(Duration(0)), StaleIfError: new(Duration(0)), Fallback: []PolicyFallback{}, Required: new(false), RetryUnknown: new(false),
		MaxRefusals: new(0),
	}
	for i := range reflect.TypeFor[Policy]().NumField() {
		name := reflect.TypeFor[Policy]().Field(i).Name
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Fatalf("the test does not set %s", name)
		}
		if name == "TimeoutFrom" || name == "RetryUnknownFrom" {
			continue // goes with its value
		}
		without := full
		if name == "Effect" {
			without.IdempotencyArg = "" // says as much as an effect
		}
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		if got := without.Or(full); !reflect.DeepEqual(got, full) {
			t.Errorf("%s is not inherited: %+v", name, got)
		}
		if written := reflect.ValueOf(off).Field(i); !written.IsZero() && name != "Breaker" {
			if got := off.Or(full); !reflect.DeepEqual(reflect.ValueOf(got).Field(i).Interface(), written.Interface()) {
				t.Errorf("a written 0 of %s does not stand: %+v", name, got)
			}
		}
	}
	if got := off.Or(full).Breaker; *got.Failures != 0 || got.OpenFor != second {
		t.Errorf("the fields of a breaker do not inherit each on its own: %+v", got)
	}
}

// The limits that calls share, at each level: the capability in addition to its realm, the default for each realm.
func TestBoundsByLevel(t *testing.T) {
	p := Policies{
		Default: Policy{RateLimit: &RateLimit{Rate: 100}, Concurrency: new(50)},
		Realms: map[string]RealmPolicy{
			"shop": {Policy: Policy{RateLimit: &RateLimit{Rate: 10}, Concurrency: new(5)}, Capabilities: map[string]Policy{
				"charge": {RateLimit: &RateLimit{Rate: 1}, Concurrency: new(2)},
				"ping":   {RateLimit: &RateLimit{}, Concurrency: new(0)},
			}},
			"free": {Policy: Policy{RateLimit: &RateLimit{}, Concurrency: new(0)}, Capabilities: map[string]Policy{"dear": {RateLimit: &RateLimit{Rate: 3}}}},
		},
	}
	for _, tt := range []struct{ realm, capability, want string }{
		{"other", "x", "other:100 other:50"},
		{"shop", "list", "shop:10 shop:5"},
		{"shop", "charge", "shop.charge:1 shop:10 shop.charge:2 shop:5"},
		{"shop", "ping", ""},
		{"free", "x", ""},
		{"free", "dear", "free.dear:3"},
	} {
		var got []string
		rates, rooms := p.SharedLimits(tt.realm, tt.capability)
		for _, r := range rates {
			got = append(got, fmt.Sprintf("%s:%d", r.Scope, r.Rate))
		}
		for _, r := range rooms {
			got = append(got, fmt.Sprintf("%s:%d", r.Scope, r.Calls))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s.%s: got %s, want %s", tt.realm, tt.capability, s, tt.want)
		}
	}
}

func TestPolicyLevels(t *testing.T) {
	p := Policies{
		Default: Policy{Timeout: new(30 * second), Retry: &Retry{MaxAttempts: 3, InitialInterval: second}},
		Realms: map[string]RealmPolicy{"shop": {
			Policy: Policy{Timeout: new(10 * second), Effect: EffectRead, Protocol: "2025-11-25"},
			Capabilities: map[string]Policy{
				"charge": {IdempotencyArg: "key", Retry: &Retry{MaxAttempts: 5}},
				"list":   {Timeout: new(second)},
				"a.b":    {Effect: EffectIdempotent},
			},
		}},
	}
	for _, tt := range []struct {
		realm, capability string
		want              Policy
	}{
		{"other", "x", Policy{Timeout: new(30 * second), TimeoutFrom: "default policy", Retry: p.Default.Retry}},
		{"shop", "x", Policy{Timeout: new(10 * second), TimeoutFrom: "realm's policy", Effect: EffectRead, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "list", Policy{Timeout: new(second), TimeoutFrom: "capability's policy", Effect: EffectRead, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "a.b", Policy{Timeout: new(10 * second), TimeoutFrom: "realm's policy", Effect: EffectIdempotent, Protocol: "2025-11-25", Retry: p.Default.Retry}},
		{"shop", "charge", Policy{ // its idempotency_arg says what it is; the realm's read does not
			Timeout: new(10 * second), TimeoutFrom: "realm's policy", IdempotencyArg: "key", Protocol: "2025-11-25", Retry: &Retry{MaxAttempts: 5, InitialInterval: second},
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

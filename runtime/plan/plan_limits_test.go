package plan

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// What is wrong with limits is said once, and with what to write.
func TestLimitsThatCannotBeAreRefusedOnce(t *testing.T) {
	for _, tt := range []struct{ limits, want string }{
		{`"limits":{}`, "none of calls, time and bytes"},
		{`"limits":{"calls":null}`, "none of calls, time and bytes"},
		{`"limits":{"calls":0}`, "at least 1"},
		{`"limits":{"bytes":-1}`, "at least 1"},
		{`"limits":{"time":60}`, "60s"},
		{`"limits":{"time":"0s"}`, "longer than 0"},
		{`"limits":{"time":"9000d"}`, "longest allowed"},
		{`"limits":7`, "an object of calls, time and bytes"},
		{`"limits":{"calls":1},"on_limit":"stop"`, "suspend, fail"},
		{`"on_limit":"fail"`, "stands beside limits"},
		{`"limits":{"tokens":5}`, "counted by nobody"},
	} {
		p, found := Parse(t.Context(), []byte(`{"plan":"v1",`+tt.limits+`,"nodes":[{"id":"a","set":1}]}`), DefaultLimits())
		if p != nil {
			_, more := Compile(t.Context(), p, world{}, DefaultLimits())
			found = append(found, more...)
		}
		if len(found) != 1 || found[0].Severity != schemas.SeverityError || !strings.Contains(found[0].Message, tt.want) {
			t.Errorf("%s: %+v, want one error with %q", tt.limits, found, tt.want)
		}
	}
}

// A plan that certainly makes more calls than its limit is warned about, or refused if it fails then; one that may is neither.
func TestLimitThatIsCertainlyReachedIsFound(t *testing.T) {
	const calls = `"nodes":[{"id":"a","capability":"r.read","for_each":[1,2,3]}]}`
	for _, tt := range []struct {
		limits string
		want   schemas.Severity
	}{
		{`"limits":{"calls":3}`, ""},
		{`"limits":{"calls":2}`, schemas.SeverityWarning},
		{`"limits":{"calls":2},"on_limit":"suspend"`, schemas.SeverityWarning},
		{`"limits":{"calls":2},"on_limit":"fail"`, schemas.SeverityError},
	} {
		p, found := Parse(t.Context(), []byte(`{"plan":"v1",`+tt.limits+`,`+calls), DefaultLimits())
		if p == nil {
			t.Fatal(found)
		}
		_, found = Compile(t.Context(), p, roundsWorld(), DefaultLimits())
		got := ""
		for _, f := range found {
			if f.Path == "/limits/calls" {
				got += string(f.Severity)
			}
		}
		if got != string(tt.want) {
			t.Errorf("%s: %q, want %q: %+v", tt.limits, got, tt.want, found)
		}
	}
}

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// TestReviewersSeeEveryCharacter: what a person decides on is shown in full, with hidden characters as escapes.
func TestReviewersSeeEveryCharacter(t *testing.T) {
	long := strings.Repeat("word ", 500)
	var out, asJSON strings.Builder
	reviews := []schemas.ReviewRequest{{
		ReviewID: "r1", Question: "Pay \u202e01?\n\x1b[2J" + long, Capability: "shop.pay", Hidden: true, Since: time.Now(),
		Inputs: schemas.Object("{\"to\": \"\u202eevil\u200b\xff\",\n \"n\": \"\\u202e\"}"),
	}}
	c := cli{out: &asJSON}
	if err := errors.Join(printReviews(&out, reviews), c.printJSON(reviews)); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{`Pay \u202e01? \u001b[2J`, strings.TrimSpace(long), `{"to":"\u202eevil\u200b\xff","n":"\u202e"}`, "warning: "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %.60q in %q", want, got)
		}
	}
	for _, printed := range []string{got, asJSON.String()} {
		if schemas.HasHidden(printed) {
			t.Errorf("%q has hidden characters", printed)
		}
	}
}

func TestForPeopleShowsWhatIsHidden(t *testing.T) {
	var out strings.Builder
	c := cli{err: &out}
	c.printError(schemas.Errorf(schemas.CodeNotFound, "no realm \u202ex\x1b[1m\xff").WithHint("try \u200by"))
	if want := "runplane: no realm \\u202ex\\u001b[1m\\xff\n  hint: try \\u200by\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestFlagsThatOthersReadInAnotherWay(t *testing.T) {
	plan := []byte(`{"inputs":{"a":1}}`)
	for _, pair := range []string{"a=x\xff", `a={"b":1,"b":2}`, `a="\ud800"`, `a=1e400`, "a=" + strings.Repeat("[", 200) + strings.Repeat("]", 200)} {
		if _, err := parseInputs([]string{pair}, plan); schemas.AsError(err) == nil || schemas.AsError(err).Code != schemas.CodeInvalidArgument {
			t.Errorf("--input %.40q: %v", pair, err)
		}
	}
	for _, pair := range []string{"a=é", "a=9007199254740993", `a={"b":1}`, "a={"} {
		if _, err := parseInputs([]string{pair}, plan); err != nil {
			t.Errorf("--input %q: %v", pair, err)
		}
	}
	for _, text := range []string{`{"nodes":{"a":{"output":"\ud800"}}}`, `{"nodes":{"a":{"skip":true},"a":{"retry":true}}}`, "{\"nodes\":{\"\xff\":{}}}", `{"nodes":5}`, `{"node":5}`} {
		_, err := parsePatch(text)
		if e := schemas.AsError(err); e == nil || e.Code != schemas.CodeInvalidArgument || strings.Contains(e.Message, "json:") || strings.Contains(e.Message, "Go ") {
			t.Errorf("--patch %q: %v", text, err)
		}
	}
}

package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

const nameOfEvent = "the name of an event, as in wait_for: {event: order_paid}"

func (d *decoder) text(to *string, v *document.Tree, at string) {
	switch v.Kind {
	case '"':
		*to = v.Text()
	case '0', 't', 'f':
		*to = v.Raw
		if lastPart(at) == "id" && v.Kind == '0' {
			return // the compiler says what an id is
		}
		if lastPart(at) == "event" { // which event was meant, no rewrite says
			d.wrong(v, at, nameOfEvent)
			return
		}
		f := d.wrong(v, at, "a string")
		if lastPart(at) == "wait" && v.Kind != '0' {
			return // no time is called true or false
		}
		f.Fix = []schemas.PatchOp{opReplaceText(at, v.Raw)}
	default:
		want := "a string"
		if lastPart(at) == "event" {
			want = nameOfEvent
		}
		d.wrong(v, at, want)
	}
}

func (d *decoder) value(to *schemas.Value, v *document.Tree, _ string) {
	*to = schemas.Value(v.AppendTo(nil))
}

func word[T ~string](d *decoder, to *T, v *document.Tree, at string) {
	var s string
	d.text(&s, v, at)
	*to = T(s)
}

func (d *decoder) version(to *string, v *document.Tree, at string) {
	if v.Kind == '"' {
		*to = v.Text()
		return
	}
	*to = schemas.PlanVersion
	d.wrong(v, at, `the string "v1"`).Fix = []schemas.PatchOp{opReplaceText(at, schemas.PlanVersion)}
}

// fromText replaces a text that holds JSON of one of the kinds by the JSON.
func (d *decoder) fromText(v *document.Tree, at, kinds string) {
	if v.Kind != '"' {
		return
	}
	text := strings.TrimSpace(v.Text())
	if text == "" || !strings.ContainsRune(kinds, rune(text[0])) {
		return
	}
	t, ok := document.Within(text, d.lim.MaxDepth)
	if !ok || !strings.ContainsRune(kinds, rune(t.Kind)) {
		return
	}
	written := t.AppendTo(nil)
	d.out.warnf(codeAlias, at, "%s is a text of JSON; it is written as JSON", lastPart(at)).Fix = []schemas.PatchOp{opReplace(at, written)}
	*v = t
}

func (d *decoder) object(to *schemas.Object, v *document.Tree, at string) {
	d.fromText(v, at, "{")
	if pairs := pairsOf(v); pairs != nil {
		raw := pairs.AppendTo(nil)
		d.out.warnf(codeAlias, at, "%s is an object: a list of names and values is taken as %s", lastPart(at), expr.Shorten(string(raw))).Fix =
			[]schemas.PatchOp{opReplace(at, raw)}
		*v = *pairs
	}
	if v.Kind != '{' {
		d.wrong(v, at, "an object")
		return
	}
	*to = schemas.Object(v.AppendTo(nil))
}

// boolean reads true or false, also as a text.
func (d *decoder) boolean(to *bool, v *document.Tree, at string) {
	switch {
	case v.Kind == 't' || v.Kind == 'f':
		*to = v.Kind == 't'
	case v.Kind == '"' && (strings.EqualFold(v.Text(), "true") || strings.EqualFold(v.Text(), "false")):
		*to = strings.EqualFold(v.Text(), "true")
		d.wrong(v, at, "true or false").Fix = []schemas.PatchOp{opReplace(at, json.RawMessage(strings.ToLower(v.Text())))}
	default:
		d.wrong(v, at, "true or false")
	}
}

// integer reads a whole number from low on; what is below is reported here, because 0 counts as absent later.
func (d *decoder) integer(to *int, v *document.Tree, at string, low int) {
	text := v.Raw
	if v.Kind == '"' {
		text = strings.TrimSpace(v.Text())
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, ".0"))
	switch {
	case v.Kind != '0' && (v.Kind != '"' || err != nil):
		want := "a whole number"
		if lastPart(at) == "priority" {
			want += " from 1 (first) to 5 (last)"
		}
		d.wrong(v, at, want)
	case err != nil:
		d.out.errorf(codeWrongType, at, "%s must be a whole number, got %s", lastPart(at), expr.Shorten(text))
	case v.Kind == '"':
		d.wrong(v, at, "a whole number").Fix = []schemas.PatchOp{opReplace(at, json.RawMessage(strconv.Itoa(n)))}
		*to = n
	case n < low:
		d.out.errorf(codeOutOfRange, at, "%s must be at least %d, got %d", lastPart(at), low, n)
	default:
		*to = n
	}
}

func (d *decoder) number(to *float64, v *document.Tree, at string) {
	n, err := strconv.ParseFloat(v.Raw, 64)
	if v.Kind != '0' || err != nil {
		d.wrong(v, at, "a number")
		return
	}
	*to = n
}

// durationName is the name of a duration in messages. One that is called time would read as the error of a library.
func durationName(at string) string {
	if name := lastPart(at); name != "time" {
		return name
	}
	return "limits.time"
}

func (d *decoder) duration(to *schemas.Duration, v *document.Tree, at string) {
	name := durationName(at)
	switch v.Kind {
	case '0':
		d.withoutUnit(at, v.Raw)
		return
	case '{':
		if fixed := inObject(v); fixed != "" {
			d.out.warnf(codeAlias, at, "%s: %s is taken as %s", name, expr.Shorten(string(v.AppendTo(nil))), fixed).Fix = []schemas.PatchOp{opReplaceText(at, fixed)}
			*to, _ = schemas.ParseDuration(fixed)
			return
		}
		d.wrong(v, at, `a duration such as "30s"`)
		return
	case '"':
	default:
		d.wrong(v, at, `a duration such as "30s"`)
		return
	}
	text := v.Text()
	if strings.Contains(text, "${") {
		d.out.errorf(codeInvalidDuration, at, "%s is fixed when the plan is accepted and takes no expression", name)
		return
	}
	value, err := schemas.ParseDuration(text)
	switch {
	case err != nil:
		if n, bare := strconv.ParseFloat(strings.TrimSpace(text), 64); bare == nil && n > 0 {
			d.withoutUnit(at, strings.TrimSpace(text))
			return
		}
		if fixed := spelledOut(text); fixed != "" {
			d.out.warnf(codeAlias, at, "%s: %s is taken as %s", name, expr.Shorten(text), fixed).Fix = []schemas.PatchOp{opReplaceText(at, fixed)}
			*to, _ = schemas.ParseDuration(fixed)
			return
		}
		f := d.out.errorf(codeInvalidDuration, at, "%s: %v", name, err)
		if m := shortClock.FindStringSubmatch(text); m != nil {
			f.Message += fmt.Sprintf("; write the unit: %q or %q", m[1]+"h"+m[2]+"m", m[1]+"m"+m[2]+"s")
		}
	case value == 0:
		d.out.errorf(codeOutOfRange, at, "%s must be longer than 0: write the longest time that is wanted, or leave it out for the default", name)
	default:
		*to = value
	}
}

func (d *decoder) retry(to **schemas.Retry, v *document.Tree, at string) {
	if v.Kind == '0' { // retry: 3
		if n, err := strconv.Atoi(v.Raw); err == nil && n >= 0 {
			fixed := json.RawMessage(fmt.Sprintf(`{"max_attempts":%d}`, n+1))
			d.out.warnf(codeAlias, at,
				"retry: %d is taken as %s (attempts count the first try)", n, fixed).Fix = []schemas.PatchOp{opReplace(at, fixed)}
			*to = &schemas.Retry{MaxAttempts: n + 1}
			return
		}
	}
	*to = new(schemas.Retry)
	switch v.Kind {
	case 'f':
		(*to).MaxAttempts = 1
		d.out.warnf(codeAlias, at, "retry: false is taken as {max_attempts: 1}").Fix = []schemas.PatchOp{opReplace(at, json.RawMessage(`{"max_attempts":1}`))}
	case '{':
		d.fields(*to, v, at, "retry")
	default:
		d.wrong(v, at, "an object such as {max_attempts: 3, initial_interval: 1s, backoff_coefficient: 2}").Message += "; " + sayAttempts
	}
}

// texts reads a list of strings; a single string counts as a list of one.
func (d *decoder) texts(to *[]string, v *document.Tree, at string) {
	if v.Kind == '"' {
		*to = []string{v.Text()}
		d.out.warnf(codeAlias, at, "%s is a list", lastPart(at)).Fix = []schemas.PatchOp{opReplace(at, json.RawMessage("["+v.Raw+"]"))}
		return
	}
	if v.Kind != '[' {
		d.wrong(v, at, "a list of strings")
		return
	}
	for i := range v.Items {
		if v.Items[i].Kind != '"' {
			d.wrong(&v.Items[i], schemas.PointerToItem(at, i), "a string")
			continue
		}
		*to = append(*to, v.Items[i].Text())
	}
}

func (d *decoder) codes(to *[]schemas.Code, v *document.Tree, at string) {
	var names []string
	if v.Kind == '[' && slices.ContainsFunc(v.Items, func(t document.Tree) bool { return t.Kind == '0' }) {
		d.wrong(v, at, "a list of codes such as rate_limited, unavailable, timeout and tool_error")
		return
	}
	d.texts(&names, v, at)
	for _, name := range names {
		*to = append(*to, schemas.Code(name))
	}
}

// capability reads "realm.name", or an object of both names.
func (d *decoder) capability(to *string, v *document.Tree, at string) {
	if v.Kind != '{' {
		if d.text(to, v, at); *to == "" && v.Kind != '"' {
			*to = unreadable
		}
		return
	}
	name, ok := capabilityOf(v)
	if !ok {
		d.wrong(v, at, `a string "realm.name"`)
		*to = unreadable
		return
	}
	*to = name
	d.out.warnf(codeAlias, at, "capability is written %q", *to).Fix = []schemas.PatchOp{opReplaceText(at, *to)}
}

// The two names of a capability in an object.
var (
	realmNames = strings.Fields("realm server server_name mcp_server mcp integration provider service connector")
	toolNames  = strings.Fields("name capability_name capability tool tool_name function action method")
)

// capabilityOf is the capability that an object of a realm and a tool names, and nothing else.
func capabilityOf(v *document.Tree) (string, bool) {
	if v.Kind != '{' || len(v.Names) != 2 || v.Items[0].Kind != '"' || v.Items[1].Kind != '"' {
		return "", false
	}
	for _, i := range []int{0, 1} {
		if slices.Contains(realmNames, snake(v.Names[i])) && slices.Contains(toolNames, snake(v.Names[1-i])) {
			return v.Items[i].Text() + "." + v.Items[1-i].Text(), true
		}
	}
	return "", false
}

// when reads a condition; true and false get a fix that makes them strings.
func (d *decoder) when(to *string, v *document.Tree, at string) {
	switch v.Kind {
	case 't', 'f':
		*to = "${" + v.Raw + "}"
		d.wrong(v, at, "a string with ${…}").Fix = []schemas.PatchOp{opReplaceText(at, *to)}
	case '[', '{':
		d.wrong(v, at, "a string with ${…}").Message += "; " + sayWhenAll
	default:
		d.text(to, v, at)
	}
}

func (d *decoder) wait(to *string, v *document.Tree, at string) {
	if v.Kind == '0' {
		*to = d.withoutUnit(at, v.Raw)
		return
	}
	if v.Kind == '{' {
		if fixed := inObject(v); fixed != "" {
			d.out.warnf(codeAlias, at, "%s: %s is taken as %s", lastPart(at), expr.Shorten(string(v.AppendTo(nil))), fixed).Fix = []schemas.PatchOp{opReplaceText(at, fixed)}
			*to = fixed
			return
		}
	}
	if d.text(to, v, at); v.Kind == '"' {
		if fixed := spelledOut(*to); fixed != "" {
			d.out.warnf(codeAlias, at, "%s: %s is taken as %s", lastPart(at), expr.Shorten(*to), fixed).Fix = []schemas.PatchOp{opReplaceText(at, fixed)}
			*to = fixed
		}
	}
}

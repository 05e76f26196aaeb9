package plan

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// units are the ends of names of durations in other languages, and the unit that they say.
var units = []struct {
	ends []string
	unit string
	in   int64 // milliseconds
}{
	{[]string{"ms", "msec", "msecs", "millis", "milliseconds", "millisecond", "in_ms"}, "ms", 1},
	{[]string{"s", "sec", "secs", "second", "seconds", "in_seconds"}, "s", 1000},
	{[]string{"m", "min", "mins", "minute", "minutes", "in_minutes"}, "m", 60_000},
	{[]string{"h", "hr", "hrs", "hour", "hours", "in_hours"}, "h", 3_600_000},
	{[]string{"d", "day", "days"}, "d", 86_400_000},
	{[]string{"w", "week", "weeks"}, "w", 7 * 86_400_000},
}

// durations are names of durations in other languages, and the fields that they are here, in the order of preference.
var durations = map[string][]string{
	"timeout": {"timeout", "expires", "time"}, "time_limit": {"timeout", "time"}, "max_duration": {"timeout", "time"}, "max_runtime": {"timeout", "time"}, "max_time": {"time"}, "duration": {"wait", "time"}, "execution_timeout": {"timeout"},
	"start_to_close_timeout": {"timeout"}, "active_deadline": {"timeout"}, "dagrun_timeout": {"timeout"}, "schedule_to_start_timeout": {"queue_timeout"},
	"schedule_to_close_timeout": {"total_timeout"}, "run_timeout": {"timeout"}, "call_timeout": {"timeout"},
	"attempt_timeout": {"timeout"}, "request_timeout": {"timeout"}, "step_timeout": {"timeout"}, "task_timeout": {"timeout"},
	"heartbeat":  {"heartbeat_timeout"},
	"total_time": {"total_timeout"}, "overall_timeout": {"total_timeout"},
	"expires": {"expires", "timeout"}, "expires_in": {"expires", "timeout"}, "expires_after": {"expires", "timeout"}, "ttl": {"expires"},
	"delay": {"initial_interval", "wait", "every"}, "initial_delay": {"initial_interval"}, "interval": {"initial_interval", "every"}, "poll_interval": {"every"}, "retry_delay": {"initial_interval"},
	"retry_interval": {"initial_interval"}, "backoff": {"initial_interval"}, "initial_backoff": {"initial_interval"}, "base_delay": {"initial_interval"},
	"min_delay": {"initial_interval"}, "wait_between": {"initial_interval"}, "wait_between_tries": {"initial_interval"},
	"max_delay": {"max_interval"}, "max_backoff": {"max_interval"}, "maximum_interval": {"max_interval"}, "max_retry_delay": {"max_interval"},
	"max_elapsed_time": {"max_elapsed"},
	"wait":             {"wait"}, "sleep": {"wait"}, "pause": {"wait"}, "seconds": {"wait"}, "wait_time": {"wait"},
}

// unit reads a field whose name is a duration of ours or of another language, perhaps with its unit at the end.
func (f *found) unit(table []field, plain string) bool {
	base, unit, in := plain, "", int64(0)
	for _, u := range units {
		for _, end := range u.ends {
			if rest, ok := strings.CutSuffix(plain, "_"+end); ok && len(rest) > 0 && (unit == "" || len(rest) < len(base)) {
				base, unit, in = rest, u.unit, u.in
			}
		}
	}
	field := durationField(table, base)
	if field == "" {
		if field = durationField(table, plain); field == "" {
			return false
		}
		unit = ""
	}
	if f.kind == "node" && field == "wait" && (f.has("capability") || f.calls()) {
		return f.refused("a call starts when its dependencies have ended; to wait before it, add a node with wait: \"10s\" and depend on it")
	}
	text := f.value.Raw
	if f.value.Kind == '"' {
		text = strings.TrimSpace(f.value.Text())
	}
	number, err := strconv.ParseFloat(text, 64)
	if _, bad := schemas.ParseDuration(text); f.value.Kind == '"' && err != nil && bad == nil && unit != "" && !ofUnit(text, unit) {
		return f.refused(fmt.Sprintf("its name says %s and its value %s: write %s: %q", unit, expr.Shorten(text), field, text))
	}
	if f.kind == "node" && (base == "execution_timeout" || base == "task_timeout") && f.has("retry") {
		return f.refused("timeout is the longest time of one attempt, total_timeout that of all attempts")
	}
	if inner, ok := strings.CutPrefix(text, "${"); ok && unit != "" {
		if field != "wait" || unit == "w" || strings.Index(inner, "}") != len(inner)-1 {
			return f.refused("write the unit into the value, as in wait: \"${inputs.seconds}s\"; a timeout is fixed when the plan is accepted")
		}
		return f.written(field, document.Quote(text+unit))
	}
	switch {
	case err != nil && f.value.Kind == '"': // it says its own unit, or is refused by the field
		f.becomes(field)
		return true
	case err != nil || number <= 0 || unit == "":
		f.becomes(field)
		return true
	}
	if strings.ContainsAny(text, ".eE") { // a part of a unit, in milliseconds
		exact, ok := new(big.Rat).SetString(text)
		if !ok || !exact.Mul(exact, new(big.Rat).SetInt64(in)).IsInt() {
			return f.refused(`write the time with a whole number, as in "1500ms"`)
		}
		text, unit = exact.Num().String(), "ms"
	}
	if unit == "w" {
		text, unit = strconv.FormatFloat(7*number, 'f', -1, 64), "d"
	}
	return f.written(field, document.Quote(text+unit))
}

// ofUnit reports whether a duration is written in the unit that the name of its field says.
func ofUnit(text, unit string) bool {
	own := strings.TrimLeft(text, "0123456789. ")
	for _, u := range units {
		if u.unit == unit {
			return slices.Contains(u.ends, strings.ToLower(own))
		}
	}
	return false
}

// durationField is the duration of an object that a name means; empty: none.
func durationField(table []field, name string) string {
	for _, to := range append([]string{name}, durations[name]...) {
		if f := findField(table, to); f != nil && (f.isDuration || to == "wait" || to == "every") {
			return to
		}
	}
	return ""
}

// unitOf is the unit of a number without one at a JSON pointer: seconds, where it is so small that milliseconds would be absurd. Of any other
// number it is not certain, and say is what it may be.
func unitOf(at, number string) (unit, say string) {
	name := lastPart(at)
	n, err := strconv.ParseFloat(number, 64)
	const most = 100
	if err != nil || n <= 0 || n != float64(int64(n)) {
		return "", `such as "30s", "500ms" or "2h"`
	}
	switch {
	case name == "expires" || strings.Count(at, "/") == 1: // of a person, or of the whole plan: it may be minutes
		return "", fmt.Sprintf("%q, %q or %q", number+"s", number+"m", number+"h")
	case n < most:
		return "s", ""
	}
	return "", fmt.Sprintf("%q or %q", number+"s", number+"ms")
}

// withoutUnit reports a number where a duration is wanted, and returns what stands in its place meanwhile.
func (d *decoder) withoutUnit(at, number string) string {
	name := durationName(at)
	unit, say := unitOf(at, number)
	if unit == "" {
		d.out.errorf(codeInvalidDuration, at, "%s needs a unit: write %s instead of %s", name, say, number)
		return "1s"
	}
	d.out.errorf(codeInvalidDuration, at, "%s needs a unit: write %q instead of %s", name, number+unit, number).Fix =
		[]schemas.PatchOp{opReplaceText(at, number+unit)}
	return number + unit
}

// spelled is a number and the name of a unit, perhaps several times: "5 minutes", "1 hour 30 min".
var spelled = regexp.MustCompile(`(?i)^\s*(?:(\d+)\s*([a-z]+)[\s,]*(?:and\s+)?)+$`)

var clock = regexp.MustCompile(`^\s*(\d{1,2}):(\d{2}):(\d{2})\s*$`)

// shortClock is a time of hours and minutes, or of minutes and seconds.
var shortClock = regexp.MustCompile(`^\s*(\d{1,2}):(\d{2})\s*$`)

var spelledPart = regexp.MustCompile(`(?i)(\d+)\s*([a-z]+)`)

// spelledOut is a duration in our spelling that is written with names of units; empty: it is not.
func spelledOut(text string) string {
	if m := clock.FindStringSubmatch(text); m != nil { // hours, minutes and seconds
		if d, err := schemas.ParseDuration(m[1] + "h" + m[2] + "m" + m[3] + "s"); err == nil && d > 0 {
			return d.String()
		}
		return ""
	}
	if _, err := schemas.ParseDuration(text); err == nil || len(text) > 64 || !spelled.MatchString(text) {
		return ""
	}
	var b strings.Builder
	for _, part := range spelledPart.FindAllStringSubmatch(text, -1) {
		if strings.EqualFold(part[2], "and") {
			continue
		}
		unit := ""
		for _, u := range units {
			if slices.Contains(u.ends, strings.ToLower(part[2])) {
				unit = u.unit
			}
		}
		if unit == "" {
			return ""
		}
		n := part[1]
		if unit == "w" {
			weeks, err := strconv.Atoi(n)
			if err != nil || weeks > 1000 {
				return ""
			}
			n, unit = strconv.Itoa(7*weeks), "d"
		}
		b.WriteString(n + unit)
	}
	if _, err := schemas.ParseDuration(b.String()); err != nil {
		return ""
	}
	return b.String()
}

// inObject is a duration whose parts are members of an object, such as {hours: 1, minutes: 30} or {value: 10, unit: minutes}; empty: it is not.
func inObject(v *document.Tree) string {
	var parts []string
	if value, unit := v.Get("value"), v.Get("unit"); value != nil && unit != nil && len(v.Names) == 2 && unit.Kind == '"' {
		parts = append(parts, value.Raw+" "+unit.Text())
	} else {
		for i, name := range v.Names {
			parts = append(parts, v.Items[i].Raw+" "+snake(name))
		}
	}
	return spelledOut(strings.Join(parts, " "))
}

package schemas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a length of time that is a string on the wire: "500ms", "1h30m" (Go's units, plus d for 24 h) or an
// ISO 8601 time duration, "PT30S". A bare number is refused: it does not say whether it means seconds or milliseconds.
type Duration time.Duration

// Std converts d to the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String prints the canonical form: Go's, without zero parts at the end ("1h30m", not "1h30m0s").
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Truncate returns d in whole milliseconds, for people to read.
func (d Duration) Truncate() Duration { return Duration(d.Std().Truncate(time.Millisecond)) }

// MarshalJSON writes the canonical string.
func (d Duration) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(d.String())), nil }

// UnmarshalJSON parses a string that [ParseDuration] accepts.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string with a unit: write %s instead of %s", shownDuration(string(b)+"s"), Cut(string(b), 60, Ellipsis))
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// JSONSchema describes the string form by examples: a field's own description would replace one given here.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Examples: []any{"1h30m"}}
}

var (
	isoDuration  = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)
	dayDuration  = regexp.MustCompile(`^(\d+)d(.*)$`)
	bareDuration = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
)

// ParseDuration parses "500ms", "1h30m", "2d", "2d12h" or "PT30S". Negative values and values without a unit are errors
// that say what to write instead.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	switch {
	case text == "":
		return 0, fmt.Errorf(`empty duration: write for example "30s"`)
	case bareDuration.MatchString(text) && text != "0":
		return 0, fmt.Errorf("duration %s has no unit: write %s", shownDuration(s), shownDuration(text+"s"))
	case strings.HasPrefix(text, "P"):
		return parseISO(text)
	}
	var days time.Duration
	if m := dayDuration.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 32)
		if err != nil || n > maxDays {
			return 0, fmt.Errorf("duration %s is longer than %d days", shownDuration(s), maxDays)
		}
		days, text = time.Duration(n)*24*time.Hour, m[2]
		if text == "" {
			return Duration(days), nil
		}
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf(`invalid duration %s: use a number with ns, us, ms, s, m, h or d, such as "1h30m"`, shownDuration(s))
	}
	switch {
	case v < 0:
		return 0, fmt.Errorf("duration %s is negative", shownDuration(s))
	case v > maxDays*24*time.Hour-days:
		return 0, fmt.Errorf("duration %s is longer than %d days", shownDuration(s), maxDays)
	}
	return Duration(days + v), nil
}

// shownDuration is a text that is no duration, as an error repeats it.
func shownDuration(s string) string { return Quote(s, 60) }

// maxDays keeps every sum of parts far from overflow; a century is longer than any plan waits.
const maxDays = 36500

func parseISO(s string) (Duration, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, fmt.Errorf(`invalid duration %s: ISO 8601 looks like "PT30S", "PT1H30M" or "P1DT12H" (no months or years)`, shownDuration(s))
	}
	var total float64 // seconds
	for i, unit := range []float64{86400, 3600, 60, 1} {
		if m[i+1] == "" {
			continue
		}
		n, _ := strconv.ParseFloat(m[i+1], 64) // its only error is a number out of range, which is infinite then
		total += n * unit
	}
	if total > maxDays*86400 {
		return 0, fmt.Errorf("duration %s is longer than %d days", shownDuration(s), maxDays)
	}
	return Duration(total * float64(time.Second)), nil
}

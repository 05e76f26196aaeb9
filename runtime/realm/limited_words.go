package realm

import (
	"regexp"
	"strings"
	"time"
)

// retryWords match what says after how long to try again: "retry after 30 seconds", "try again in 6m0s", "Retry-After: 5".
var retryWords = regexp.MustCompile(`(?i)\b(?:retry[- _]?after:?|(?:re)?try(?: again| the request| this request| your request)*,? (?:in|after)) ` +
	`?(?:about |approximately |another )?([0-9][0-9a-z.]{0,20})(?: ?([a-z]{1,15}))?`)

// unitsInWords are units of time as people write them, in seconds. Without one seconds are meant.
var unitsInWords = func() map[string]float64 {
	units := map[string]float64{"": 1}
	for unit, names := range map[float64]string{
		1e-3: "ms msec msecs milli millis millisecond milliseconds", 1: "s sec secs second seconds", 60: "m min mins minute minutes",
		3600: "h hr hrs hour hours", 86400: "day days",
	} {
		for _, name := range strings.Fields(names) {
			units[name] = unit
		}
	}
	return units
}()

// maxWords is how much of a text is looked at.
const maxWords = 4 << 10

// timeInWords is the seconds that a text says, 0 if they are not believed, and whether it says any. A number of something else is none.
func timeInWords(text string) (after int64, said bool) {
	m := retryWords.FindStringSubmatch(text[:min(len(text), maxWords)])
	if m == nil {
		return 0, false
	}
	number, word := strings.ToLower(strings.TrimRight(m[1], ".")), strings.ToLower(m[2])
	if d, err := time.ParseDuration(number); err == nil && number != "0" {
		return seconds(d.Seconds()), true
	}
	if strings.Trim(number, "0123456789.") != "" {
		cut := strings.IndexFunc(number, func(r rune) bool { return r >= 'a' && r <= 'z' })
		number, word = number[:cut], number[cut:]
	} else if strings.HasSuffix(m[1], ".") {
		word = "" // the sentence ended
	}
	unit, known := unitsInWords[word]
	if !known {
		return 0, false
	}
	return wholeSeconds(number, unit), true
}

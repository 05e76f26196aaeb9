package realm

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A realm refuses a call for now with HTTP 429, with a JSON-RPC error, or with a failed result that passes on what an API has said.
// What it says about the time is taken as far as it makes sense; without it the caller waits longer each time.
//
// A call that was refused did nothing, and is repeated more often than others. An answer that only says after how long to try again may
// also come from a tool that ran ("it is being processed, ask again in 30 s"), so it is a refusal only of calls that may run twice.

// maxRetryAfter is the longest time that a realm is believed. Longer ones are mostly times of day, or meant as an endless one.
const maxRetryAfter = 24 * time.Hour

// retryAfter parses the seconds or date of the header; 0: it has neither, or none that is believed.
func retryAfter(header string) int64 {
	header = strings.TrimSpace(header)
	if strings.Trim(header, "0123456789.") == "" {
		return wholeSeconds(header, 1)
	}
	if at, err := http.ParseTime(header); err == nil {
		return seconds(time.Until(at).Seconds())
	}
	return 0
}

// wholeSeconds is a number in the unit as seconds.
func wholeSeconds(number string, unit float64) int64 {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return seconds(n * unit)
}

// seconds is s rounded up; 0 if it is not believed.
func seconds(s float64) int64 {
	if s > 0 && s <= maxRetryAfter.Seconds() {
		return int64(math.Ceil(s))
	}
	return 0
}

// limitText matches the whole of a message, or its beginning, that says that calls come too fast.
var limitText = regexp.MustCompile(`(?i)^\W*((mcp )?error:?( -?\d+)?[:,]? )?((http )?(status )?429\b|too many requests|rate[ _-]?limit(s|ed)?\W*(exceeded|reached|hit|error|$)|rate[ _-]?limited\b)`)

// limitCodes are codes with which errors in JSON name a rate limit.
var limitCodes = regexp.MustCompile(`(?i)^(429|rate_?limit(ed)?(_?(exceeded|error|reached))?|too_?many_?requests)$`)

// rpcRateLimited are codes of JSON-RPC errors that are used for it.
var rpcRateLimited = []int{429, -32029}

// retryFields are the fields that say after how long to try again, with their units in seconds.
var retryFields = []struct {
	name string
	unit float64
}{{"retry_after_seconds", 1}, {"retryAfterSeconds", 1}, {"retry_after", 1}, {"retryAfter", 1}, {"retry_after_ms", 1e-3}, {"retryAfterMs",
	1e-3}}

// isLimitError reports whether the realm answered with an error that refuses the call for now.
func (f *fault) isLimitError() bool {
	if f.rpc == nil {
		return false
	}
	return rpc(rpcRateLimited...)(f) || limitText.MatchString(f.rpc.Message) || f.refuses(f.limit())
}

// isLimitResult reports whether the realm answered with a failed result that refuses the call for now.
func (f *fault) isLimitResult() bool {
	if f.result == nil || !f.result.IsError {
		return false
	}
	return limitText.MatchString(f.result.text()) || f.refuses(f.limit())
}

// limit is what the answer says about a limit, as JSON or else in words.
func (f *fault) limit() (l limit) {
	text := ""
	switch {
	case f.rpc != nil:
		l, text = readLimit(f.errorData()), f.rpc.Message
	case f.result != nil:
		l, text = readLimit(f.resultData()), f.result.text()
	}
	if !l.timed && (f.rpc != nil || f.result != nil && f.result.IsError) {
		l.after, l.timed = timeInWords(text)
	}
	return l
}

func (f *fault) refuses(l limit) bool { return l.named || l.timed && f.repeatable }

// resultData is the JSON of a failed result: structured, or as its text.
func (f *fault) resultData() []byte {
	if len(f.result.Structured) > 0 && string(f.result.Structured) != "null" {
		return f.result.Structured
	}
	return []byte(f.result.text())
}

func (f *fault) errorData() []byte {
	data, err := json.Marshal(f.rpc.Data)
	if err != nil {
		return nil
	}
	return data
}

// limit is what JSON in an answer says about a limit of calls.
type limit struct {
	named bool  // it names a rate limit, by a code or in words
	timed bool  // it says after how long to try again
	after int64 // that, in seconds; 0: it does not say, or it is not believed
}

// readLimit reads a JSON object, or the object "error" in it.
func readLimit(raw []byte) (l limit) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return l
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return l
	}
	if inner := fields["error"]; len(inner) > 0 && inner[0] == '{' {
		l = readLimit(inner)
	}
	for _, f := range retryFields {
		if v, ok := fields[f.name]; ok {
			if number := strings.Trim(string(v), `"`); number != "" && strings.Trim(number, "0123456789.eE+-") == "" {
				l.timed, l.after = true, wholeSeconds(number, f.unit)
				break
			}
		}
	}
	for _, name := range []string{"code", "error", "status", "type"} {
		l.named = l.named || limitCodes.MatchString(strings.Trim(string(fields[name]), `"`))
	}
	for _, name := range []string{"error", "message", "detail"} {
		if v := fields[name]; len(v) > 0 && v[0] == '"' {
			l.named = l.named || limitText.Match(v)
		}
	}
	return l
}

// after is the seconds after which the realm says that it may be called again; 0: it does not say.
func (f *fault) after() int64 {
	return max(f.limit().after, f.retryAfter)
}

package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Check validates a schedule that is about to be set. Beyond what [New] refuses, which also reads schedules that were set long ago, it
// refuses an expression that cannot mean what it says. The errors are those of New.
func Check(s *schemas.Schedule, now time.Time) error {
	if _, err := New(s, now); err != nil {
		return err
	}
	fields := strings.Fields(s.Cron)
	for i, field := range fields {
		if err := hollow(s.Cron, i, field); err != nil {
			return err
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return missing(s.Cron, fields)
}

// cronRanges are the smallest and largest value of each field.
var cronRanges = [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}

// hollow is the error of a step that leads from its first value past the end of its range: it fires at that value alone, and never every
// so many as it says. A step of exactly the whole field, such as 24 hours, does what it says, except for days, since months differ.
func hollow(expression string, field int, text string) error {
	for part := range strings.SplitSeq(text, ",") {
		of, every, stepped := strings.Cut(part, "/")
		step, err := strconv.Atoi(every)
		if !stepped || err != nil {
			continue
		}
		first, last := cronRanges[field][0], cronRanges[field][1]
		whole := of == "*" || of == "?"
		if !whole {
			from, to, isRange := strings.Cut(of, "-")
			first = valueOf(field, from)
			if isRange {
				last = valueOf(field, to)
			}
		}
		size := last - first + 1
		if step < size || step == size && (whole && field != 2 || step == 1) {
			continue
		}
		hint := fmt.Sprintf("for that value alone write %d in its place", first)
		if every := everyOf(field, step); whole && every != "" {
			hint = fmt.Sprintf("for an interval write every: %q instead of cron; ", every) + hint
		}
		return wrong("cron", "cron %.80q: %.40q of %s (field %d) never makes its second step: it is %d alone", expression, part, cronFields[field],
			field+1, first).WithHint("%s", hint)
	}
	return nil
}

// everyOf is an interval of so many minutes, hours or days; empty: the field counts something else.
func everyOf(field, n int) string {
	switch field {
	case 0:
		if n%60 == 0 {
			return fmt.Sprintf("%dh", n/60)
		}
		return schemas.Duration(time.Duration(n) * time.Minute).String()
	case 1:
		return fmt.Sprintf("%dh", n)
	case 2:
		return fmt.Sprintf("%dd", n)
	}
	return ""
}

// missing is the error of a month that has none of the days that stand beside it.
func missing(expression string, fields []string) error {
	days := valuesOf(2, fields[2])
	if len(days) == 0 || strings.ContainsAny(fields[3], "*?") {
		return nil
	}
	for part := range strings.SplitSeq(fields[3], ",") {
		months := valuesOf(3, part)
		if !slices.ContainsFunc(months, func(month int) bool { return slices.Min(days) <= longest[month-1] }) {
			return wrong("cron", "cron %.80q names a day that does not exist: month %.20q has no day %d", expression, part, slices.Min(days)).
				WithHint("for the last day of a month, fire on the first of the next one; or name a day that each month has")
		}
	}
	return nil
}

// longest is how many days a month has at most.
var longest = [12]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// valuesOf lists the values of a valid field; none: it is any.
func valuesOf(field int, text string) (values []int) {
	for part := range strings.SplitSeq(text, ",") {
		of, every, stepped := strings.Cut(part, "/")
		step, err := strconv.Atoi(every)
		if err != nil {
			step = 1
		}
		from, to, isRange := strings.Cut(of, "-")
		first, last := cronRanges[field][0], cronRanges[field][1]
		if of != "*" && of != "?" {
			first = valueOf(field, from)
			switch {
			case isRange:
				last = valueOf(field, to)
			case !stepped:
				last = first
			}
		} else if !stepped {
			return nil
		}
		for v := first; v <= last; v += step {
			values = append(values, v)
		}
	}
	return values
}

// valueOf is a number of a valid field, or the name of a month or a day.
func valueOf(field int, text string) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	for v := cronRanges[field][0]; v <= cronRanges[field][1]; v++ {
		name := time.Month(max(v, 1)).String()
		if field == 4 {
			name = time.Weekday(v).String()
		}
		if len(text) == 3 && strings.EqualFold(name[:3], text) {
			return v
		}
	}
	return cronRanges[field][0]
}

package schedule

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// cronFields are the parts of an expression, in their order.
var cronFields = []string{"minute", "hour", "day of month", "month", "day of week"}

const cronHint = `five fields: minute (0-59) hour (0-23) day of month (1-31) month (1-12 or JAN-DEC) day of week (0-6 or SUN-SAT); ` +
	`"0 3 * * *" is every day at 03:00, "*/15 9-17 * * MON-FRI" every 15 minutes from 9 to 17 on weekdays`

// parse parses an expression of five fields. The error names the invalid field.
func parse(expression string, zone *time.Location) (*Times, error) {
	fields := strings.Fields(expression)
	if len(fields) != len(cronFields) {
		return nil, wrong("cron", "cron %.80q has %d fields, want %d", expression, len(fields), len(cronFields)).WithHint(cronHint)
	}
	for i, field := range fields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = field
		if _, err := cron.ParseStandard(strings.Join(alone, " ")); err != nil {
			return nil, wrong("cron", "cron %.80q: invalid %s (field %d) %.40q: %.120s", expression, cronFields[i], i+1, field, err).
				WithHint(cronHint)
		}
	}
	parsed, err := cron.ParseStandard(strings.Join(fields, " "))
	spec, ok := parsed.(*cron.SpecSchedule)
	if err != nil || !ok {
		return nil, wrong("cron", "invalid cron %.80q", expression).WithHint(cronHint)
	}
	t := &Times{spec: spec, zone: zone, wall: !strings.HasPrefix(fields[0], "*") && !strings.HasPrefix(fields[1], "*")}
	spec.Location = zone
	if t.wall {
		spec.Location = time.UTC
	}
	return t, nil
}

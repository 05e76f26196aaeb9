package schedule

import (
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/runplane/runplane/schemas"
)

// Times are the times at which a schedule fires. They are immutable and safe for concurrent use.
type Times struct {
	every time.Duration
	from  time.Time // start of the intervals

	spec *cron.SpecSchedule
	zone *time.Location
	wall bool // the expression names times of a day, see the package comment
}

// New validates a schedule that is set at a time. The error is a *schemas.Error whose field is a JSON pointer below /schedule.
func New(s *schemas.Schedule, set time.Time) (*Times, error) {
	switch {
	case s.Cron != "" && s.Every != 0:
		return nil, wrong("every", "a schedule has either cron or every, not both")
	case s.None():
		return nil, wrong("cron", "a schedule needs cron or every")
	case s.Every != 0 && s.Every.Std() < MinEvery:
		return nil, wrong("every", "every is %s (minimum %s)", s.Every, schemas.Duration(MinEvery))
	case s.Every != 0 && s.Timezone != "":
		return nil, wrong("timezone", "a schedule with every has no time zone")
	case s.Overlap != "" && !slices.Contains(schemas.Overlaps(), s.Overlap):
		return nil, wrong("overlap", "overlap must be skip, queue or allow")
	case s.CatchUp != nil && (*s.CatchUp < 0 || *s.CatchUp > MaxCatchUp):
		return nil, wrong("catch_up", "catch_up must be 0 to %d", MaxCatchUp)
	case s.Every != 0:
		return &Times{every: s.Every.Std(), from: set}, nil
	}
	zone, err := location(s.Timezone)
	if err != nil {
		return nil, err
	}
	t, err := parse(s.Cron, zone)
	if err != nil {
		return nil, err
	}
	if t.Next(set).IsZero() {
		return nil, wrong("cron", "cron %q names a day that does not exist", s.Cron)
	}
	return t, nil
}

// Bounds of a schedule.
const (
	MinEvery   = time.Second
	MaxCatchUp = 100
)

// location loads a zone of the IANA database. "Local" is refused, since it differs between the machines of replicas.
func location(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, wrong("timezone", "unknown time zone %.60q", name).
			WithHint("use a name of the IANA database such as Europe/Berlin or America/New_York, or omit it for UTC")
	}
	return zone, nil
}

func wrong(field, message string, args ...any) *schemas.Error {
	return schemas.Errorf(schemas.CodeInvalidArgument, message, args...).WithField("/schedule/" + field)
}

// Next is the first firing after a time, in UTC; zero: there is none within five years.
func (t *Times) Next(after time.Time) time.Time {
	switch {
	case t.every > 0 && after.Before(t.from):
		return t.from.Add(t.every).UTC()
	case t.every > 0:
		n := after.Sub(t.from)/t.every + 1
		return t.from.Add(n * t.every).UTC()
	case !t.wall:
		at := t.spec.Next(after.In(t.zone))
		if at.IsZero() {
			return at
		}
		return at.UTC()
	}
	for local := localOf(after.In(t.zone)); ; {
		if local = t.spec.Next(local); local.IsZero() {
			return local
		}
		if at := t.instant(local); at.After(after) {
			return at.UTC()
		}
	}
}

// localOf is the local time as if it were UTC.
func localOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when a local time occurs: the first time if it occurs twice, and the end of the jump if it is skipped.
func (t *Times) instant(local time.Time) time.Time {
	near := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, t.zone)
	_, before := near.Add(-24 * time.Hour).Zone()
	_, after := near.Add(24 * time.Hour).Zone()
	early := local.Add(-time.Duration(max(before, after)) * time.Second).In(t.zone)
	late := local.Add(-time.Duration(min(before, after)) * time.Second).In(t.zone)
	for _, at := range []time.Time{early, late} {
		if localOf(at).Equal(local) {
			return at
		}
	}
	jump, _ := late.ZoneBounds()
	return jump
}

// Newest are the last n firings after `after` and not after until, the oldest first.
func (t *Times) Newest(after, until time.Time, n int) []time.Time {
	if n <= 0 || !after.Before(until) {
		return nil
	}
	if t.every > 0 {
		return t.newestEvery(after, until, n)
	}
	for window := time.Hour; ; window = min(window*8, maxWindow) { // search backwards from until: there may be millions of firings before
		start := until.Add(-window)
		whole := !start.After(after) || window == maxWindow
		if whole {
			start = after
		}
		var found []time.Time
		for at := t.Next(start); !at.IsZero() && !at.After(until); at = t.Next(at) {
			found = append(found, at)
		}
		if len(found) >= n || whole {
			return found[max(0, len(found)-n):]
		}
	}
}

// maxWindow is longer than any schedule goes unchecked.
const maxWindow = 100 * 365 * 24 * time.Hour

func (t *Times) newestEvery(after, until time.Time, n int) (found []time.Time) {
	last := until.Sub(t.from) / t.every
	for k := max(1, after.Sub(t.from)/t.every+1, last-time.Duration(n)+1); k <= last; k++ {
		if at := t.from.Add(k * t.every).UTC(); at.After(after) {
			found = append(found, at)
		}
	}
	return found
}

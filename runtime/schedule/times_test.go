package schedule

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func times(t *testing.T, s schemas.Schedule, set time.Time) *Times {
	t.Helper()
	v, err := New(&s, set)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return v
}

// What follows a time, in the zone's own clock; the offset tells which of two equal times it is.
func TestNextThroughChangesOfTheClock(t *testing.T) {
	for _, tt := range []struct {
		name, cron, zone, from string
		want                   []string
	}{
		{"plain", "0 3 * * *", "", "2026-01-31 12:00 +0000", []string{"2026-02-01 03:00 +0000", "2026-02-02 03:00 +0000"}},
		{"at work", "0 9,17 * * MON-FRI", "Asia/Tokyo", "2026-01-02 12:00 +0900", []string{"2026-01-02 17:00 +0900", "2026-01-05 09:00 +0900"}},
		{"leap day", "0 0 29 2 *", "", "2026-01-01 00:00 +0000", []string{"2028-02-29 00:00 +0000", "2032-02-29 00:00 +0000"}},
		{"day of month or of week", "0 0 13 * FRI", "", "2026-02-11 00:00 +0000", []string{"2026-02-13 00:00 +0000", "2026-02-20 00:00 +0000"}},
		{
			"left out by the clock: at the end of the jump", "30 2 * * *", "America/New_York", "2026-03-07 12:00 -0500",
			[]string{"2026-03-08 03:00 -0400", "2026-03-09 02:30 -0400"},
		},
		{
			"several left out: once", "0,15,30 2 * * *", "America/New_York", "2026-03-07 12:00 -0500",
			[]string{"2026-03-08 03:00 -0400", "2026-03-09 02:00 -0400"},
		},
		{
			"shown twice: the first time", "30 1 * * *", "America/New_York", "2026-10-31 12:00 -0400",
			[]string{"2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"},
		},
		{
			"asked within the hour that comes again", "30 1 * * *", "America/New_York", "2026-11-01 01:10 -0500",
			[]string{"2026-11-02 01:30 -0500"},
		},
		{
			"each hour, forward", "0 * * * *", "Europe/Berlin", "2026-03-29 00:30 +0100",
			[]string{"2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200", "2026-03-29 04:00 +0200"},
		},
		{
			"each hour, back", "0 * * * *", "Europe/Berlin", "2026-10-25 01:30 +0200",
			[]string{"2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00 +0100"},
		},
		{
			"quarters at night, back", "*/30 1 * * *", "America/New_York", "2026-11-01 00:30 -0400",
			[]string{"2026-11-01 01:00 -0400", "2026-11-01 01:30 -0400", "2026-11-01 01:00 -0500", "2026-11-01 01:30 -0500", "2026-11-02 01:00 -0500"},
		},
		{
			"a day without midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00 -0300",
			[]string{"2018-11-04 01:00 -0200", "2018-11-05 00:00 -0200"},
		},
		{
			"half an hour forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00 +1030",
			[]string{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, now := times(t, schemas.Schedule{Cron: tt.cron, Timezone: tt.zone}, at(t, tt.from)), at(t, tt.from)
			for _, w := range tt.want {
				if now = v.Next(now); !now.Equal(at(t, w)) {
					t.Errorf("got %s, want %s", now.In(v.zone), w)
				}
			}
		})
	}
}

// In ten years a time of the day comes once a day, whatever the clock does, and a quarter of an hour each quarter that passes.
func TestTenYears(t *testing.T) {
	from, until := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, zone := range []string{"", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"} {
		for _, cron := range []string{"30 2 * * *", "0 0 * * *", "59 1 * * *", "0 3 * * *"} {
			v := times(t, schemas.Schedule{Cron: cron, Timezone: zone}, from)
			seen, day := 0, ""
			for now := v.Next(from); now.Before(until); now = v.Next(now) {
				if d := now.In(v.zone).Format(time.DateOnly); d == day {
					t.Errorf("%s %s: twice on %s", zone, cron, d)
				} else {
					day, seen = d, seen+1
				}
			}
			if days := int(until.Sub(from).Hours() / 24); seen < days-1 || seen > days+1 { // the ends lie somewhere in a day
				t.Errorf("%s %s: %d firings in %d days", zone, cron, seen, days)
			}
		}
		v := times(t, schemas.Schedule{Cron: "*/15 * * * *", Timezone: zone}, from)
		last := v.Next(from)
		for now := v.Next(last); now.Before(from.AddDate(1, 0, 0)); now = v.Next(now) {
			if d := now.Sub(last); d != 15*time.Minute {
				t.Errorf("%s: %s between %s and %s", zone, d, last, now)
			}
			last = now
		}
	}
}

func TestNewest(t *testing.T) {
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		s     schemas.Schedule
		after time.Duration // from start
		until time.Duration
		n     int
		want  []time.Duration
	}{
		{schemas.Schedule{Every: schemas.Duration(time.Hour)}, 0, 150 * time.Minute, 5, []time.Duration{time.Hour, 2 * time.Hour}},
		{schemas.Schedule{Every: schemas.Duration(time.Hour)}, time.Hour, 3 * time.Hour, 5, []time.Duration{2 * time.Hour, 3 * time.Hour}},
		{schemas.Schedule{Every: schemas.Duration(time.Second)}, 0, 50000 * time.Hour, 2, []time.Duration{50000*time.Hour - time.Second, 50000 * time.Hour}},
		{schemas.Schedule{Every: schemas.Duration(time.Hour)}, -time.Hour, 30 * time.Minute, 2, nil},
		{schemas.Schedule{Every: schemas.Duration(30000 * time.Hour)}, 0, 70000 * time.Hour, 100, []time.Duration{30000 * time.Hour, 60000 * time.Hour}},
		{schemas.Schedule{Cron: "* * * * *"}, 0, 40000 * time.Hour, 2, []time.Duration{40000*time.Hour - time.Minute, 40000 * time.Hour}},
		{schemas.Schedule{Cron: "0 0 * * *"}, 0, 48 * time.Hour, 9, []time.Duration{24 * time.Hour, 48 * time.Hour}},
		{schemas.Schedule{Cron: "0 0 * * *"}, 24 * time.Hour, 47 * time.Hour, 9, nil},
		{schemas.Schedule{Cron: "0 0 1 1 *"}, 0, 3 * 366 * 24 * time.Hour, 2, []time.Duration{(366 + 365) * 24 * time.Hour, (366 + 2*365) * 24 * time.Hour}},
		{schemas.Schedule{Cron: "0 0 * * *"}, 0, 48 * time.Hour, 0, nil},
	} {
		var got []time.Duration
		for _, v := range times(t, tt.s, start).Newest(start.Add(tt.after), start.Add(tt.until), tt.n) {
			got = append(got, v.Sub(start))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v from %s to %s: got %v, want %v", tt.s, tt.after, tt.until, got, tt.want)
		}
	}
}

func TestInvalidSchedulesNameTheField(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		s     schemas.Schedule
		field string
		names string
	}{
		{schemas.Schedule{Cron: "61 * * * *"}, "cron", "minute (field 1)"},
		{schemas.Schedule{Cron: "* 25 * * *"}, "cron", "hour (field 2)"},
		{schemas.Schedule{Cron: "* * 0 * *"}, "cron", "day of month (field 3)"},
		{schemas.Schedule{Cron: "* * * FOO *"}, "cron", "month (field 4)"},
		{schemas.Schedule{Cron: "* * * * 8"}, "cron", "day of week (field 5)"},
		{schemas.Schedule{Cron: "*/0 * * * *"}, "cron", "minute (field 1)"},
		{schemas.Schedule{Cron: "9-5 * * * *"}, "cron", "minute (field 1)"},
		{schemas.Schedule{Cron: "0 0 3 * * *"}, "cron", "6 fields"},
		{schemas.Schedule{Cron: "@daily"}, "cron", "1 fields"},
		{schemas.Schedule{Cron: "TZ=UTC 0 3 * *"}, "cron", "minute (field 1)"},
		{schemas.Schedule{Cron: "0 0 30 2 *"}, "cron", "does not exist"},
		{schemas.Schedule{Cron: "0 0 31 feb,SEP FRI"}, "cron", `month "feb" has no day 31`},
		{schemas.Schedule{Cron: "0 0 31 1,4 *"}, "cron", `month "4" has no day 31`},
		{schemas.Schedule{Cron: "0 0 30-31 2 MON"}, "cron", `month "2" has no day 30`},
		{schemas.Schedule{Cron: "*/90 * * * *"}, "cron", `"*/90" of minute (field 1) never makes its second step: it is 0 alone`},
		{schemas.Schedule{Cron: "5,*/61 * * * *"}, "cron", `"*/61"`},
		{schemas.Schedule{Cron: "30/45 * * * *"}, "cron", `"30/45" of minute (field 1) never makes its second step: it is 30 alone`},
		{schemas.Schedule{Cron: "0 */36 * * *"}, "cron", "hour (field 2)"},
		{schemas.Schedule{Cron: "0 9-17/9 * * *"}, "cron", `"9-17/9"`},
		{schemas.Schedule{Cron: "0 0 */31 * *"}, "cron", "day of month (field 3)"},
		{schemas.Schedule{Cron: "0 0 1 */13 *"}, "cron", "month (field 4)"},
		{schemas.Schedule{Cron: "0 0 * * mon-fri/5"}, "cron", "day of week (field 5)"},
		{schemas.Schedule{Cron: "0 3 * * *", Timezone: "Europe/Berln"}, "timezone", "Europe/Berln"},
		{schemas.Schedule{Cron: "0 3 * * *", Timezone: "Local"}, "timezone", "Local"},
		{schemas.Schedule{Cron: "0 3 * * *", Timezone: "../../etc/passwd"}, "timezone", "passwd"},
		{schemas.Schedule{Cron: "0 3 * * *", Every: schemas.Duration(time.Hour)}, "every", "not both"},
		{schemas.Schedule{Every: schemas.Duration(time.Millisecond)}, "every", "1s"},
		{schemas.Schedule{Every: schemas.Duration(time.Hour), Timezone: "UTC"}, "timezone", "with every"},
		{schemas.Schedule{Every: schemas.Duration(time.Hour), Overlap: "sometimes"}, "overlap", "skip"},
		{schemas.Schedule{Every: schemas.Duration(time.Hour), CatchUp: new(101)}, "catch_up", "100"},
		{schemas.Schedule{Timezone: "UTC"}, "cron", "needs"},
	} {
		err := Check(&tt.s, now)
		e, ok := errors.AsType[*schemas.Error](err)
		if !ok || e.Code != schemas.CodeInvalidArgument || e.Field != "/schedule/"+tt.field || !strings.Contains(e.Message, tt.names) {
			t.Errorf("%+v: %v (field %s), want %s naming %s", tt.s, err, e.Field, tt.field, tt.names)
		}
	}
}

// A step that leads to a second value, or from the end of the field to its start, means what it says; so does a day that some of the months have.
func TestStepsThatMeanWhatTheySay(t *testing.T) {
	for _, cron := range []string{
		"*/59 * * * *", "*/60 * * * *", "0 */24 * * *", "0 0 1 */12 *", "0 0 * * */7", "*/1 * * * *", "59/1 * * * *", "10-40/30 * * * *", "0 0 */30 * *",
		"0 0 31 * *", "0 0 31 1-6 *", "0 0 29 2 *", "0 0 1,31 2 *", "0 0 * feb sun-sat", "0 0 ? * MON",
	} {
		if err := Check(&schemas.Schedule{Cron: cron}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Errorf("%q: %v", cron, err)
		}
	}
}

// What to write for an interval that no field can express.
func TestHollowStepsSayWhatToWrite(t *testing.T) {
	for cron, want := range map[string]string{
		"*/90 * * * *": `every: "1h30m"`, "*/120 * * * *": `every: "2h"`, "0 */36 * * *": `every: "36h"`, "0 0 */45 * *": `every: "45d"`, "50/20 * * * *": "write 50 in its place",
	} {
		s := schemas.Schedule{Cron: cron}
		times(t, s, time.Time{}) // one that was set before is read
		err := Check(&s, time.Time{})
		if e, ok := errors.AsType[*schemas.Error](err); !ok || !strings.Contains(e.Hint, want) {
			t.Errorf("%q: %v, want a hint with %s", cron, err, want)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"0 3 * * *", "*/15 9-17 * * MON-FRI", "TZ=", "? ? ? ? ?", "1-2/3,4 * L * 7", "@every 1s"} {
		f.Add(s)
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, cron string) {
		_ = Check(&schemas.Schedule{Cron: cron}, from)
		v, err := New(&schemas.Schedule{Cron: cron, Timezone: "America/New_York"}, from)
		if err != nil {
			return
		}
		for now, n := from, 0; n < 50; n++ {
			next := v.Next(now)
			if next.IsZero() {
				break
			}
			if !next.After(now) {
				t.Fatalf("%q: %s does not follow %s", cron, next, now)
			}
			now = next
		}
	})
}

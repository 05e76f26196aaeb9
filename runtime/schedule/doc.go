// Package schedule computes when a schedule fires. It owns the meaning of cron expressions and intervals. The packages that
// store and fire the schedules of workflows call it. It is pure: no clock, no I/O, no goroutines, and it calls no hooks.
//
// # Daylight saving time
//
// A cron expression refers to the local time of its time zone, whose clock jumps at the changes to and from daylight saving
// time.
//
//   - An expression that names hours and minutes ("30 2 * * *") fires once for each such time of a day. A time that is skipped
//     fires when the jump is over (at 03:00); one that occurs twice fires the first time.
//   - An expression whose minutes or hours start with "*" ("*/15 * * * *", "0 * * * *") follows elapsed time: it fires in both
//     of two hours with the same name, and does not fire for a skipped hour.
//
// An interval is independent of the local time: it fires every Every from when the schedule was set.
//
// The parser is that of robfig/cron, which most Go programs use. It represents fields as bit sets, with which the next local
// time is found. Its own behaviour at jumps (a skipped time skips the day, a time that occurs twice fires twice) is replaced by
// the rules above.
package schedule

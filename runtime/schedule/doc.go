// Package schedule says when a schedule fires. It is pure: no clock, no I/O.
//
// # Clocks that change
//
// A cron expression speaks of the clock on the wall of its time zone, and twice a year that clock jumps.
//
//   - An expression that names hours and minutes ("30 2 * * *") fires once for each such time of a day. A time that a jump
//     forward leaves out fires when the jump is over (at 03:00); one that a jump back shows twice fires the first time.
//   - An expression whose minutes or hours begin with "*" ("*/15 * * * *", "0 * * * *") goes on with the time that passes: it
//     fires in both of two hours that have the same name, and never for an hour that is left out.
//
// An interval knows no clock: it fires each Every from when the schedule was set.
//
// The parser is robfig/cron's, the one that most Go programs share; it also tells its fields as bit sets, by which the next
// time of a wall clock is found. What it does at jumps of the clock (a time left out is a day left out, a time shown twice
// fires twice) is replaced by the rules above.
package schedule

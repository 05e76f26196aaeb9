package bolt

import (
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// The store's clock (store.Clock) begins at what the store has seen, which an ordinary commit writes down once a minute: it does not run
// back if the machine's clock was set back while nothing ran. A clock that has jumped ahead meanwhile cannot be told from a store that
// was not used for long. So time that the store has not seen is not believed at once: until then, records that expired in it are not
// removed from the file, and a start with an earlier time takes it back. Up to a day is believed after an hour, in which a machine's clock is
// usually set right, and of more that much less as time passes. The same is true of a machine that does not say whether it was suspended
// (store.Clock.Leapt).

const (
	markEvery = time.Minute     // between two notes of the time
	seenLag   = 2 * time.Minute // how much later than the last note a start may be and count as time that was seen
	plausible = 24 * time.Hour
	hold      = time.Hour   // how long a plausible time is in doubt at most
	offShown  = time.Minute // from which difference on the machine's clock is a condition
)

// doubt is how much of the time is not believed.
type doubt struct {
	mu     sync.Mutex
	unseen time.Duration // as of since
	since  time.Time
	leapt  time.Duration // how much of that of the clock is in unseen, or was
}

// at returns how much is not believed at now, when the clock has leapt that much.
func (d *doubt) at(now time.Time, leapt time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if more := leapt - d.leapt; more > 0 {
		d.unseen, d.since, d.leapt = d.left(now.Add(-more))+more, now, leapt
	}
	return d.left(now)
}

// left is at without a leap. The caller holds mu.
func (d *doubt) left(now time.Time) time.Duration {
	elapsed := now.Sub(d.since)
	switch {
	case elapsed <= 0:
		return d.unseen
	case d.unseen > plausible:
		return max(0, d.unseen-elapsed)
	case elapsed < min(d.unseen, hold):
		return d.unseen
	}
	return 0
}

// clockKey in the bucket about holds a seen.
var clockKey = []byte("clock")

// aboutSeals seals entries of the bucket about.
var aboutSeals = newBucket(string(aboutBucket), allHead, isEmpty)

// seen is what the store knew of the time when it was noted.
type seen struct {
	at     int64         // the time
	unseen time.Duration // how much of it is not believed yet
}

func (n seen) append(b []byte) []byte {
	return appendInstant(appendInstant(b, n.at), int64(n.unseen))
}

func openSeen(value []byte) (n seen, err error) {
	e, err := aboutSeals.open(clockKey, value, false)
	if err != nil || len(e.head) != 16 {
		return n, errDamaged
	}
	return seen{parseInstant(e.head), time.Duration(parseInstant(e.head[8:]))}, nil
}

// startClock starts the clock after what the store has seen.
func (s *Store) startClock(tx *bbolt.Tx, read store.Reading) error {
	value := tx.Bucket(aboutBucket).Get(clockKey)
	if value == nil {
		s.clock = store.NewClock(time.Time{}, read)
		return nil
	}
	n, err := openSeen(value)
	if err != nil {
		return fmt.Errorf("the time that the store has seen: %w", err)
	}
	at := time.Unix(0, n.at)
	s.clock = store.NewClock(at.Add(-n.unseen), read)
	d := &s.doubt
	d.since, d.unseen = s.clock.Now(), n.unseen
	gap := d.since.Sub(at)
	if gap < 0 { // what was not believed was not so
		d.unseen = max(0, n.unseen+gap)
	}
	if gap > seenLag {
		d.unseen += gap
	}
	if gap > plausible {
		s.file.say(fmt.Sprintf("the store was last used %s ago, or the clock of this machine is ahead: "+
			"what has expired since is not removed at once", gap.Round(time.Minute)))
	}
	return nil
}

// believed is the time up to which records that have expired are removed.
func (s *Store) believed(now time.Time) time.Time { return now.Add(-s.doubt.at(now, s.clock.Leapt())) }

// noteTime writes the time into a commit if that was not done for a minute. Only the committer calls it.
func (s *Store) noteTime(tx *bbolt.Tx, w *writer, now time.Time) error {
	if !s.noted.IsZero() && now.Sub(s.noted) < markEvery {
		return nil
	}
	n := seen{now.UnixNano(), s.doubt.at(now, s.clock.Leapt())}
	if err := tx.Bucket(aboutBucket).Put(clockKey, w.seal(aboutSeals, clockKey, n.append(nil))); err != nil {
		return err
	}
	s.noted = now
	return nil
}

// Now returns the time by which the store measures, for those who write what it shall compare.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Day returns the time of day by which keys are due that are claimed with ClaimRequest.Day.
func (s *Store) Day() time.Time { return s.clock.Day() }

// clockCondition is the condition of a machine's clock that differs from the store's.
func (s *Store) clockCondition() []store.Condition {
	off := s.clock.Off()
	if off.Abs() < offShown {
		return nil
	}
	direction := "later"
	if off < 0 {
		direction = "earlier"
	}
	return []store.Condition{{
		Message: fmt.Sprintf("the clock of this machine is %s %s than the time of the store", off.Abs().Round(time.Second), direction),
		Cure: "see whether the machine's clock is right; the store's follows it slowly, so that no wait, timeout or lease becomes longer or " +
			"shorter, and schedules follow a clock that is ahead at once. A restart has all follow it",
	}}
}

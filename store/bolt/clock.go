package bolt

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
)

// The store's clock (store.Clock) begins at what the store has seen, which an ordinary commit writes down once a minute: it does not run
// back if the machine's clock was set back while nothing ran. A clock that has jumped ahead meanwhile cannot be told from a store that
// was not used for long. So time that the store has not seen is not believed before as much time has really passed: until then, records
// that expired in it are not removed from the file, and a start with an earlier time takes it back.

const (
	markEvery = time.Minute    // between two notes of the time
	plausible = 24 * time.Hour // how long a store may be unused until its expired records stay for a while
	offShown  = time.Minute    // from which difference on the machine's clock is a condition
)

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
		s.opened = s.clock.Now()
		return nil
	}
	n, err := openSeen(value)
	if err != nil {
		return fmt.Errorf("the time that the store has seen: %w", err)
	}
	at := time.Unix(0, n.at)
	s.clock = store.NewClock(at.Add(-n.unseen), read)
	s.opened, s.unseen = s.clock.Now(), n.unseen
	gap := s.opened.Sub(at)
	if gap < 0 { // what was not believed was not so
		s.unseen = max(0, n.unseen+gap)
	}
	if gap > plausible {
		s.unseen += gap
		s.file.say(fmt.Sprintf("the store was last used %s ago, or the clock of this machine is ahead: "+
			"what has expired since is not removed at once", gap.Round(time.Minute)))
	}
	return nil
}

// believed is the time up to which records that have expired are removed.
func (s *Store) believed(now time.Time) time.Time { return now.Add(-s.unseenAt(now)) }

func (s *Store) unseenAt(now time.Time) time.Duration { return max(0, s.unseen-now.Sub(s.opened)) }

// noteTime writes the time into a commit if that was not done for a minute. Only the committer calls it.
func (s *Store) noteTime(tx *bbolt.Tx, w *writer, now time.Time) error {
	if !s.noted.IsZero() && now.Sub(s.noted) < markEvery {
		return nil
	}
	n := seen{now.UnixNano(), s.unseenAt(now)}
	if err := tx.Bucket(aboutBucket).Put(clockKey, w.seal(aboutSeals, clockKey, n.append(nil))); err != nil {
		return err
	}
	s.noted = now
	return nil
}

// Now returns the time by which the store measures, for those who write what it shall compare.
func (s *Store) Now() time.Time { return s.clock.Now() }

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
			"shorter. A restart follows a clock that is ahead at once",
	}}
}

package state

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

// Whoever has written a state tells the executions that wait for it, at once. A wake that he commits with the state has
// somebody tell them again a little later, in case he died first. A state expires without anybody writing it: who sees one
// that will, and goes on waiting, leaves a wake for that. So an execution that waits never looks by itself.
//
// The wakes of one state differ by their time, and each is handled once: a change that comes while an earlier one is
// handled has its own. Changes of the same period share one, which is due when the period is over. The one before an expiry
// that is far off comes a good deal earlier and leaves the next one, so that a state that is written again and again has few.

// KindNotify of the wakes that say when those who wait for a state are to be notified.
const KindNotify = "tell"

// How close together the wakes of one state are.
const (
	NotifyPeriod = 30 * time.Second // changes of one period share a wake
	ExpiryGrain  = time.Second      // how late the wake of an expiry may be
)

// notifyAfter is the wake of a state that is committed.
func notifyAfter(key store.Key, r *Record) store.Wake {
	return NotifyWake(key, r.UpdatedAt.Truncate(NotifyPeriod).Add(2*NotifyPeriod))
}

// Remind has those told that wait for a state when it expires, if it was there when they looked. They are told before too, where that
// is far off.
func (s *States) Remind(ctx context.Context, key store.Key, r *Record, now time.Time) error {
	if r.ExpiresAt == nil || !r.Exists(now) {
		return nil
	}
	_, err := s.store.Commit(ctx, store.Batch{Wakes: []store.Wake{NotifyWake(key, noticeTime(now, *r.ExpiresAt))}, Sync: true})
	return records.Error(err)
}

// noticeTime is when those are told next that wait for a state which expires. It is later than now; the times for a state that
// is written again and again are a few.
func noticeTime(now, expires time.Time) time.Time {
	step := ExpiryGrain
	for 16*step <= expires.Sub(now) {
		step *= 2
	}
	if step == ExpiryGrain {
		return expires.Add(ExpiryGrain - 1).Truncate(ExpiryGrain)
	}
	return expires.Truncate(step)
}

// NotifyWake is the wake of a state at a time.
func NotifyWake(key store.Key, at time.Time) store.Wake {
	return store.Wake{Key: store.Key{Kind: KindNotify, ID: key.ID + "/" + strconv.FormatInt(at.Unix(), 10)}, At: at}
}

// ParseNotify is the inverse of [NotifyWake].
func ParseNotify(wake store.Key) (state store.Key, at time.Time) {
	cut := strings.LastIndexByte(wake.ID, '/')
	seconds, err := strconv.ParseInt(wake.ID[cut+1:], 10, 64)
	if cut < 0 || err != nil {
		return store.Key{}, time.Time{}
	}
	return store.Key{Kind: Kind, ID: wake.ID[:cut]}, time.Unix(seconds, 0)
}

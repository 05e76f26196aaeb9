package state

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

// The process that writes a state notifies the executions that wait for it, at once. It commits a wake with the state, at which another
// process notifies them again a little later, in case it died first. A state expires without being written: an execution that reads
// a state with an expiry, and continues to wait, leaves a wake for that time. So an execution that waits never polls.
//
// The wakes of one state differ by their time, and each is handled once: a change that comes while an earlier one is
// handled has its own. Changes in the same period share one, which is due after the period. The wake of an expiry that is far
// away is due a good deal earlier, and leaves the next one, so that a state that is written again and again has few wakes.

// KindNotify of the wakes at which the executions that wait for a state are notified.
const KindNotify = "tell"

const (
	// NotifyPeriod is how long changes of a state share a wake.
	NotifyPeriod = 30 * time.Second
	// ExpiryGrain is how late the wake of an expiry may be.
	ExpiryGrain = time.Second
)

// notifyAfter returns the wake that is committed with a state.
func notifyAfter(key store.Key, r *Record) store.Wake {
	return NotifyWake(key, r.UpdatedAt.Truncate(NotifyPeriod).Add(2*NotifyPeriod))
}

// NotifyAtExpiry has the executions that wait for a state notified when it expires, if it has an expiry and exists at now. If the expiry is far
// away they are notified before too.
func (s *States) NotifyAtExpiry(ctx context.Context, key store.Key, r *Record, now time.Time) error {
	if r.ExpiresAt == nil || !r.Exists(now) {
		return nil
	}
	_, err := s.store.Commit(ctx, store.Batch{Wakes: []store.Wake{NotifyWake(key, noticeTime(now, *r.ExpiresAt))}, Sync: true})
	return records.StoreError(err)
}

// noticeTime returns when the executions that wait for a state that expires are notified next. It is later than now. The times of a
// state that is written again and again are few.
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

// NotifyWake returns the wake of a state at a time, in seconds.
func NotifyWake(key store.Key, at time.Time) store.Wake {
	return store.Wake{Key: store.Key{Kind: KindNotify, ID: key.ID + "/" + strconv.FormatInt(at.Unix(), 10)}, At: at}
}

// ParseNotify is the inverse of [NotifyWake]; both results are zero if the key is not one of its keys.
func ParseNotify(wake store.Key) (state store.Key, at time.Time) {
	cut := strings.LastIndexByte(wake.ID, '/')
	seconds, err := strconv.ParseInt(wake.ID[cut+1:], 10, 64)
	if cut < 0 || err != nil {
		return store.Key{}, time.Time{}
	}
	return store.Key{Kind: Kind, ID: wake.ID[:cut]}, time.Unix(seconds, 0)
}

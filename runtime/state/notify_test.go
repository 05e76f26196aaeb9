package state

import (
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// The wake before an expiry is later than now and at most a grain later than the expiry; one that is far off is reached in few steps, which
// are the same for a state that is written again with the same TTL shortly after.
func TestNoticesComeBeforeTheExpiryInFewSteps(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	for _, ttl := range []time.Duration{time.Microsecond, 500 * time.Millisecond, ExpiryGrain, 10 * time.Second, time.Minute, time.Hour, 7 * 24 * time.Hour, 365 * 24 * time.Hour} {
		expires := began.Add(ttl)
		steps := 0
		for now := began; now.Before(expires); steps++ {
			next := noticeTime(now, expires)
			if !next.After(now) || next.Sub(expires) >= ExpiryGrain {
				t.Fatalf("TTL %s: the notice at %s is due at %s, and the state expires at %s", ttl, now, next, expires)
			}
			now = next
		}
		if steps > 30 {
			t.Errorf("TTL %s: %d steps", ttl, steps)
		}
		times := map[time.Time]bool{}
		for i := range 1000 { // written again and again, each time for the whole TTL
			now := began.Add(time.Duration(i) * ttl / 10_000)
			times[noticeTime(now, now.Add(ttl))] = true
		}
		if len(times) > 5 && ttl > ExpiryGrain {
			t.Errorf("TTL %s: %d notices while a tenth of it passes", ttl, len(times))
		}
	}
}

func TestWakesNameTheirStateAndTime(t *testing.T) {
	for _, key := range []string{"k", "a/b/1", "/", "a/", "é"} {
		state, at := Key("ada", schemas.StateName{Type: "t", Key: key}), time.Unix(1_700_000_000, 0)
		w := NotifyWake(state, at)
		if got, due := ParseNotify(w.Key); got != state || !due.Equal(at) || !w.At.Equal(at) {
			t.Errorf("%q: %v at %s, want %v at %s", key, got, due, state, at)
		}
	}
	for _, id := range []string{"", "k", "k/", "k/x"} {
		if got, due := ParseNotify(store.Key{Kind: KindNotify, ID: id}); got != (store.Key{}) || !due.IsZero() {
			t.Errorf("%q: %v at %s", id, got, due)
		}
	}
}

// Changes of one period share a wake, which is due when the period is over; it is never due before the change is a period old.
func TestChangesOfAPeriodShareAWake(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	key := Key("ada", schemas.StateName{Type: "t", Key: "k"})
	wakes := map[store.Key]bool{}
	for i := range 60 {
		at := began.Add(time.Duration(i) * time.Second)
		w := notifyAfter(key, &Record{UpdatedAt: at})
		if late := w.At.Sub(at); late <= NotifyPeriod || late > 2*NotifyPeriod {
			t.Errorf("a change at %s is reported again %s later", at, late)
		}
		wakes[w.Key] = true
	}
	if len(wakes) != 2 {
		t.Errorf("%d wakes for the changes of two periods", len(wakes))
	}
}

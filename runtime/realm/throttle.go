package realm

import (
	"time"

	"golang.org/x/time/rate"
)

// throttle slows down the reading of messages that no request waits for: notifications, requests, and lines that are no messages. Nothing
// is dropped; a realm that writes faster has to wait, and so do its answers behind them.
type throttle struct{ limiter *rate.Limiter }

const (
	unaskedPerSecond = 1000
	unaskedBurst     = 10_000
)

func newThrottle() *throttle { return &throttle{rate.NewLimiter(unaskedPerSecond, unaskedBurst)} }

// wait returns when one more message may be read, or at the end of done.
func (t *throttle) wait(done <-chan struct{}) {
	delay := t.limiter.Reserve().Delay()
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

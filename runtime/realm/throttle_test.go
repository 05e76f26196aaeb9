package realm

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottleSlowsAFloodDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle()
		began := time.Now()
		for range unaskedBurst {
			limit.wait(nil)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a burst took %s", took)
		}
		for range 5 * unaskedPerSecond {
			limit.wait(nil)
		}
		if took := time.Since(began); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("%d more took %s", 5*unaskedPerSecond, took)
		}
		done := make(chan struct{})
		close(done)
		began = time.Now()
		limit.wait(done)
		if took := time.Since(began); took != 0 {
			t.Errorf("at the end it waited %s", took)
		}
	})
}

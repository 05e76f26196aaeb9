package engine

import (
	"testing"
	"time"
)

func TestFenceHoldsByBothClocks(t *testing.T) {
	sent := time.Now()
	f := newFence(sent, 10*time.Second)
	for _, tt := range []struct {
		at   time.Time
		want bool
	}{
		{sent, true}, {sent.Add(9*time.Second - 1), true}, {sent.Add(9 * time.Second), false},
		{sent.Add(9*time.Second - 1).Round(0), true}, {sent.Add(time.Minute).Round(0), false},
	} {
		if got := f.holds(tt.at); got != tt.want {
			t.Errorf("%s after it was sent: %v", tt.at.Sub(sent), got)
		}
	}
	if (fence{}).holds(sent) {
		t.Error("a fence that was never set holds")
	}
}

package server

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a sender that keeps its messages and their times.
type recorder struct {
	values []float64
	times  []time.Time
	fail   error
}

func (r *recorder) notify(message any) error {
	r.values = append(r.values, message.(progress).Params.Progress)
	r.times = append(r.times, time.Now())
	return r.fail
}

func TestProgressIsMergedToABearableRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out recorder
		r := newReporter(&out, "t")
		began := time.Now()
		for i := range 5000 { // five seconds of a thousand each
			r.report(float64(i), 5000, "")
			time.Sleep(time.Millisecond)
		}
		r.close()
		r.report(6000, 0, "after the end")
		synctest.Wait()
		if n := len(out.values); n < 50 || n > 50+2*progressBurst+1 {
			t.Errorf("%d notifications in 5 s", n)
		}
		if last := out.values[len(out.values)-1]; last != 4999 {
			t.Errorf("the last is %v, want 4999", last)
		}
		for i := range out.values[1:] {
			if out.values[i+1] <= out.values[i] {
				t.Fatalf("%v came after %v", out.values[i+1], out.values[i])
			}
		}
		if took := out.times[len(out.times)-1].Sub(began); took != 5*time.Second {
			t.Errorf("the end took %s: it must not wait for the rate", took)
		}
	})
}

func TestProgressLeavesOutWhatDoesNotRise(t *testing.T) {
	var out recorder
	r := newReporter(&out, "t")
	for _, v := range []float64{0, 0, 2, 1, math.NaN(), math.Inf(1), 2, 3} {
		r.report(v, 0, "")
	}
	r.report(4, math.NaN(), "")
	r.close()
	if len(out.values) != 3 || out.values[0] != 0 || out.values[1] != 2 || out.values[2] != 3 {
		t.Errorf("got %v, want 0 2 3", out.values)
	}
}

func TestProgressStopsWhenTheClientIsGone(t *testing.T) {
	out := recorder{fail: errors.New("gone")}
	r := newReporter(&out, "t")
	r.report(1, 2, "")
	r.close()
	if len(out.values) != 1 {
		t.Errorf("got %v", out.values)
	}
}

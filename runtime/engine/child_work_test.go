package engine

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Of what is asked for one child while something is being done for it, only the last is done; other children do not wait for that.
func TestForChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Engine{childWork: childWork{next: map[string]func(){}}}
		var now, most, of1, of2 atomic.Int32
		var last atomic.Int32
		ask := func(id string, count *atomic.Int32, n int32) {
			r.forChild(id, func() {
				if id == "1" {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					last.Store(n)
				}
				count.Add(1)
				time.Sleep(time.Second)
			})
		}
		for n := range int32(1000) {
			ask("1", &of1, n)
		}
		ask("2", &of2, 0)
		synctest.Wait()
		if of1.Load() != 1 || of2.Load() != 1 {
			t.Fatalf("%d and %d things are done at once for two children, want 1 and 1", of1.Load(), of2.Load())
		}
		r.owners.Wait()
		if of1.Load() != 2 || most.Load() != 1 || last.Load() != 999 {
			t.Errorf("of 1,000 things %d were done, %d at once, and %d was the last, want 2, 1 and 999", of1.Load(), most.Load(), last.Load())
		}
		ask("1", &of1, 7)
		if r.owners.Wait(); of1.Load() != 3 || len(r.childWork.next) != 0 {
			t.Errorf("after that %d were done, and %d children are noted, want 3 and 0", of1.Load(), len(r.childWork.next))
		}
	})
}

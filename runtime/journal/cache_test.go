package journal

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What executions keep takes no more than it may, however it grows: by raw bytes, by decoding, by texts and lists. The execution that has
// not used its part loses it, and one that is used keeps it.
func TestExecutionsKeepTogetherWhatTheyMay(t *testing.T) {
	const limit, each = 1 << 20, 100_000
	raw := []byte(`[` + strings.TrimSuffix(strings.Repeat("1,", each/2), ",") + `]`)
	for name, keep := range map[string]func(x *Execution, i int){
		"outputs": func(x *Execution, i int) { x.CacheOutput(i, raw) },
		"texts":   func(x *Execution, i int) { x.CacheText(i, string(raw)) },
		"lists":   func(x *Execution, i int) { x.cacheList(i, []json.RawMessage{raw}) },
		"decoded": func(x *Execution, i int) { _, _ = x.CacheOutput(i, raw).Decode() },
	} {
		t.Run(name, func(t *testing.T) {
			j := Open(Config{Limits: Limits{MaxCached: limit}})
			used := j.New("used", Head{})
			first := used.CacheOutput(0, []byte("1"))
			var all []*Execution
			for i := range 20 {
				x := j.New(fmt.Sprint(i), Head{})
				all = append(all, x)
				for unit := range 3 {
					keep(x, unit)
					if j.cache.held > limit {
						t.Fatalf("%d bytes are kept (limit %d)", j.cache.held, limit)
					}
				}
				if v, _ := used.CachedOutput(0); v != first && name != "decoded" { // one decoded value takes all
					t.Fatal("an execution that uses what it keeps has lost it")
				}
			}
			if all[0].place.Load() != nil {
				t.Error("the one that has not used it keeps it")
			}
			for _, x := range append(all, used) {
				x.DropCache()
			}
			if j.cache.held != 0 || len(j.cache.shelves) != 0 {
				t.Errorf("%d bytes of %d executions are kept that keep nothing", j.cache.held, len(j.cache.shelves))
			}
		})
	}
}

// Executions that are gone keep nothing, also those that no owner releases.
func TestExecutionsThatAreGoneKeepNothing(t *testing.T) {
	j := Open(Config{})
	for i := range 100 {
		j.New(fmt.Sprint(i), Head{}).CacheOutput(0, make([]byte, 1000))
	}
	for range 1000 {
		runtime.GC()
		j.cache.mu.Lock()
		held := j.cache.held
		j.cache.mu.Unlock()
		if held == 0 {
			return
		}
		time.Sleep(time.Millisecond) // cleanups run after the collection
	}
	t.Errorf("%d bytes are kept", j.cache.held)
}

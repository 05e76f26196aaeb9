package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// processor is what this process and its children that still run (realms, a Redis) have used of the processors, in ticks of 10 ms. Other
// than the time on the wall it is much the same on a busy machine.
func processor(t testing.TB) (used time.Duration) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		// What stands before is the id and the name of the program, in which anything may stand.
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if parent, me := f[1], fmt.Sprint(os.Getpid()); parent != me && filepath.Base(filepath.Dir(file)) != me {
			continue
		}
		for _, ticks := range f[11:13] {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				t.Fatal(err)
			}
			used += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return used
}

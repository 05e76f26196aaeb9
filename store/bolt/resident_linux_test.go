package bolt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
)

// resident is how many KiB of a mapped file are in this process's memory.
func resident(t *testing.T, path string) (kib int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, inside := false, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if !strings.HasSuffix(fields[0], ":") {
			inside = strings.HasSuffix(lines.Text(), path)
			found = found || inside
		} else if inside && fields[0] == "Rss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			kib += n
		}
	}
	if !found {
		t.Fatalf("%s is not mapped", path)
	}
	return kib
}

// TestFileLeavesMemory checks that a store takes memory for what is being read, not for its size.
func TestFileLeavesMemory(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	path := filepath.Join(dir, fileName)
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const n, size = 1000, 16 << 10
	for i := range n {
		mustCommit(t, s, store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "x", ID: fmt.Sprint(i)}, Value: make([]byte, size)}}})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Options{Dir: dir, Sweep: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if kib := resident(t, path); kib > n*size>>13 {
		t.Errorf("%d KiB are resident after opening, of %d KiB of values", kib, n*size>>10)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		if rs, err := s.List(ctx, store.Query{Kind: "x", Limit: n}); err != nil || len(rs) != n || len(rs[n-1].Value) != size {
			t.Fatalf("%d records, %v", len(rs), err)
		}
		time.Sleep(100 * time.Millisecond) // the sweeper has run
		if kib := resident(t, path); kib < n*size>>13 {
			return
		} else if time.Now().After(end) {
			t.Fatalf("%d KiB stay resident", kib)
		}
	}
}

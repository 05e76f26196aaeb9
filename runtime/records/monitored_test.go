package records

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// narrow is a store with room for so many bytes in one batch, as a disk that is nearly full.
type narrow struct {
	store.Store
	room int
}

var errNoSpace = errors.New("no space left on device")

func (n *narrow) Commit(ctx context.Context, b store.Batch) (store.Committed, error) {
	if size(&b) > n.room {
		return store.Committed{}, errNoSpace
	}
	return n.Store.Commit(ctx, b)
}

// A full disk shows as long as it lasts, although less is written meanwhile, and the log has a line when it begins and when it ends.
func TestFullStoreShowsUntilItIsOver(t *testing.T) {
	mem, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	n := &narrow{Store: mem, room: 1 << 30}
	var log bytes.Buffer
	m := &monitored{Store: n, log: hclog.New(&hclog.LoggerOptions{Output: &log})}
	commit := func(size int) error {
		put := store.Put{Key: store.Key{Kind: "state", ID: "a"}, Value: make([]byte, size), Version: store.AnyVersion}
		_, err := m.Commit(t.Context(), store.Batch{Puts: []store.Put{put}})
		return err
	}
	for i, step := range []struct {
		room, size   int
		refused, bad bool // the commit is refused; the check shows it
		lines        int  // of the log
	}{
		{1 << 30, 1000, false, false, 0},
		{5000, 20000, true, true, 1},
		{5000, 20000, true, true, 1},
		{5000, 100, false, true, 1},     // there is room for less
		{25000, 100, false, true, 1},    // hardly more
		{1 << 20, 100, false, false, 2}, // the check itself finds out
		{1 << 20, 20000, false, false, 2},
		{5000, 20000, true, true, 3},
		{1 << 20, 20000, false, false, 4},
	} {
		n.room = step.room
		if err := commit(step.size); (err != nil) != step.refused {
			t.Errorf("step %d: commit: %v", i, err)
		}
		if err := m.CheckWrite(t.Context(), "w"); (err != nil) != step.bad {
			t.Errorf("step %d: check: %v", i, err)
		}
		if got := strings.Count(log.String(), "\n"); got != step.lines {
			t.Errorf("step %d: %d lines, want %d:\n%s", i, got, step.lines, log.String())
		}
	}
	if !strings.Contains(log.String(), "no space left") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

package state

import (
	"fmt"
	"testing"

	"github.com/runplane/runplane/runtime/records/recordstest"
	"github.com/runplane/runplane/schemas"
)

// TestWatchesAreBounded: one watch too many is refused with an error that says so.
func TestWatchesAreBounded(t *testing.T) {
	r := open(recordstest.Memory(t), Rules{})
	var offs []func()
	for i := range MaxWatches {
		off, err := r.Watch(t.Context(), Ref{Type: "x", Key: fmt.Sprint(i)}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		offs = append(offs, off)
	}
	if _, err := r.Watch(t.Context(), Ref{Type: "x", Key: "more"}, func() {}); codeOf(err) != schemas.CodeRateLimited {
		t.Errorf("got %v", err)
	}
	offs[0]()
	if _, err := r.Watch(t.Context(), Ref{Type: "x", Key: "more"}, func() {}); err != nil {
		t.Error(err)
	}
	if _, err := r.Watch(t.Context(), Ref{Type: "x"}, func() {}); codeOf(err) != schemas.CodeInvalidArgument {
		t.Errorf("without a key: %v", err)
	}
}

package engine

import (
	"testing"

	"github.com/runplane/runplane/store"
)

func TestRecentCommitsForgetTheOldest(t *testing.T) {
	m := &recentCommits{}
	for i := int64(1); i <= 10; i++ {
		m.add(&store.Batch{Appends: make([]store.Append, 2)}, position{i, 2 * i}, 6)
	}
	if m.from != (position{7, 14}) || m.position() != (position{10, 20}) || m.events != 6 {
		t.Errorf("%+v", m)
	}
	if lost, ok := m.since(position{8, 16}); !ok || len(lost) != 2 {
		t.Errorf("%v %v", lost, ok)
	}
	if _, ok := m.since(position{6, 12}); ok {
		t.Error("it knows what it forgot")
	}
	m.add(&store.Batch{Appends: []store.Append{{Value: make([]byte, maxRecentBytes+1)}}}, position{11, 21}, 6)
	if len(m.commits) != 0 || m.position() != (position{11, 21}) || m.bytes != 0 {
		t.Errorf("%+v", m)
	}
}

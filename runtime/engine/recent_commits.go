package engine

import (
	"slices"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/store"
)

// recentCommits is what an owner remembers of its latest commits to an execution, in case the store forgets them: a Redis that
// fails over to a replica loses what it had acknowledged and not passed on. It goes with the owner. nil remembers nothing.
type recentCommits struct {
	from    position       // where the oldest commit began
	commits []recentCommit // in their order
	events  int            // in all of them
	bytes   int            // of events and of what stands beside them
	started map[string]int // the latest attempt at a `once` call, by unit, that was about to leave here
}

// position is where an execution stood behind a commit. No two commits of one history have the same.
type position struct{ version, seq int64 }

// recentCommit is one commit.
type recentCommit struct {
	appends []store.Append
	puts    []store.Put // what the events refer to
	to      position
}

// How much an owner remembers of one execution.
const (
	memoryBytes = 1 << 20
)

// position is where the execution stands as far as the owner knows.
func (m *recentCommits) position() position {
	if n := len(m.commits); n > 0 {
		return m.commits[n-1].to
	}
	return m.from
}

// startFrom forgets what led to a point, unless that is where the owner stood: somebody else has come further.
func (m *recentCommits) startFrom(p position) {
	if m != nil && m.position() != p {
		m.reset(p)
	}
}

// reset forgets every commit: the execution stands at a point to which others have led. What was started stays known.
func (m *recentCommits) reset(p position) { m.from, m.commits, m.events, m.bytes = p, nil, 0, 0 }

// add remembers a commit.
func (m *recentCommits) add(b *store.Batch, to position, most int) {
	if m == nil {
		return
	}
	k := recentCommit{appends: b.Appends, to: to}
	for i := range b.Puts {
		if kind := b.Puts[i].Key.Kind; kind == journal.KindOutput || kind == journal.KindPlan {
			k.puts = append(k.puts, b.Puts[i])
		}
	}
	m.commits = append(m.commits, k)
	m.events += len(k.appends)
	m.bytes += k.size()
	drop := 0
	for ; drop < len(m.commits) && (m.events > most || m.bytes > memoryBytes); drop++ {
		m.from = m.commits[drop].to
		m.events -= len(m.commits[drop].appends)
		m.bytes -= m.commits[drop].size()
		m.commits[drop] = recentCommit{}
	}
	m.commits = m.commits[drop:]
}

func (k *recentCommit) size() int {
	n := 0
	for i := range k.appends {
		n += len(k.appends[i].Value)
	}
	for i := range k.puts {
		n += len(k.puts[i].Value)
	}
	return n
}

// since is what was committed behind a point; false: the owner does not remember having been there.
func (m *recentCommits) since(p position) ([]recentCommit, bool) {
	if m.from == p {
		return m.commits, true
	}
	i := slices.IndexFunc(m.commits, func(k recentCommit) bool { return k.to == p })
	if i < 0 {
		return nil, false
	}
	return m.commits[i+1:], true
}

// last is the last event up to the point that is remembered; nil: none is.
func (m *recentCommits) last(p position) *store.Append {
	for i := len(m.commits) - 1; i >= 0; i-- {
		if k := &m.commits[i]; k.to.seq <= p.seq && len(k.appends) > 0 {
			if k.to.seq < p.seq {
				return nil
			}
			return &k.appends[len(k.appends)-1]
		}
	}
	return nil
}

// noteCall notes that a `once` call is about to leave.
func (m *recentCommits) noteCall(l *pendingCall) {
	if m.started == nil {
		m.started = map[string]int{}
	}
	m.started[l.name] = l.attempt
}

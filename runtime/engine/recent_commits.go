package engine

import (
	"slices"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/store"
)

// recentCommits is what an owner remembers of its latest commits to an execution, in case the store loses them: a Redis that fails over to
// a replica loses what it had acknowledged and not yet replicated. It is dropped with the owner. A nil recentCommits remembers nothing.
type recentCommits struct {
	from    position       // where the oldest commit began
	commits []recentCommit // in their order
	events  int            // in all of them
	bytes   int            // of the events and of the records beside them
	started map[string]int // the latest attempt at a `once` call that this owner was about to make, by unit
}

// position is where an execution stands after a commit. No two commits of one history have the same position.
type position struct{ version, seq int64 }

// recentCommit is one commit.
type recentCommit struct {
	appends []store.Append
	puts    []store.Put // records that the events refer to
	to      position
}

// maxRecentBytes limits what an owner remembers of one execution; [Limits.MaxMemory] does so too.
const maxRecentBytes = 1 << 20

// position returns where the execution stands as far as the owner knows.
func (m *recentCommits) position() position {
	if n := len(m.commits); n > 0 {
		return m.commits[n-1].to
	}
	return m.from
}

// startFrom notes that the execution was read at p. If the owner's last commit did not end there, another process has committed since, and
// the commits are forgotten.
func (m *recentCommits) startFrom(p position) {
	if m != nil && m.position() != p {
		m.reset(p)
	}
}

// reset forgets all commits: the execution stands at p, to which other processes have brought it. The started calls stay known.
func (m *recentCommits) reset(p position) { m.from, m.commits, m.events, m.bytes = p, nil, 0, 0 }

// add remembers a commit that ended at a position, and forgets the oldest while there are more than maxEvents events or maxRecentBytes.
func (m *recentCommits) add(b *store.Batch, to position, maxEvents int) {
	if m == nil {
		return
	}
	c := recentCommit{appends: b.Appends, to: to}
	for i := range b.Puts {
		if kind := b.Puts[i].Key.Kind; kind == journal.KindOutput || kind == journal.KindPlan {
			c.puts = append(c.puts, b.Puts[i])
		}
	}
	m.commits = append(m.commits, c)
	m.events += len(c.appends)
	m.bytes += c.size()
	drop := 0
	for ; drop < len(m.commits) && (m.events > maxEvents || m.bytes > maxRecentBytes); drop++ {
		m.from = m.commits[drop].to
		m.events -= len(m.commits[drop].appends)
		m.bytes -= m.commits[drop].size()
		m.commits[drop] = recentCommit{}
	}
	m.commits = m.commits[drop:]
}

// size returns the bytes of a commit.
func (c *recentCommit) size() int {
	n := 0
	for i := range c.appends {
		n += len(c.appends[i].Value)
	}
	for i := range c.puts {
		n += len(c.puts[i].Value)
	}
	return n
}

// since returns the commits after p; false: the owner does not remember that the execution stood there.
func (m *recentCommits) since(p position) ([]recentCommit, bool) {
	if m.from == p {
		return m.commits, true
	}
	i := slices.IndexFunc(m.commits, func(c recentCommit) bool { return c.to == p })
	if i < 0 {
		return nil, false
	}
	return m.commits[i+1:], true
}

// last returns the last event up to p; nil: it is not remembered.
func (m *recentCommits) last(p position) *store.Append {
	for i := len(m.commits) - 1; i >= 0; i-- {
		if c := &m.commits[i]; c.to.seq <= p.seq && len(c.appends) > 0 {
			if c.to.seq < p.seq {
				return nil
			}
			return &c.appends[len(c.appends)-1]
		}
	}
	return nil
}

// noteCall notes that a `once` call is about to be made.
func (m *recentCommits) noteCall(c *pendingCall) {
	if m.started == nil {
		m.started = map[string]int{}
	}
	m.started[c.name] = c.attempt
}

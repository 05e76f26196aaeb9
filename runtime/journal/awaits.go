package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/store"
)

// An execution that waits for a state is found by an index term of its head. An owner that begins to wait reads the state after the
// commit that adds the term, and a writer of the state searches for the term after its own commit: one of the two sees the other.
//
//	node_started ─▶ commit, with the term ─▶ read: until? ─▶ node_succeeded
//	set_state ─▶ commit ─▶ heads with the term ─▶ read ─┘   (package engine)
//
// An owner keeps its lease until it has read the state; if it dies before, the next one reads it. After that nothing of the
// execution is in memory, and nothing of it is due but its timeout.

// TermAwaits returns the index term of executions that wait for the state at a key.
func TermAwaits(key store.Key) string {
	sum := sha256.Sum256([]byte(key.ID))
	return "awaits=" + hex.EncodeToString(sum[:16])
}

// Awaits returns the terms of the states that an execution of the principal waits for, sorted, each once.
func Awaits(principal string, s *machine.State) []string {
	var terms []string
	for _, a := range s.Awaiting() {
		terms = append(terms, TermAwaits(state.Key(principal, a.State)))
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

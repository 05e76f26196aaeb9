package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/store"
)

// An execution that waits for a state is found by a term of its head. Who begins to wait looks at the state behind the
// commit that says so, and whoever writes the state looks for those that wait behind his: one of the two sees the other.
//
//	node_started ─▶ commit, with the term ─▶ look: until? ─▶ node_succeeded
//	set_state ─▶ commit ─▶ heads with the term ─▶ look ─┘   (await_tell.go)
//
// An owner keeps its lease until it has looked; so where it dies before, the next one looks. After that nothing of the
// execution is in memory, and nothing of it is due but its timeout.

// TermAwaits marks executions that wait for the state at a key.
func TermAwaits(key store.Key) string {
	sum := sha256.Sum256([]byte(key.ID))
	return "awaits=" + hex.EncodeToString(sum[:16])
}

// Awaits are the terms of what an execution of the principal waits for, sorted, each once.
func Awaits(principal string, s *machine.State) []string {
	var terms []string
	for _, a := range s.Awaiting() {
		terms = append(terms, TermAwaits(state.Key(principal, a.State)))
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

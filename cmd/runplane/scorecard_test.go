//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// probe is one fault of a realm, a client or an operator, and the required result.
type probe struct {
	id, fault, expected string
	run                 func(t *testing.T)
}

// probes are the faults R1 to R14. README shows this table.
var probes = []probe{
	{"R1", "a stdio server is killed", "the next call restarts it, within 2 s", probeKilled},
	{"R2", "Runplane gets SIGTERM", "its servers and their helpers are gone", probeTerminated},
	{"R3", "Runplane gets SIGKILL", "the same, within 5 s", probeSIGKILL},
	{"R4", "a secret in Runplane's environment", "no server sees it unless the configuration says so", probeEnvironment},
	{"R5", "a web page calls, by a foreign Host or Origin", "403 before anything else", probeForeign},
	{"R6", "one server hangs at start, one does not exist", "the others work at once; check_health names both and the cure", probeBroken},
	{"R7", "a call takes 65 s", "it is answered: only configured timeouts end a call, and the error names the setting", probeLong},
	{"R8", "an HTTP server forgets the session", "a new session, every call answered, none run twice", probeSession},
	{"R9", "one call is cancelled", "the server is notified, the other calls continue", probeCancelled},
	{"R10", "a huge answer, an endless line, a flood on stderr", "that call fails, memory stays bounded, others continue", probeFlood},
	{"R11", "a server hangs when it is closed", "no result waits for it", probeStubborn},
	{"R12", "a server answers no health probe", "its health says so, and it still gets its calls", probeMute},
	{"R13", "a server changes its tools, or the configuration its servers", "discovery shows it", probeChanged},
	{"R14", "stdin of a stdio server ends", "Runplane and its servers are gone", probeEOF},
}

// TestScorecard puts the built program through all of them at once and prints the table. RUNPLANE_SCORECARD=full, as make
// scorecard sets it, lets the long call last its 65 s; else it lasts 3 s.
func TestScorecard(t *testing.T) {
	var mu sync.Mutex
	passed := map[string]bool{}
	t.Run("probes", func(t *testing.T) {
		for _, p := range probes {
			t.Run(p.id, func(t *testing.T) {
				t.Parallel()
				t.Cleanup(func() {
					mu.Lock()
					defer mu.Unlock()
					passed[p.id] = !t.Failed()
				})
				p.run(t)
			})
		}
	})
	verdicts := map[bool]string{true: "pass", false: "FAIL"}
	for _, p := range probes {
		fmt.Fprintf(os.Stderr, "%-4s %-62s %s\n", p.id, p.fault, verdicts[passed[p.id]])
	}
}

func TestReadmeScorecard(t *testing.T) { generatedInReadme(t, "the scorecard", scorecardTable()) }

// scorecardTable is the table in README.
func scorecardTable() string {
	var b strings.Builder
	b.WriteString("\n| | when | then |\n|---|---|---|\n")
	for _, p := range probes {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.id, p.fault, p.expected)
	}
	b.WriteString("\n")
	return b.String()
}

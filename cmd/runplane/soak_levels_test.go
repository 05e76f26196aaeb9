//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/runplane/runplane/schemas"
)

// level is the resources that the program uses at one moment.
type level struct {
	at         time.Duration // since the load began
	memory     int           // KiB of its own; the pages of the store's file are the kernel's to give and take
	goroutines int
	files      int // open descriptors
	processes  int // its children, their children, and those that outlived them
	executions int // in memory
}

// bound limits how far a later level may be above an earlier one: by a fraction of it, and by a number for small ones.
type bound struct {
	name  string
	of    func(level) int
	share float64
	more  int
}

// flatness limits the last third of a load relative to the first. Memory varies by some tens of MiB between two
// collections, as an answer of 16 MiB is read before it is refused. Goroutines, files and processes vary with the calls in
// flight and the realms that are restarting; the medians of many samples do not, and a leak of one for each fault exceeds the
// bound within a minute.
var flatness = []bound{
	{"memory", func(l level) int { return l.memory }, 0.3, 32 << 10},
	{"goroutines", func(l level) int { return l.goroutines }, 0.25, 30},
	{"files", func(l level) int { return l.files }, 0.25, 15},
	{"processes", func(l level) int { return l.processes }, 0, 4},
}

// idleness limits the level after the load relative to the one before: what is kept on purpose (answers, compiled schemas, buffers
// for reuse), and the goroutines and files that a used connection to a realm has more than a new one.
var idleness = []bound{
	{"memory", func(l level) int { return l.memory }, 0, 24 << 10},
	{"goroutines", func(l level) int { return l.goroutines }, 0, 15},
	{"files", func(l level) int { return l.files }, 0, 5},
	{"processes", func(l level) int { return l.processes }, 0, 0},
	{"executions", func(l level) int { return l.executions }, 0, 0},
}

// above lists the fields of now that exceed before by more than the bounds.
func above(bounds []bound, before, now level) (all []string) {
	for _, b := range bounds {
		was, is := b.of(before), b.of(now)
		if most := was + int(float64(was)*b.share) + b.more; is > most {
			all = append(all, fmt.Sprintf("%s rose from %d to %d, more than %d", b.name, was, is, most))
		}
	}
	return all
}

// median is the median of each field.
func median(all []level) level {
	mid := func(of func(level) int) int {
		var values []int
		for _, l := range all {
			values = append(values, of(l))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return level{
		at: all[len(all)/2].at, memory: mid(flatness[0].of), goroutines: mid(flatness[1].of), files: mid(flatness[2].of), processes: mid(flatness[3].of),
		executions: mid(func(l level) int { return l.executions }),
	}
}

// rise compares the last third of a load with the first, without its first quarter.
func rise(load []level) (first, last level, problems []string) {
	load = load[len(load)/4:]
	third := max(len(load)/3, 1)
	first, last = median(load[:third]), median(load[len(load)-third:])
	return first, last, above(flatness, first, last)
}

func TestRiseOfLevels(t *testing.T) {
	load := func(next func(i int) level) (all []level) {
		for i := range 120 {
			all = append(all, next(i))
		}
		return all
	}
	for _, tt := range []struct {
		name string
		next func(i int) level
		want string
	}{
		{"flat", func(int) level { return level{memory: 60 << 10, goroutines: 100, files: 40, processes: 12} }, ""},
		{"warming up", func(i int) level { return level{goroutines: min(i, 30) * 10} }, ""},
		{"swinging", func(i int) level {
			return level{memory: 60<<10 + i%7*9<<10, goroutines: 100 + i%9*20, files: 40 + i%5*9}
		}, ""},
		{"memory", func(i int) level { return level{memory: i << 10} }, "memory"},
		{"goroutines", func(i int) level { return level{goroutines: 100 + 2*i} }, "goroutines"},
		{"files", func(i int) level { return level{files: 10 + i/2} }, "files"},
		{"processes", func(i int) level { return level{processes: 12 + i/10} }, "processes"},
	} {
		_, _, problems := rise(load(tt.next))
		if got := strings.Join(problems, "; "); (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// levelNow measures the program; mark is in the environment of every process that its realms start.
func levelNow(s *served, mark string) (level, error) {
	var l level
	v, err := s.tool(context.Background(), "check_health", args{"scope": "runtime"})
	if err != nil {
		return l, err
	}
	var h schemas.Health
	if err := json.Unmarshal(v, &h); err != nil {
		return l, err
	}
	for _, c := range h.Checks {
		switch c.Name {
		case "runtime.goroutines":
			l.goroutines = int(c.Numbers["count"])
		case "runtime.executions":
			l.executions = int(c.Numbers["in_memory"])
		}
	}
	folder := "/proc/" + strconv.Itoa(s.cmd.Process.Pid)
	status, err := os.ReadFile(folder + "/status")
	if err != nil {
		return l, err
	}
	if _, after, ok := bytes.Cut(status, []byte("RssAnon:")); ok {
		l.memory, err = strconv.Atoi(string(bytes.Fields(after)[0]))
	}
	if err != nil || l.memory == 0 {
		return l, fmt.Errorf("no RssAnon in %s: %w", status, err)
	}
	files, err := os.ReadDir(folder + "/fd")
	l.files, l.processes = len(files), len(below(s.cmd.Process.Pid, mark))
	return l, err
}

// below are the processes below pid, zombies too, and those that have mark in their environment, with their command lines.
func below(pid int, mark string) map[int]string {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	parent := map[int]int{}
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		_, after, ok := strings.Cut(string(b), ") ")
		if fields := strings.Fields(after); err == nil && ok && len(fields) > 1 { // otherwise it has just ended
			p, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			parent[p], _ = strconv.Atoi(fields[1])
		}
	}
	all := map[int]string{}
	for p := range parent {
		environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p)) // another user's, or gone
		ours := bytes.Contains(environment, []byte(mark))
		for up := parent[p]; !ours && up > 1; up = parent[up] {
			ours = up == pid
		}
		if ours && p != pid {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
			all[p] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return all
}

// levelTable is at most rows of the samples and the medians that were compared.
func levelTable(idle level, load []level, first, last, after level, rows int) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, l level) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", name, l.memory, l.goroutines, l.files, l.processes, l.executions)
	}
	fmt.Fprintln(w, "\tmemory KiB\tgoroutines\tfiles\tprocesses\texecutions\t")
	row("idle before", idle)
	step := max(len(load)/rows, 1)
	for i := 0; i < len(load); i += step {
		row(load[i].at.Round(time.Second).String(), load[i])
	}
	row("first third", first)
	row("last third", last)
	row("idle after", after)
	_ = w.Flush() // into memory
	return b.String()
}

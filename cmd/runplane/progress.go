package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
)

// progress shows the progress of an execution. On a terminal every node has a row that is rewritten in place; otherwise, and for
// plans larger than the screen, each change is a new line.
type progress struct {
	w      io.Writer
	screen screen
	live   bool
	nodes  []*nodeLine
	index  map[string]*nodeLine
	width  int
	drawn  bool
}

// screen returns the size of the terminal; it is called for each drawing, because the size can change. false: there is none.
type screen func() (rows, columns int, ok bool)

type nodeLine struct {
	id, capability string
	status         schemas.NodeStatus
	attempt        int
	rounds         int // of a node with repeat
	started        time.Time
	took           time.Duration
	note           string
}

func newProgress(w io.Writer, e schemas.Execution, quiet bool, s screen) *progress {
	fmt.Fprintln(w, strings.TrimRight("execution "+e.ExecutionID+" "+oneLine(e.Name), " "))
	if quiet {
		w = io.Discard
	}
	rows, _, ok := s()
	p := &progress{w: w, screen: s, index: map[string]*nodeLine{}, live: ok && !quiet && len(e.Nodes) < rows}
	for _, n := range e.Nodes {
		l := &nodeLine{id: n.ID, capability: n.Capability}
		l.take(&n)
		p.nodes = append(p.nodes, l)
		p.index[n.ID] = l
		p.width = max(p.width, len(n.ID))
	}
	if p.live {
		p.draw()
		return p
	}
	for _, l := range p.nodes { // changes before the display began
		if l.status.Ended() || l.status == schemas.NodeHeld {
			p.line(l)
		}
	}
	return p
}

// take sets the line to the view of a node.
func (l *nodeLine) take(n *schemas.NodeView) {
	l.status, l.attempt, l.took, l.note = n.Status, n.Attempts, time.Duration(n.DurationMS*float64(time.Millisecond)), ""
	if n.Items != nil { // the attempts are those of all items
		l.attempt = 0
	}
	l.rounds = n.Rounds
	switch {
	case n.Error == nil && n.Items != nil && n.Items.Failed > 0:
		l.note = fmt.Sprintf("%d of %d items failed", n.Items.Failed, n.Items.Total)
	case n.Error != nil:
		l.note = fmt.Sprintf("%s: %s", n.Error.Code, n.Error.Message)
	case n.Degraded:
		l.note = "degraded: served by " + n.ServedBy
	}
}

// update shows the events of a commit.
func (p *progress) update(u telemetry.Update, id string) {
	if u.ExecutionID != id {
		return
	}
	for i := range u.Events {
		e := &u.Events[i]
		l := p.index[e.Node]
		if l == nil || !l.apply(e) || p.live {
			continue
		}
		p.line(l)
	}
	if p.live {
		p.draw()
	}
}

// apply applies an event to the line and reports whether plain output prints it.
func (l *nodeLine) apply(e *schemas.Event) bool {
	before := l.status
	if before.Ended() {
		return false // it was shown already: the events before the first status arrive late
	}
	if e.Item != nil && e.Type != schemas.EventNodeHeld {
		if e.Type == schemas.EventNodeStarted && before != schemas.NodeRunning {
			l.status, l.started = schemas.NodeRunning, e.At
		}
		return false // what became of an item is not what became of its node
	}
	switch e.Type {
	case schemas.EventNodeStarted:
		l.status, l.attempt, l.note = schemas.NodeRunning, e.Attempt, ""
		if l.started.IsZero() {
			l.started = e.At
		}
		return false
	case schemas.EventRoundEnded:
		if e.Round != nil {
			l.rounds = *e.Round + 1
		}
	case schemas.EventNodeSucceeded, schemas.EventNodeReused:
		l.status, l.note = schemas.NodeSucceeded, ""
		if e.Degraded {
			l.note = "degraded: served by " + e.ServedBy
		}
	case schemas.EventNodeFailed:
		l.status = schemas.NodeFailed
	case schemas.EventAttemptFailed, schemas.EventNodePostponed:
		l.status = schemas.NodeBackingOff
	case schemas.EventNodeHeld:
		l.status = schemas.NodeHeld
	case schemas.EventNodeSkipped:
		l.status, l.note = schemas.NodeSkipped, e.Reason
	case schemas.EventNodeCancelled:
		l.status = schemas.NodeCancelled
	case schemas.EventNodePatched, schemas.EventAttemptLost:
		l.status, l.note = schemas.NodeReady, string(e.Type)
	}
	if e.Error != nil {
		l.note = fmt.Sprintf("%s: %s", e.Error.Code, e.Error.Message)
	}
	if e.Due != nil {
		l.note += fmt.Sprintf(" (again in %s)", e.Due.Sub(e.At).Round(time.Millisecond))
	}
	if !l.started.IsZero() {
		l.took = e.At.Sub(l.started)
	}
	return l.status != before || e.Error != nil
}

// drain shows the events that are still buffered.
func (p *progress) drain(events *telemetry.Subscription, id string) {
	for {
		select {
		case u, ok := <-events.C:
			if !ok {
				return
			}
			p.update(u, id)
		default:
			return
		}
	}
}

// settle shows the final state of nodes whose last event has not arrived: the feed may lag behind the log.
func (p *progress) settle(e schemas.Execution) {
	for _, n := range e.Nodes {
		l := p.index[n.ID]
		if l == nil || l.status == n.Status {
			continue
		}
		l.take(&n)
		if !p.live && (l.status.Ended() || l.status == schemas.NodeHeld) {
			p.line(l)
		}
	}
}

func (p *progress) line(l *nodeLine) { fmt.Fprintln(p.w, l.format(p.width)) }

// draw rewrites the block of rows. If the screen has become too small for it, the display changes to plain lines.
func (p *progress) draw() {
	rows, columns, ok := p.screen()
	if !ok || len(p.nodes) >= rows {
		p.live = false
		return
	}
	var b strings.Builder
	if p.drawn {
		fmt.Fprintf(&b, "\x1b[%dA", len(p.nodes))
	}
	p.drawn = true
	for _, l := range p.nodes {
		b.WriteString("\r\x1b[2K" + cut(l.format(p.width), columns-1) + "\n")
	}
	_, _ = io.WriteString(p.w, b.String()) // an error means that the terminal is gone
}

func (l *nodeLine) format(width int) string {
	s := fmt.Sprintf("  %-*s  %-11s", width, l.id, l.status)
	if l.capability != "" {
		s += "  " + l.capability
	}
	switch {
	case l.rounds > 0:
		s += fmt.Sprintf("  round %d", l.rounds)
	case l.attempt > 1:
		s += fmt.Sprintf("  attempt %d", l.attempt)
	}
	if l.status.Ended() && l.took > 0 {
		s += "  " + l.took.Round(100*time.Microsecond).String()
	}
	if l.note != "" {
		s += "  " + oneLine(l.note)
	}
	return strings.TrimRight(s, " ")
}

// maxNote bounds an error in a row; the whole error is printed at the end, or is in the events.
const maxNote = 200

// cut shortens a line to a number of columns; characters that may be two columns wide count as two.
func cut(s string, columns int) string {
	used := 0
	for i, r := range s {
		if r >= 0x1100 {
			used++
		}
		if used++; used > columns {
			return s[:i]
		}
	}
	return s
}

// oneLine makes text from others safe for a terminal: one line of limited length, with hidden characters as escapes.
func oneLine(s string) string { return schemas.Cut(schemas.VisibleLine(s), maxNote, schemas.Ellipsis) }

// forPeople writes what others wrote for a person to read: hidden characters, such as those that move the cursor of a terminal or
// reverse the order of a line, are shown as escapes. Each Write is whole characters.
type forPeople struct{ io.Writer }

func (w forPeople) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, schemas.Visible(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// done ends the display.
func (p *progress) done() {
	if !p.live {
		return
	}
	p.draw()
}

package schemas

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// A node costs an event or two and a head in each commit. Of their many fields few are set, and encoding/json looks at all: written by
// hand, the usual ones take a quarter of the time. Whatever has another field is encoded as usual.

// AppendJSON appends the event to dst as [Encode] would.
func (e *Event) AppendJSON(dst []byte) ([]byte, error) {
	if e.unusual() {
		return AppendEncoded(dst, e)
	}
	o := ObjectIn(dst)
	o.Int("seq", e.Seq)
	o.Time("at", e.At)
	o.Text("type", string(e.Type))
	o.TextUnlessEmpty("node", e.Node)
	if e.Item != nil {
		o.Int("item", int64(*e.Item))
	}
	o.IntUnlessZero("attempt", int64(e.Attempt))
	o.TextUnlessEmpty("status", string(e.Status))
	o.value("output", e.Output)
	o.TextUnlessEmpty("text", e.Text)
	if e.OutputRef != nil {
		o.Any("output_ref", e.OutputRef)
	}
	o.TextUnlessEmpty("by", e.By)
	o.TextUnlessEmpty("served_by", e.ServedBy)
	o.float("duration_ms", e.DurationMS)
	o.float("evaluated_ms", e.EvaluatedMS)
	return o.End()
}

// unusual reports whether the event has a member that AppendJSON does not write by hand.
func (e *Event) unusual() bool {
	return e.Cut || e.Round != nil || e.TextRef != nil || len(e.Content) > 0 || e.ContentRef != nil || e.Blocks || e.Error != nil || e.Due != nil || e.QueueDue != nil || e.Reason != "" || e.Degraded ||
		e.AgeSeconds != 0 || len(e.Notes) > 0 || e.Priority != 0 || e.Name != "" || len(e.Data) > 0 || e.DataRef != nil || e.Patch != nil ||
		e.Count != 0 || e.Fallback != 0 || e.Capability != "" || e.Definition != "" || e.Effect != "" || e.State != nil || e.Child != "" ||
		e.Parent != "" || e.Budget != nil || e.Places != 0 || len(e.Errors) > 0 || e.Bytes != 0 || e.Hold != "" || e.MayRunUntil != nil ||
		e.Limit != nil || e.Limits != nil
}

// AppendEncoded appends v as [Encode] writes it.
func AppendEncoded(dst []byte, v any) ([]byte, error) {
	b, err := Encode(v)
	return append(dst, b...), err
}

// Members writes a JSON object member by member, as encoding/json would. The first error is kept for End.
type Members struct {
	dst   []byte
	begun int // the length of dst after the brace
	err   error
}

// ObjectIn begins an object at the end of dst.
func ObjectIn(dst []byte) Members { return Members{dst: append(dst, '{'), begun: len(dst) + 1} }

// End returns dst with the object.
func (o *Members) End() ([]byte, error) { return append(o.dst, '}'), o.err }

func (o *Members) name(name string) {
	if len(o.dst) > o.begun {
		o.dst = append(o.dst, ',')
	}
	o.dst = append(append(append(o.dst, '"'), name...), '"', ':')
}

// Int writes an integer.
func (o *Members) Int(name string, n int64) {
	o.name(name)
	o.dst = strconv.AppendInt(o.dst, n, 10)
}

// IntUnlessZero writes an integer with omitempty.
func (o *Members) IntUnlessZero(name string, n int64) {
	if n != 0 {
		o.Int(name, n)
	}
}

// Time writes a point in time.
func (o *Members) Time(name string, t time.Time) {
	o.name(name)
	o.dst = append(o.dst, '"')
	var err error
	if o.dst, err = t.AppendText(o.dst); err != nil && o.err == nil {
		o.err = err
	}
	o.dst = append(o.dst, '"')
}

// Text writes a string.
func (o *Members) Text(name, s string) {
	o.name(name)
	begun := len(o.dst)
	o.dst = append(o.dst, '"')
	from := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			o.dst = o.dst[:begun]
			o.encoded(s)
			return
		case c == '"' || c == '\\':
			o.dst = append(append(o.dst, s[from:i]...), '\\', c)
			from = i + 1
		}
	}
	o.dst = append(append(o.dst, s[from:]...), '"')
}

// TextUnlessEmpty writes a string with omitempty.
func (o *Members) TextUnlessEmpty(name, s string) {
	if s != "" {
		o.Text(name, s)
	}
}

// Progress writes the counts of an execution's nodes.
func (o *Members) Progress(name string, p *Progress) {
	o.name(name)
	in := ObjectIn(o.dst)
	in.Int("total", int64(p.Total))
	in.Int("succeeded", int64(p.Succeeded))
	in.Int("failed", int64(p.Failed))
	in.Int("skipped", int64(p.Skipped))
	in.Int("running", int64(p.Running))
	in.Int("waiting", int64(p.Waiting))
	o.dst, _ = in.End() // integers make no error
}

// Any writes a value as encoding/json does.
func (o *Members) Any(name string, v any) {
	o.name(name)
	o.encoded(v)
}

func (o *Members) encoded(v any) {
	after, err := AppendEncoded(o.dst, v)
	if err != nil && o.err == nil {
		o.err = err
	}
	o.dst = after
}

// value writes a value that is JSON already, with omitempty.
func (o *Members) value(name string, v Value) {
	if len(v) == 0 {
		return
	}
	o.name(name)
	b := bytes.NewBuffer(o.dst)
	if err := json.Compact(b, v); err != nil && o.err == nil {
		o.err = err
	}
	o.dst = b.Bytes()
}

// float writes a number with omitempty.
func (o *Members) float(name string, f float64) {
	if f == 0 {
		return
	}
	o.name(name)
	if a := math.Abs(f); a < 1e-6 || a >= 1e21 || math.IsNaN(a) {
		o.encoded(f)
		return
	}
	o.dst = strconv.AppendFloat(o.dst, f, 'f', -1, 64)
}

package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// csvReader reads a table as RFC 4180 has it: fields between commas, records on lines, quotes around fields that hold either, "" for a
// quote within. An empty line is no record.
type csvReader struct {
	text string
	at   int
	line int // of the record that is read, from 1
	next int // line
}

// decodeCSV is a list of objects by the names of the first record; all values are texts.
func decodeCSV(args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	if !ok {
		return types.NewErr("no such overload: csv.decode() of %s", args[0].Type().TypeName())
	}
	r := csvReader{text: strings.TrimPrefix(string(text), "\ufeff"), next: 1}
	header, err := r.record()
	if err != nil {
		return types.WrapErr(err)
	}
	keys := make([]ref.Val, len(header))
	have := make(map[string]int, len(header))
	for i, name := range header {
		if first, twice := have[name]; twice {
			return types.NewErr("csv.decode: columns %d and %d of the header have the same name %q", first+1, i+1, Shorten(name))
		}
		have[name], keys[i] = i, types.String(name)
	}
	rows := []ref.Val{}
	for {
		fields, err := r.record()
		if err != nil {
			return types.WrapErr(err)
		}
		if fields == nil {
			return types.NewRefValList(types.DefaultTypeAdapter, rows)
		}
		if len(fields) != len(header) {
			return types.NewErr("csv.decode: the record on line %d has %d fields, and the header has %d", r.line, len(fields), len(header))
		}
		entries := make(map[ref.Val]ref.Val, len(fields))
		for i, field := range fields {
			entries[keys[i]] = types.String(field)
		}
		rows = append(rows, record{types.NewRefValMap(values, entries), keys})
	}
}

// record reads the next record; nil: there is none.
func (r *csvReader) record() ([]string, error) {
	for r.at < len(r.text) {
		r.line = r.next
		fields, err := r.fields()
		if err != nil || len(fields) > 1 || fields[0].quoted || fields[0].text != "" {
			texts := make([]string, len(fields))
			for i, f := range fields {
				texts[i] = f.text
			}
			return texts, err
		}
	}
	return nil, nil
}

type csvField struct {
	text   string
	quoted bool
}

func (r *csvReader) fields() (fields []csvField, err error) {
	for {
		f := csvField{}
		if f.quoted = r.at < len(r.text) && r.text[r.at] == '"'; f.quoted {
			f.text, err = r.inQuotes()
		} else {
			f.text, err = r.plain()
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
		switch {
		case r.at >= len(r.text):
			return fields, nil
		case r.text[r.at] == ',':
			r.at++
		case r.lineEnd() > 0:
			r.at += r.lineEnd()
			r.next++
			return fields, nil
		default:
			return nil, fmt.Errorf("csv.decode: line %d: a quoted field ends at its second quote, and text follows; "+
				"a quote within is written \"\"", r.next)
		}
	}
}

// lineEnd is the length of the line break at the position; 0: there is none.
func (r *csvReader) lineEnd() int {
	switch {
	case strings.HasPrefix(r.text[r.at:], "\n"):
		return 1
	case strings.HasPrefix(r.text[r.at:], "\r\n"):
		return 2
	}
	return 0
}

func (r *csvReader) plain() (string, error) {
	n := strings.IndexAny(r.text[r.at:], ",\n")
	if n < 0 {
		n = len(r.text) - r.at
	} else if n > 0 && r.text[r.at+n] == '\n' && r.text[r.at+n-1] == '\r' {
		n--
	}
	text := r.text[r.at : r.at+n]
	if strings.Contains(text, `"`) {
		return "", fmt.Errorf("csv.decode: line %d: a quote stands inside a field that does not begin with one", r.next)
	}
	r.at += n
	return text, nil
}

func (r *csvReader) inQuotes() (string, error) {
	begin := r.next
	var b strings.Builder
	for r.at++; ; {
		n := strings.IndexByte(r.text[r.at:], '"')
		if n < 0 {
			return "", fmt.Errorf("csv.decode: the quote that is opened on line %d is never closed", begin)
		}
		b.WriteString(r.text[r.at : r.at+n])
		r.next += strings.Count(r.text[r.at:r.at+n], "\n")
		r.at += n + 1
		if !strings.HasPrefix(r.text[r.at:], `"`) {
			return b.String(), nil
		}
		b.WriteByte('"')
		r.at++
	}
}

// priceCSV prices a table by the fields that it may have, and the characters that are looked at.
func priceCSV(args []ref.Val, most uint64) uint64 {
	text, ok := args[0].(types.String)
	if !ok {
		return 1
	}
	fields := strings.Count(string(text), ",") + strings.Count(string(text), "\n") + 1
	return priceRunes(args, most) + 2*stepsOfEntry*uint64(fields) //nolint:gosec // a count
}

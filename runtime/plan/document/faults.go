package document

import (
	"errors"
	"strings"
)

// The words of the parsers that we use speak of how they work. A reader wants to know what to write.

// fault is what to say where a parser says something.
type fault struct{ theirs, ours string }

var jsonFaults = []fault{
	{"unexpected end of JSON input", "it ends within a value: it is incomplete; send it whole"},
	{"looking for beginning of object key string", "a key in double quotes is wanted"},
	{"looking for beginning of value", "a value is wanted: a text stands in double quotes"},
	{"after object key:value pair", "a comma or } is missing"},
	{"after array element", "a comma or ] is missing"},
	{"after object key", "a colon is missing after a key"},
	{"after top-level value", "the text goes on after its end"},
	{"in string literal", `a text ends on its own line: a line break in it is written \n`},
	{"in string escape code", `a backslash in a text is written \\`},
	{`in \u hexadecimal character escape`, `after \u there are four hexadecimal digits`},
	{"in literal", "a value is true, false, null, a number, or a text in double quotes"},
	{"in numeric literal", "a number has digits, one point and an exponent"},
	{"", "it cannot be read from here on"},
}

const needQuotes = "texts with : # { } [ ] , & * ! | > ' \" % @ ` need quotes"

var yamlFaults = []fault{
	{"reserved character", "a text that begins with @, ` or % needs quotes"},
	{"cannot start any token", "lines are indented with spaces, not with tabs"},
	{"flow mapping end token", "the text ends within { … }: it is incomplete; send it whole"},
	{"sequence end token", "the text ends within [ … ]: it is incomplete; send it whole"},
	{"map key-value is pre-defined", "a text goes on in the next line, or after its end: check the indentation, and " + needQuotes},
	{"mapping value is not allowed", "a text with a colon and a space in it needs quotes, or a line has the wrong indentation"},
	{"or '}' must be specified", "a comma or } is missing within { … }; " + needQuotes},
	{"or ']' must be specified", "a comma or ] is missing within [ … ]; " + needQuotes},
	{"flow map content", "a comma, a colon or } is missing within { … }; " + needQuotes},
	{"unexpected key name", "this line is neither a field, as in name: value, nor an item, as in - value: check it and the indentation"},
	{"non-map value is specified", "this line is neither a field, as in name: value, nor an item, as in - value: check it and the indentation"},
	{"could not find end character of", "a text in quotes has no end: the closing quote is missing, or the text is incomplete"},
	{"surrogate", "half a character (a surrogate without its other half) has no meaning"},
	{"tag", "a text that begins with ! needs quotes"},
	{"anchor", "a text that begins with & needs quotes"},
	{"alias", "a text that begins with * needs quotes"},
	{"", "it cannot be read from here on: fields of one object have the same indentation, and " + needQuotes},
}

// said is what we say where a parser says something.
func said(theirs string, table []fault) string {
	for _, f := range table {
		if strings.Contains(theirs, f.theirs) {
			return f.ours
		}
	}
	return theirs
}

// inOurWords replaces what the parser of YAML says by what to write.
func inOurWords(err error, source string) error {
	var e *Error
	if !errors.As(err, &e) || e.theirs == "" {
		return err
	}
	if e.Kind == DuplicateKey {
		key := e.theirs
		if _, after, ok := strings.Cut(key, `"`); ok {
			key, _, _ = strings.Cut(after, `"`)
		}
		e.Message = duplicateKey(key)
		return e
	}
	e.Message = "not valid YAML: " + said(e.theirs, yamlFaults)
	if lines := strings.Split(source, "\n"); e.At.Line > 0 && e.At.Line <= len(lines) && strings.Contains(lines[e.At.Line-1], "{{") {
		e.Message = "not valid YAML: {{ … }} without quotes is an object: a value of the plan is written in quotes, as \"${inputs.name}\""
	}
	return e
}

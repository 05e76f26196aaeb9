package realm

import "bytes"

// byteOrderMark may stand at the begin of a text.
const byteOrderMark = "\uFEFF"

// within dispatches a message that does not begin its line, and reports whether there was one, and what stood before it besides blanks and
// marks: words that a library printed without a line end, or escapes of a terminal.
func (p *pipe) within(line []byte) (message bool, before string) {
	if line[0] == '{' {
		return false, ""
	}
	for from, tries := 0, 0; tries < maxBraces; tries++ {
		at := bytes.IndexByte(line[from:], '{')
		if at < 0 || from+at > maxBefore {
			return false, ""
		}
		at += from
		if bytes.Contains(line[at:], []byte(`"jsonrpc"`)) && p.dispatch(line[at:]) {
			return true, printable(bytes.TrimSpace(bytes.ReplaceAll(line[:at], []byte(byteOrderMark), nil)), 200)
		}
		from = at + 1
	}
	return false, ""
}

const (
	maxBefore = 4 << 10 // bytes before a message on its line
	maxBraces = 8       // braces that may begin it
)

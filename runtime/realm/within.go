package realm

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// byteOrderMark may stand at the begin of a text.
const byteOrderMark = "\uFEFF"

// maxBefore is how much may stand before a message on its line.
const maxBefore = 4 << 10

// within dispatches a message that does not begin its line, and reports whether there was one, and what stood before it besides blanks, marks
// and escapes of a terminal. Behind words, which a library printed without a line end, there is a message only if it is the answer to the
// one call that waits, or to the one request: a log that repeats what the realm reads, or what somebody wrote into an argument, is none.
func (p *pipe) within(line []byte) (message bool, before string) {
	at := bytes.IndexByte(line, '{')
	if at <= 0 || at > maxBefore {
		return false, ""
	}
	words := strings.TrimSpace(strings.ReplaceAll(schemas.WithoutEscapes(string(line[:at])), byteOrderMark, ""))
	if words == "" {
		return p.dispatch(line[at:]), ""
	}
	return p.answersTheOnlyCall(line[at:]) && p.dispatch(line[at:]), printable([]byte(words), 200)
}

// answersTheOnlyCall reports whether a text is the answer to the only call that waits, whose arguments alone may have made it, or to the
// only request.
func (p *pipe) answersTheOnlyCall(text []byte) bool {
	var m message
	if json.Unmarshal(text, &m) != nil || m.Method != "" {
		return false
	}
	id, err := strconv.ParseInt(string(bytes.Trim(m.ID, `"`)), 10, 64)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, waits := p.waiting[id]
	for other, w := range p.waiting {
		if other != id && (w.call || !asked.call) {
			return false
		}
	}
	return waits
}

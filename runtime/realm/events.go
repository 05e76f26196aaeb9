package realm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// eventBody filters a stream of server-sent events. An event that is too large is replaced by a JSON-RPC error with its id, and
// answers to no pending request are dropped: mcp-go accepts the first answer whatever its id, and fails on a second one. The
// stream may have any length: one event is in memory at a time.
type eventBody struct {
	body    io.ReadCloser
	lines   *lineReader
	limit   int
	unasked *throttle // of comments and notifications; nil: none
	x       *exchange // of the request that the stream answers; nil: none
	done    bool      // its answer was received
	asked   func(id json.RawMessage, method string)
	event   int    // bytes of data in the event so far
	rest    []byte // of the current line
	err     error
}

func (b *eventBody) Close() error { return b.body.Close() }

func (b *eventBody) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// fill reads one line into rest, or sets err.
func (b *eventBody) fill() {
	line, skipped, err := b.lines.next()
	switch {
	case err != nil:
		b.err = err
		if b.x != nil && errors.Is(err, errEndless) {
			b.x.endless.Store(true)
		}
	case skipped != nil:
		b.rest = []byte("\n")
		if skipped.hasID {
			b.rest = failedEvent(skipped.id, rpcTooLarge)
		}
	default:
		if b.event += len(line); len(line) == 0 {
			b.event = 0
		}
		if b.event > b.limit {
			b.err = errTooLarge
			if b.x != nil {
				b.x.endless.Store(true)
			}
			return
		}
		if b.unasked != nil && isUnasked(line) {
			b.unasked.wait(nil) // moments: the stream is read one line after the other
		}
		if at := malformed(line); at != nil && at.hasID {
			b.rest = failedEvent(at.id, rpcMalformed)
			return
		}
		if b.isUnwanted(line) {
			line = nil
		}
		b.rest = append(append(b.rest[:0:0], line...), '\n')
	}
}

// isUnasked reports whether a line is a comment, or the data of a notification as most servers write it.
func isUnasked(line []byte) bool {
	return len(line) > 0 && line[0] == ':' || bytes.Contains(line[:min(len(line), 256)], []byte(`"notifications/`))
}

// failedEvent is the data of an event that takes the place of an answer.
func failedEvent(id int64, code int) []byte {
	return fmt.Appendf(nil, "data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"error\":{\"code\":%d,\"message\":\"\"}}\n", id, code)
}

// malformed finds the id of an answer that is not JSON, for which mcp-go would wait; nil: the line is not one. Data of several
// lines does not count: none of them is a whole object.
func malformed(line []byte) *tooLong {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if data = bytes.TrimSpace(data); !ok || len(data) == 0 || data[0] != '{' || data[len(data)-1] != '}' || json.Valid(data) {
		return nil
	}
	return skipped(line, line)
}

// isUnwanted reports whether a line of data is an answer to another request, or a second one. It decodes the line only if the id is
// not where most servers write it.
func (b *eventBody) isUnwanted(line []byte) bool {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok || b.x == nil && b.asked == nil {
		return false
	}
	if id, ok := leadingID(line); ok && b.x != nil && id == b.x.id && !b.done {
		b.done = true
		return false
	}
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	if json.Unmarshal(data, &m) != nil || len(m.ID) == 0 || string(m.ID) == "null" {
		return false
	}
	if m.Method != "" {
		if b.asked != nil {
			b.asked(m.ID, m.Method)
		}
		return b.asked != nil
	}
	if b.x == nil {
		return false // a stream of several answers, which the reader matches by id
	}
	if string(bytes.Trim(m.ID, `"`)) != strconv.FormatInt(b.x.id, 10) || b.done {
		return true
	}
	b.done = true
	return false
}

package realm

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
)

// errEndless: a realm wrote so much without a line end that its stream is closed.
var errEndless = errors.New("a line exceeded the limit")

// endlessFactor times the limit is how much of one line is read and discarded before the stream is closed.
const endlessFactor = 8

// lineReader reads lines of at most max bytes. A longer one is skipped and reported with the id of the JSON-RPC response that it
// was, so that an answer that is too large fails one call. It uses memory for max bytes and a buffer.
type lineReader struct {
	in   *bufio.Reader
	max  int
	long []byte // a line that did not fit the buffer
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, 64<<10), max: limit}
}

// tooLong is a skipped line.
type tooLong struct {
	id    int64 // of the response it was
	hasID bool
}

// next returns the next line without its end, valid until the following call, or a skipped line.
// At the end of the stream a last line without an end is returned first, then the error.
func (l *lineReader) next() ([]byte, *tooLong, error) {
	l.long = l.long[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		switch {
		case err == nil && len(l.long) == 0:
			if len(part) > l.max {
				return nil, skipped(part, part), nil
			}
			return bytes.TrimRight(part, "\r\n"), nil, nil
		case len(l.long)+len(part) > l.max:
			return l.skip(part, err)
		}
		l.long = append(l.long, part...)
		switch {
		case err == nil:
			line := bytes.TrimRight(l.long, "\r\n")
			if cap(l.long) > 1<<20 {
				l.long = nil // free the memory of a large answer
			}
			return line, nil, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if line := bytes.TrimRight(l.long, "\r\n"); len(line) > 0 && errors.Is(err, io.EOF) {
				return line, nil, nil
			}
			return nil, nil, err
		}
	}
}

// skip reads to the end of the line and keeps only its head and tail.
func (l *lineReader) skip(part []byte, err error) ([]byte, *tooLong, error) {
	head := bytes.Clone(l.long[:min(len(l.long), idWindow)])
	head = append(head, part[:min(len(part), idWindow-len(head))]...)
	total := len(l.long) + len(part)
	l.long = nil
	tail := bytes.Clone(part[max(0, len(part)-idWindow):])
	for errors.Is(err, bufio.ErrBufferFull) {
		if total > endlessFactor*l.max {
			return nil, nil, errEndless
		}
		part, err = l.in.ReadSlice('\n')
		total += len(part)
		tail = append(tail, part...)
		tail = append(tail[:0], tail[max(0, len(tail)-idWindow):]...)
	}
	if err != nil {
		return nil, nil, err
	}
	return nil, skipped(head, tail), nil
}

// idWindow is how much of a line's head and tail is searched for its id. Go servers write it first, TypeScript's last.
const idWindow = 256

var (
	idFirst = regexp.MustCompile(`^\s*(?:data:\s*)?\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*,`)
	idLast  = regexp.MustCompile(`[}\]"]\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,18})\s*\}\s*$`)
)

func leadingID(head []byte) (int64, bool) { return matchID(idFirst, head[:min(len(head), idWindow)]) }

// skipped finds the id of a response in the head and tail of its line.
func skipped(head, tail []byte) *tooLong {
	if id, ok := leadingID(head); ok {
		return &tooLong{id, true}
	}
	id, ok := matchID(idLast, tail[max(0, len(tail)-idWindow):])
	return &tooLong{id, ok}
}

func matchID(pattern *regexp.Regexp, b []byte) (int64, bool) {
	m := pattern.FindSubmatch(b)
	if m == nil {
		return 0, false
	}
	id, err := strconv.ParseInt(string(m[1]), 10, 64)
	return id, err == nil
}

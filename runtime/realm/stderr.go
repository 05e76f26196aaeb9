package realm

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

const (
	maxStderrLine = 2 << 10 // bytes of one line that are logged
	keptLines     = 3       // last lines that are kept for the error when the child ends
	maxLastBytes  = 400
)

// stderrLog reads a child's stderr to its end, so that the child never blocks on it, and logs it up to a rate.
type stderrLog struct {
	log    hclog.Logger
	redact *redact.Redactor
	rate   *rate.Limiter
	mu     sync.Mutex
	kept   [keptLines][]byte // a ring
	next   int               // number of lines kept so far
	alarm  []byte            // the first line that tells of an error
	at     int               // its number
}

func newStderrLog(log hclog.Logger, redact *redact.Redactor, perSecond int) *stderrLog {
	return &stderrLog{log: log, redact: redact, rate: rate.NewLimiter(rate.Limit(perSecond), 4*perSecond)}
}

// read returns when the stream ends or its read deadline passes, and closes it.
func (s *stderrLog) read(in io.ReadCloser) {
	defer in.Close()
	lines := bufio.NewReaderSize(in, maxStderrLine)
	dropped, within := 0, false
	for {
		part, err := lines.ReadSlice('\n')
		if len(part) > 0 && !within {
			s.keep(part)
			if s.rate.Allow() {
				if dropped > 0 {
					s.log.Warn("lines of stderr dropped: the realm writes faster than the log limit", "dropped_lines", dropped)
					dropped = 0
				}
				s.log.Info("stderr", "line", s.tidy(part))
			} else {
				dropped++
			}
		}
		within = errors.Is(err, bufio.ErrBufferFull) // the rest of a long line is dropped
		if err != nil && !within {
			if dropped > 0 {
				s.log.Warn("lines of stderr dropped: the realm writes faster than the log limit", "dropped_lines", dropped)
			}
			return
		}
	}
}

// tidy cleans a line for the log and for errors.
func (s *stderrLog) tidy(line []byte) string {
	plain := s.redact.Text(schemas.WithoutEscapes(strings.TrimRight(string(line), "\r\n")))
	return printable([]byte(plain), maxStderrLine)
}

func (s *stderrLog) keep(line []byte) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := &s.kept[s.next%keptLines]
	*oldest = append((*oldest)[:0], line...)
	if s.alarm == nil && alarming.Match(line) {
		s.alarm, s.at = bytes.Clone(line), s.next
	}
	s.next++
}

// alarming are the words of a line that says why a program gives up. What follows it is often a stack alone.
var alarming = regexp.MustCompile(`(?i)\b(?:[a-z]*error|fatal|panic|exception|ERR!)(?:\b|:)`)

// last is the last lines that the child wrote, joined, and the first that told of an error.
func (s *stderrLog) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	if s.alarm != nil && s.at < s.next-keptLines {
		lines = append(lines, s.tidy(s.alarm))
	}
	for i := max(0, s.next-keptLines); i < s.next; i++ {
		lines = append(lines, s.tidy(s.kept[i%keptLines]))
	}
	return schemas.Cut(strings.Join(lines, " | "), maxLastBytes, cutMark)
}

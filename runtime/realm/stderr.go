package realm

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
)

const (
	maxStderrLine = 2 << 10 // bytes of one line that are logged
	keptLines     = 3       // last lines kept for the error of a child that ends
	maxLastWords  = 400
)

// stderrLog reads a child's stderr to its end, so that the child never blocks on it, and logs what the rate allows.
type stderrLog struct {
	log    hclog.Logger
	redact *strings.Replacer
	rate   *rate.Limiter
	mu     sync.Mutex
	kept   []string
}

func newStderrLog(log hclog.Logger, redact *strings.Replacer, perSecond int) *stderrLog {
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
			text := s.redact.Replace(printable([]byte(ansi.ReplaceAllString(strings.TrimRight(string(part), "\r\n"), "")), maxStderrLine))
			s.keep(text)
			if s.rate.Allow() {
				if dropped > 0 {
					s.log.Warn("stderr of the realm was too fast for the log", "dropped_lines", dropped)
					dropped = 0
				}
				s.log.Info("stderr", "line", text)
			} else {
				dropped++
			}
		}
		within = errors.Is(err, bufio.ErrBufferFull) // the rest of a long line is left out
		if err != nil && !within {
			if dropped > 0 {
				s.log.Warn("stderr of the realm was too fast for the log", "dropped_lines", dropped)
			}
			return
		}
	}
}

func (s *stderrLog) keep(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == keptLines {
		s.kept = append(s.kept[:0], s.kept[1:]...)
	}
	s.kept = append(s.kept, line)
}

// last is the end of what the child wrote, in one line.
func (s *stderrLog) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cut(strings.Join(s.kept, " | "), maxLastWords)
}

package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Error is an error reply of the server, such as "WRONGTYPE …".
type Error string

// Error is the text of the reply.
func (e Error) Error() string { return string(e) }

// Do runs a command on a connection of its own and fails the test on an error. The answer is a string, an int64, nil or
// a []any of these.
func (s *Server) Do(args ...string) any {
	s.t.Helper()
	answer, err := s.Ask(args...)
	if err != nil {
		s.t.Fatalf("redis %s: %v", strings.Join(args, " "), err)
	}
	return answer
}

// Ask is Do for commands that may fail: the error is an Error if the server replied with one; any other error is one of the
// connection.
func (s *Server) Ask(args ...string) (any, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	answers := bufio.NewReader(conn)
	if s.password != "" {
		if _, err := ask(conn, answers, "AUTH", s.password); err != nil {
			return nil, err
		}
	}
	return ask(conn, answers, args...)
}

func ask(w io.Writer, answers *bufio.Reader, args ...string) (any, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return nil, err
	}
	return answer(answers)
}

// answer reads one RESP2 reply, https://redis.io/docs/latest/develop/reference/protocol-spec/.
func answer(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, errors.New("an empty reply")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+':
		return rest, nil
	case '-':
		return nil, Error(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return nil, err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return string(text[:n]), err
	case '*':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return nil, err
		}
		list := make([]any, n)
		for i := range list {
			if list[i], err = answer(r); err != nil && !errors.As(err, new(Error)) {
				return nil, err
			}
		}
		return list, nil
	default:
		return nil, fmt.Errorf("invalid reply %q", line)
	}
}

package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// shutdownGrace is how long calls may still take when ctx ends: a client that terminates this process kills it about two seconds
// later.
const shutdownGrace = 500 * time.Millisecond

// Stdio serves one client over a pair of streams, one JSON-RPC message a line. It returns nil at the end of in, after the calls
// in flight are answered or Config.Drain has passed, and nil when ctx ends, after at most two seconds. Executions that a call
// waited for continue in both cases. An error means that in or out failed.
//
// A Read of in cannot be interrupted: after the end of ctx one goroutine stays in it until it returns.
func (s *Server) Stdio(ctx context.Context, in io.Reader, out io.Writer) error {
	p := newPeer(ctx, s, "stdio", func(message []byte) error {
		_, err := out.Write(append(message, '\n'))
		return err
	})
	defer s.register(p)()
	lines := make(chan line)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	go readLines(reading, in, lines)
	for {
		select {
		case l := <-lines:
			switch {
			case errors.Is(l.err, io.EOF):
				s.beginDrain()
				return s.leave(ctx, p)
			case l.err != nil:
				p.cutOff(errClientGone)
				p.drain(0, nil)
				return fmt.Errorf("read from the client: %w", l.err)
			case l.tooLong:
				p.send(protocolError(messageID(l.text), mcp.INVALID_REQUEST, tooLarge.Message, tooLarge))
			default:
				p.receive(l.text) //nolint:contextcheck // a call may outlive ctx, so that it can be answered
			}
		case <-p.changes:
			p.sendChanges()
		case <-p.broken:
			p.drain(0, nil)
			return fmt.Errorf("write to the client: %w", errBroken)
		case <-ctx.Done():
			s.beginDrain()
			p.drain(shutdownGrace, nil)
			return nil
		}
	}
}

// leave ends the connection of a client that has closed its side.
func (s *Server) leave(ctx context.Context, p *peer) error {
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(shutdownGrace, func() { close(late) }) })
	defer stop()
	if !p.drain(s.config.Drain, late) {
		s.log.Warn("the client closed its side; calls in flight were cut off")
	}
	return nil
}

// line is one line of input without its end, or the error that ended the input.
type line struct {
	text    []byte // of a line that is too long: its beginning and its end
	tooLong bool
	err     error
}

// readLines sends every line that is not empty until ctx or in ends. A line over maxMessage uses no more memory than that.
func readLines(ctx context.Context, in io.Reader, lines chan<- line) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		l := readLine(r)
		if l.err == nil && len(l.text) == 0 {
			continue
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return
		}
		if l.err != nil {
			return
		}
	}
}

// lineEdge is how much of the beginning and of the end of a line that is too long is kept to find its id.
const lineEdge = 512

func readLine(r *bufio.Reader) (l line) {
	var tail []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case l.tooLong:
			tail = append(tail, part...)
			tail = append(tail[:0], tail[max(0, len(tail)-lineEdge):]...)
		case len(l.text)+len(part) > maxMessage:
			l.tooLong = true
			tail = append(tail, part[max(0, len(part)-lineEdge):]...)
			l.text = bytes.Clone(l.text[:min(lineEdge, len(l.text))])
		default:
			l.text = append(l.text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(l.text) == 0) {
			return line{err: err}
		}
		if l.tooLong {
			l.text = append(append(l.text, ' '), tail...)
		}
		l.text = bytes.TrimSpace(l.text)
		return l
	}
}

// Where clients put the id of a request: at its beginning, or as its last member. Neither place can hold another id.
var (
	idFirst = regexp.MustCompile(`^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*("[^"\\]*"|-?\d+)\s*,`)
	idLast  = regexp.MustCompile(`[,{]\s*"id"\s*:\s*("[^"\\]*"|-?\d+)\s*\}\s*$`)
)

// messageID finds the id in the beginning and end of a request that was too long; nil: it is elsewhere.
func messageID(edges []byte) json.RawMessage {
	for _, place := range []*regexp.Regexp{idFirst, idLast} {
		if m := place.FindSubmatch(edges); m != nil && schemas.FindFlaw(m[1], 0) == nil {
			return m[1]
		}
	}
	return nil
}

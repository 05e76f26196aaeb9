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
	p.waiting = newWaitingRoom(s.limits.Bytes)
	defer s.register(p)()
	lines := make(chan line)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	go (&lineReader{in: bufio.NewReaderSize(in, 64<<10), texts: p.waiting.texts}).readLines(reading, lines)
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
				p.receive(l) //nolint:contextcheck // a call may outlive ctx, so that it can be answered
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
	waiting *hold // what a large message holds while it waits for room; nil: it does not wait
	refused bool  // there is no room to wait in
	err     error

	narrowing narrowing // by the headers of an HTTP request that brought it
}

// stuckTime is how long reading pauses although no message that waits for room gets it. Large messages are refused then, so that a
// cancellation after them is read.
const stuckTime = 5 * time.Second

// lineReader reads the messages of a client on stdio. It pauses, so that the client pauses too, while large messages that wait for room hold
// as much as they may.
type lineReader struct {
	in    *bufio.Reader
	texts *ledger   // what they hold
	freed int       // how often one of them had got room
	stuck time.Time // since when none did
}

// readLines sends every line that is not empty until ctx or in ends. A line over maxMessage uses no more memory than that.
func (r *lineReader) readLines(ctx context.Context, lines chan<- line) {
	for {
		l := readLine(r.in)
		if l.err == nil && len(l.text) == 0 {
			continue
		}
		if len(l.text) > freeBytes {
			l.waiting = r.enter(ctx, int64(len(l.text)))
			l.refused = l.waiting == nil
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

// enter waits until n bytes may wait for room; nil: that seems to lead nowhere, or ctx has ended.
func (r *lineReader) enter(ctx context.Context, n int64) *hold {
	h := r.texts.answering(nil) // one may have any size
	for patience := time.Duration(0); !h.grow(ctx, n, patience); {
		if freed := r.texts.freedRoom(); freed != r.freed || r.stuck.IsZero() {
			r.freed, r.stuck = freed, time.Now()
		}
		if patience = time.Until(r.stuck.Add(stuckTime)); patience <= 0 || ctx.Err() != nil {
			h.free()
			return nil
		}
	}
	return h
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
		case len(l.text)+len(bytes.TrimRight(part, "\r\n")) > maxMessage:
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

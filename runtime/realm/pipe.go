package realm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// notSent is the error of a request of which no complete line was written.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// Codes of responses that this package makes for answers that cannot be used, outside the range of JSON-RPC codes.
const (
	rpcTooLarge  = -1_000_001
	rpcMalformed = -1_000_002
)

// pipe is the stdio transport: one JSON-RPC message per line, in both directions. Requests that come during a write are sent
// together in the next one. A peer that does not read delays no caller beyond its ctx.
type pipe struct {
	out     io.WriteCloser
	lines   *lineReader
	unasked *throttle // of what no request waits for
	log     hclog.Logger

	mu        sync.Mutex
	waiting   map[int64]waiter
	reporting int // late answers whose reports have not returned
	queue     []*frame
	notify    func(mcp.JSONRPCNotification)

	wake  chan struct{} // size 1: the queue is not empty
	ended chan struct{} // closed after cause is set
	cause error
	once  sync.Once
	wg    sync.WaitGroup
}

// waiter is who waits for a response.
type waiter struct {
	answer chan *transport.JSONRPCResponse // of size 1, so that the reader never blocks
	late   lateFunc                        // instead, when the caller has stopped waiting; see reportLate
	call   bool                            // of a tool
}

// frame is one line to write.
type frame struct {
	line []byte
	sent bool // handed to write; guarded by pipe.mu
	lost bool // the write failed before the end of the line; guarded by pipe.mu
}

// maxReplies is the most messages that wait for a peer that does not read.
const maxReplies = 1024

func newPipe(in io.Reader, out io.WriteCloser, limit int, log hclog.Logger) *pipe {
	return &pipe{
		out: out, lines: newLineReader(in, limit), unasked: newThrottle(), log: log,
		waiting: map[int64]waiter{},
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
}

// Start starts reading and writing, until Close, or until fail and the end of both streams.
func (p *pipe) Start(context.Context) error {
	p.wg.Go(p.read)
	p.wg.Go(p.write)
	return nil
}

// fail ends every waiting and later request with cause; the first cause is kept.
func (p *pipe) fail(cause error) {
	p.once.Do(func() {
		p.cause = cause
		close(p.ended)
	})
}

// Close closes the pipe and waits for its goroutines; the reader ends when the other side is closed.
func (p *pipe) Close() error {
	p.fail(transport.ErrTransportClosed)
	err := p.out.Close()
	p.wg.Wait()
	return err
}

// SendRequest writes the request and waits for its response. The error is a notSent if no complete line was written.
func (p *pipe) SendRequest(ctx context.Context, request transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	id, ok := request.ID.Value().(int64)
	if !ok {
		return nil, notSent{fmt.Errorf("request id %v is not an integer", request.ID.Value())}
	}
	line, err := requestLine(id, request.Method, request.Params)
	if err != nil {
		return nil, notSent{err}
	}
	answer := make(chan *transport.JSONRPCResponse, 1)
	f := &frame{line: line}
	p.mu.Lock()
	p.waiting[id] = waiter{answer: answer, call: request.Method == string(mcp.MethodToolsCall)}
	p.queue = append(p.queue, f)
	p.mu.Unlock()
	p.wakeWriter()

	select {
	case response := <-answer:
		return response, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-p.ended:
		err = p.cause
	}
	late := lateOf(ctx)
	p.mu.Lock()
	w, waits := p.waiting[id]
	delete(p.waiting, id)
	sent := f.sent && !f.lost
	if !f.sent {
		f.line = nil // the writer skips it
	}
	if waits && sent && late != nil && len(p.waiting)+p.reporting < maxLate {
		p.waiting[id] = waiter{late: late, call: w.call}
	}
	p.mu.Unlock()
	if !waits { // received meanwhile
		return <-answer, nil
	}
	if !sent {
		return nil, notSent{err}
	}
	return nil, err
}

// SendNotification queues the notification; it does not wait until it is written.
func (p *pipe) SendNotification(_ context.Context, notification mcp.JSONRPCNotification) error {
	line, err := json.Marshal(notification)
	if err != nil {
		return err
	}
	return p.enqueue(line)
}

func (p *pipe) enqueue(line []byte) error {
	select {
	case <-p.ended:
		return notSent{p.cause}
	default:
	}
	p.mu.Lock()
	full := len(p.queue) >= maxReplies
	if !full {
		p.queue = append(p.queue, &frame{line: append(line, '\n')})
	}
	p.mu.Unlock()
	if full {
		return notSent{errors.New("the realm does not read")}
	}
	p.wakeWriter()
	return nil
}

func (p *pipe) wakeWriter() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// write is the only goroutine that writes. It always writes whole lines, so the stream stays in sync.
func (p *pipe) write() {
	var buffer []byte
	var ends []int
	for {
		select {
		case <-p.ended:
			return
		case <-p.wake:
		}
		p.mu.Lock()
		batch := p.queue
		p.queue = nil
		buffer, ends = buffer[:0], ends[:0]
		for _, f := range batch {
			f.sent = f.line != nil
			buffer = append(buffer, f.line...)
			ends = append(ends, len(buffer))
			f.line = nil
		}
		p.mu.Unlock()
		if len(buffer) == 0 {
			continue
		}
		n, err := p.out.Write(buffer)
		if err != nil {
			p.mu.Lock()
			for i, f := range batch {
				f.lost = n < ends[i]-1 // a line without its last brace is not valid JSON
			}
			p.mu.Unlock()
			p.fail(fmt.Errorf("write to stdin: %w", err))
			return
		}
		if cap(buffer) > 1<<20 {
			buffer = nil
		}
	}
}

// read dispatches until the stream ends.
func (p *pipe) read() {
	warned := false
	for {
		line, long, err := p.lines.next()
		switch {
		case err != nil:
			p.fail(fmt.Errorf("read from stdout: %w", err))
			return
		case long != nil:
			p.answerSkipped(long)
		case len(bytes.TrimSpace(line)) == 0:
		case !p.dispatch(line):
			message, before := p.within(line)
			if message {
				if before != "" && !warned {
					p.log.Warn("the realm wrote something before a message to stdout, ignored; logs belong on stderr", "before", before)
					warned = true
				}
				continue
			}
			if at := skipped(line, line); at.hasID {
				p.deliver(at.id, failedResponse(at.id, rpcMalformed, ""))
			}
			if !warned {
				p.log.Warn("the realm wrote something other than MCP to stdout, ignored; logs belong on stderr", "line", printable(line, 200))
				warned = true
			}
			p.unasked.wait(p.ended)
		}
	}
}

// answerSkipped fails the request whose answer was too long.
func (p *pipe) answerSkipped(skipped *tooLong) {
	id := skipped.id
	p.mu.Lock()
	if !skipped.hasID && len(p.waiting) == 1 { // it is the answer to the only request
		for id = range p.waiting {
		}
		skipped.hasID = true
	}
	p.mu.Unlock()
	if skipped.hasID {
		p.deliver(id, failedResponse(id, rpcTooLarge, ""))
		return
	}
	p.log.Warn("dropped a message larger than the limit without a known id")
}

// message is any JSON-RPC message.
type message struct {
	ID     json.RawMessage          `json:"id"`
	Method string                   `json:"method"`
	Params json.RawMessage          `json:"params"`
	Result json.RawMessage          `json:"result"`
	Error  *mcp.JSONRPCErrorDetails `json:"error"`
}

// dispatch reports whether the line was a JSON-RPC message.
func (p *pipe) dispatch(line []byte) bool {
	var m message
	if line[0] != '{' || json.Unmarshal(line, &m) != nil {
		return false
	}
	hasID := len(m.ID) > 0 && string(m.ID) != "null"
	if m.Method != "" {
		p.unasked.wait(p.ended)
	}
	switch {
	case m.Method != "" && hasID:
		if err := p.enqueue(declineLine(m.ID, m.Method)); err != nil {
			p.log.Debug("request of the realm was not answered", "method", printable([]byte(m.Method), 80), "error", err)
		}
	case m.Method != "":
		p.notified(line)
	case hasID:
		id, err := strconv.ParseInt(string(bytes.Trim(m.ID, `"`)), 10, 64)
		if err != nil {
			return true // not an id of this client
		}
		p.deliver(id, &transport.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(id), Result: m.Result, Error: m.Error})
	}
	return true
}

// deliver passes a response to its request; a duplicate or unsolicited one is dropped.
func (p *pipe) deliver(id int64, response *transport.JSONRPCResponse) {
	p.mu.Lock()
	w, ok := p.waiting[id]
	delete(p.waiting, id)
	if w.late != nil {
		p.reporting++
	}
	p.mu.Unlock()
	switch {
	case !ok:
	case w.late != nil:
		p.reportLate(w.late, response)
	default:
		w.answer <- response
	}
}

func (p *pipe) notified(line []byte) {
	p.mu.Lock()
	notify := p.notify
	p.mu.Unlock()
	if notify == nil {
		return
	}
	var n mcp.JSONRPCNotification
	if err := json.Unmarshal(line, &n); err != nil {
		p.log.Debug("malformed notification", "error", err)
		return
	}
	notify(n)
}

// SetNotificationHandler sets the handler of notifications, which runs on the read loop.
func (p *pipe) SetNotificationHandler(handler func(mcp.JSONRPCNotification)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify = handler
}

// GetSessionId is empty: stdio has no sessions.
func (p *pipe) GetSessionId() string { return "" } //nolint:staticcheck // the interface calls it so

// requestLine is a request as one line. Raw params are copied, without line ends.
func requestLine(id int64, method string, params any) ([]byte, error) {
	raw, ok := params.(json.RawMessage)
	if !ok && params != nil {
		b, err := json.Marshal(params)
		if err != nil {
			return nil, err
		}
		raw = b
	}
	line := make([]byte, 0, len(raw)+len(method)+64)
	line = append(line, `{"jsonrpc":"2.0","id":`...)
	line = strconv.AppendInt(line, id, 10)
	line = append(line, `,"method":"`...)
	line = append(line, method...)
	line = append(line, '"')
	if len(raw) > 0 {
		line = append(line, `,"params":`...)
		if bytes.ContainsAny(raw, "\r\n") {
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				return nil, err
			}
			raw = compact.Bytes()
		}
		line = append(line, raw...)
	}
	return append(line, "}\n"...), nil
}

func failedResponse(id int64, code int, text string) *transport.JSONRPCResponse {
	return &transport.JSONRPCResponse{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(id), Error: &mcp.JSONRPCErrorDetails{Code: code, Message: text},
	}
}

// declined is the answer to requests for sampling, elicitation or roots.
const declined = "this client offers no sampling, elicitation or roots to realms"

// declineLine is the answer to a request of the realm: an empty result for a ping, an error for everything else.
func declineLine(id json.RawMessage, method string) []byte {
	if method == string(mcp.MethodPing) {
		return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{}}`, id)
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, id, mcp.METHOD_NOT_FOUND, declined)
}

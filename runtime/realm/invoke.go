package realm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
)

var _ call.Invoker = (*Pool)(nil)

// The fields of `_meta` that we send with each call.
const (
	metaKey  = "runplane/idempotency_key"
	metaHops = "runplane/hops"
)

// Invoke calls one tool once and returns what it answered. It starts the realm if need be, and waits for it. It has no
// timeout of its own but that of a start: it obeys ctx, and a call that ctx ends is cancelled downstream. A failure is a
// *schemas.Error with its Outcome.
//
// It sends a call a second time only where the first certainly did not reach the tool: the realm had forgotten the
// session, or the connection was found dead before a byte was written.
func (p *Pool) Invoke(ctx context.Context, c *call.Call) (*call.Result, error) {
	began := time.Now()
	r, err := p.realm(c.Realm)
	if err != nil {
		return nil, err
	}
	inputs, err := arguments(c)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		cn, err := r.connected(ctx)
		refused := err == nil && !cn.acquire()
		if (err != nil || refused) && r.hasLeft() {
			if r, err = p.realm(c.Realm); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if refused {
			r.lost(cn, errSessionLost)
			continue
		}
		if err := c.MayLeave(); err != nil {
			cn.release()
			return nil, err
		}
		result, f := cn.callTool(ctx, c, inputs)
		cn.release()
		took := time.Since(began)
		r.latency.add(took)
		switch {
		case f == nil:
			r.succeeded(began)
			out := result.result(c)
			out.Duration = took
			return out, nil
		case f.unreached():
			r.lost(cn, f.err)
			if try == 0 {
				continue
			}
		}
		return nil, r.failed(c, f)
	}
}

// succeeded notes that the realm did what it was asked to.
func (r *realm) succeeded(at time.Time) {
	r.lastSuccess.Store(at.UnixNano())
	if r.unanswered.Load() != 0 {
		r.unanswered.Store(0)
	}
}

// unreached is true where the connection is of no more use and the tool was certainly not reached.
func (f *fault) unreached() bool {
	return f.err != nil && f.cause == nil && (errors.Is(f.err, errSessionLost) || !f.sent && f.status == 0)
}

// failed classifies a fault and adds what the realm knows: names that exist.
func (r *realm) failed(c *call.Call, f *fault) *schemas.Error {
	e := classify(c.Name(), f, r.tidy)
	if e.Code == schemas.CodeNotFound {
		e = e.WithCandidates(r.nearest(c.Capability))
	}
	if f.err != nil && r.hasLeft() {
		e = e.With(func(e *schemas.Error) { e.Message += "; the realm was changed in the configuration meanwhile" })
	}
	return e
}

// arguments checks the inputs and puts the idempotency key among them where the capability has an argument for it.
func arguments(c *call.Call) (json.RawMessage, error) {
	inputs := bytes.TrimSpace(c.Inputs)
	if len(inputs) == 0 || string(inputs) == "null" {
		inputs = []byte("{}")
	}
	if inputs[0] != '{' || !json.Valid(inputs) {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s: inputs are a JSON object", c.Name()).WithField("inputs").WithOutcome(schemas.NotRun)
	}
	if c.IdempotencyArg == "" || c.Key == "" {
		return inputs, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(inputs, &fields); err != nil {
		return nil, err // cannot be: it is valid and an object
	}
	fields[c.IdempotencyArg] = quote(c.Key)
	return json.Marshal(fields)
}

// callTool sends one tools/call and reads its result.
func (c *conn) callTool(ctx context.Context, ask *call.Call, inputs json.RawMessage) (*toolResult, *fault) {
	id := c.ids.Add(1)
	if ask.Progress != nil {
		sink := newProgressSink(ask.Progress)
		c.progress.add(id, sink)
		defer sink.close()
		defer c.progress.remove(id)
	}
	params := c.callParams(id, ask, inputs, caller.Hops(ctx)+1)
	header := c.standardHeader(mcp.MethodToolsCall, params)
	if header != nil {
		c.mirrorArguments(header, ask.Capability, params)
	}
	response, f := c.request(ctx, id, string(mcp.MethodToolsCall), params, header)
	if f != nil {
		return nil, f
	}
	var result toolResult
	if len(response) == 0 || json.Unmarshal(response, &result) != nil {
		return nil, &fault{sent: true, err: errNoResult}
	}
	if result.IsError || result.Type != "" && result.Type != "complete" {
		return nil, &fault{sent: true, result: &result}
	}
	return &result, nil
}

// callParams writes the params of tools/call.
func (c *conn) callParams(id int64, ask *call.Call, inputs json.RawMessage, hops int) json.RawMessage {
	b := make([]byte, 0, len(inputs)+len(c.metaTail)+256)
	b = append(b, `{"name":`...)
	b = appendString(b, ask.Capability)
	b = append(b, `,"arguments":`...)
	b = append(b, inputs...)
	b = append(b, `,"_meta":{"`+metaHops+`":`...)
	b = strconv.AppendInt(b, int64(hops), 10)
	if ask.Progress != nil {
		b = append(b, `,"progressToken":`...)
		b = strconv.AppendInt(b, id, 10)
	}
	if ask.Key != "" {
		b = append(b, `,"`+metaKey+`":`...)
		b = appendString(b, ask.Key)
	}
	if ask.TraceParent != "" {
		b = append(b, `,"traceparent":`...)
		b = appendString(b, ask.TraceParent)
	}
	b = append(b, c.metaTail...)
	return append(b, "}}"...)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return append(b, quote(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// standardHeader mirrors parts of a request into headers, as the stateless protocol wants it over HTTP; nil elsewhere.
func (c *conn) standardHeader(method mcp.MCPMethod, params json.RawMessage) http.Header {
	if !c.modern || c.kind == transportStdio {
		return nil
	}
	header := http.Header{}
	for name, v := range mcp.StandardHeaders(c.version, method, params) {
		header.Set(name, v)
	}
	return header
}

// mirrorArguments adds the arguments that the tool's definition wants in headers.
func (c *conn) mirrorArguments(header http.Header, tool string, params json.RawMessage) {
	headed := c.headed.Load()
	if headed == nil {
		return
	}
	if definition, ok := (*headed)[tool]; ok {
		for name, v := range mcp.GenerateParamHeaders(&definition, params) {
			header.Set(name, v)
		}
	}
}

// request sends one request of ours and returns the raw result.
func (c *conn) request(ctx context.Context, id int64, method string, params json.RawMessage, header http.Header) (json.RawMessage, *fault) {
	select {
	case <-c.died:
		return nil, &fault{err: c.cause}
	default:
	}
	send, x := ctx, (*exchange)(nil)
	if c.kind != transportStdio {
		x = &exchange{id: id}
		send = context.WithValue(ctx, exchangeKey{}, x)
	}
	if c.kind == transportSSE { // its SendRequest does not notice the end of the stream
		cancelable, cancel := context.WithCancelCause(send)
		defer cancel(nil)
		send = cancelable
		go func() {
			select {
			case <-c.died:
				cancel(c.cause)
			case <-cancelable.Done():
			}
		}()
	}
	response, err := c.tr.SendRequest(send, transport.JSONRPCRequest{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(id), Method: method, Params: params, Header: header,
	})
	if err == nil && response == nil { // mcp-go's word for a stream that ended
		err = io.ErrUnexpectedEOF
	}
	f := &fault{}
	_, unsent := errors.AsType[notSent](err)
	f.sent = !unsent
	if x != nil {
		f.sent = x.sent.Load()
		f.status, f.retryAfter, f.tooLarge = int(x.status.Load()), x.retryAfter.Load(), x.tooLarge.Load()
	}
	switch {
	case err == nil && !answers(response.ID, id):
		f.err = errNoResult // an answer to something else
	case err == nil && response.Error == nil && f.status < 400:
		return response.Result, nil
	case err == nil && response.Error != nil:
		f.rpc = response.Error
	case err == nil:
		f.err = errNoResult
	case f.tooLarge:
		f.err = err
	case x != nil && x.endless.Load():
		f.err = errEndless
	case overdue(ctx) || ctx.Err() != nil:
		f.cause = context.Cause(ctx)
		if f.sent && (c.kind != transportHTTP || !c.modern) {
			select {
			case c.abandoned <- id:
			default: // best effort
			}
		}
	case errors.Is(err, transport.ErrSessionTerminated) && (!f.sent || f.status == http.StatusNotFound):
		f.err, f.status = errSessionLost, 0 // the request itself was refused, or not sent at all
	case send.Err() != nil:
		f.err = context.Cause(send)
	case unsent:
		n, _ := errors.AsType[notSent](err)
		f.err = c.explain(n.error)
	default:
		f.err = c.explain(err)
	}
	return nil, f
}

// answers is true for the id of the request, however it is written, and for none, which errors may have.
func answers(got mcp.RequestId, id int64) bool {
	if n, ok := got.Value().(int64); ok {
		return n == id
	}
	return got.IsNil() || fmt.Sprint(got.Value()) == strconv.FormatInt(id, 10)
}

// overdue reports whether the deadline of ctx passed, and returns after ctx noticed. Transports keep time by the deadline
// too and may be ahead of ctx by a moment; then they report a time-out of their own.
func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	if !ok || time.Now().Before(deadline) {
		return false
	}
	<-ctx.Done()
	return true
}

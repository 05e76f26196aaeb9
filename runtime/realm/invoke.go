package realm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
)

var _ call.Invoker = (*Pool)(nil)

// Fields of `_meta` in each call.
const (
	metaKey  = "runplane/idempotency_key"
	metaHops = "runplane/hops"
)

// Invoke calls one tool once and returns its result. It starts the realm if necessary, and waits for it. Except for the start it
// has no timeout of its own: it obeys ctx, and when ctx ends, the call is cancelled downstream. An error is a *schemas.Error with
// its Outcome; in a [call.Known] if it is that of a start which another call has been told.
//
// It sends a call a second time only if the first certainly did not reach the tool: the realm had lost the session, or the
// connection failed before a byte was written.
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
		if (err != nil || refused) && r.isRemoved() {
			if r, err = p.realm(c.Realm); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, r.tell(err)
		}
		if refused {
			r.discard(cn, errSessionLost)
			continue
		}
		if err := c.CheckSend(); err != nil {
			cn.release()
			return nil, err
		}
		result, f := cn.callTool(ctx, c, inputs, r.tidy)
		cn.release()
		took := time.Since(began)
		r.latency.add(took)
		switch {
		case f == nil:
			r.noteSuccess(began)
			out := result.result(c)
			out.Duration = took
			return out, nil
		case f.notReached():
			r.discard(cn, f.err)
			if try == 0 {
				continue
			}
		}
		failure := r.callError(c, f)
		if hintsAtChange(failure) {
			r.verify(ctx, cn, true)
		}
		return nil, failure
	}
}

// noteSuccess records a successful answer of the realm.
func (r *realm) noteSuccess(at time.Time) {
	r.lastSuccess.Store(at.UnixNano())
	if r.unanswered.Load() != 0 {
		r.unanswered.Store(0)
	}
}

// notReached reports whether the connection is unusable and the tool was certainly not reached.
func (f *fault) notReached() bool {
	return f.err != nil && f.cause == nil && (errors.Is(f.err, errSessionLost) || !f.sent && f.status == 0)
}

// callError classifies a fault and adds candidates for an unknown name.
func (r *realm) callError(c *call.Call, f *fault) *schemas.Error {
	f.repeatable = mayRunTwice(c)
	e := classify(c.Name(), f, r.tidy)
	if f.isTooLarge() {
		e = e.With(func(e *schemas.Error) { e.Message += fmt.Sprintf(" (%d bytes)", r.limits.MaxMessage) })
	}
	if e.Code == schemas.CodeNotFound {
		e = e.WithCandidates(r.nearest(c.Capability))
	}
	if f.err != nil && r.isRemoved() {
		e = e.With(func(e *schemas.Error) { e.Message += "; the configuration of the realm was changed meanwhile" })
	}
	return e
}

// mayRunTwice reports whether the effect of the call is known to be harmless when it happens twice.
func mayRunTwice(c *call.Call) bool { return c.Effect.Rank() < schemas.EffectOnce.Rank() }

// arguments checks the inputs and adds the idempotency key if the capability has an argument for it.
func arguments(c *call.Call) (json.RawMessage, error) {
	inputs := bytes.TrimSpace(c.Inputs)
	if len(inputs) == 0 || string(inputs) == "null" {
		inputs = []byte("{}")
	}
	if inputs[0] != '{' || !json.Valid(inputs) {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "%s: inputs must be a JSON object", c.Name()).
			WithField("inputs").WithOutcome(schemas.NotRun)
	}
	if c.IdempotencyArg == "" || c.Key == "" {
		return inputs, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(inputs, &fields); err != nil {
		return nil, err // not reached: it is a valid object
	}
	fields[c.IdempotencyArg] = quote(c.Key)
	return json.Marshal(fields)
}

// callTool sends one tools/call and returns its result.
func (c *conn) callTool(ctx context.Context, ask *call.Call, inputs json.RawMessage, tidy func(string) string) (*toolResult, *fault) {
	id := c.ids.Add(1)
	if ask.Late != nil && c.listens() {
		ctx = context.WithValue(ctx, lateKey{}, c.reportTo(ask, id, tidy))
	}
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
	return c.readResult(response)
}

// callParams is the params of tools/call.
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

// standardHeader is the headers that repeat parts of a request, which the stateless protocol requires over HTTP; else nil.
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

// mirrorArguments adds the arguments that the tool's definition requires in headers.
func (c *conn) mirrorArguments(header http.Header, tool string, params json.RawMessage) {
	headed := c.headerTools.Load()
	if headed == nil {
		return
	}
	if definition, ok := (*headed)[tool]; ok {
		for name, v := range mcp.GenerateParamHeaders(&definition, params) {
			header.Set(name, v)
		}
	}
}

// request sends one request and returns the raw result, in which secrets may be.
func (c *conn) request(ctx context.Context, id int64, method string, params json.RawMessage, header http.Header) (json.RawMessage, *fault) {
	select {
	case <-c.done:
		return nil, &fault{err: c.cause}
	default:
	}
	send, x := ctx, (*exchange)(nil)
	if c.kind != transportStdio {
		x = &exchange{id: id, call: method == string(mcp.MethodToolsCall)}
		send = context.WithValue(ctx, exchangeKey{}, x)
	}
	request := transport.JSONRPCRequest{
		JSONRPC: mcp.JSONRPC_VERSION, ID: mcp.NewRequestId(id), Method: method, Params: params, Header: header,
	}
	var response *transport.JSONRPCResponse
	var err error
	if late := lateOf(ctx); late != nil && x != nil {
		response, err = c.sendAndListen(send, x, request, late)
	} else {
		if c.kind == transportSSE {
			var cancel context.CancelCauseFunc
			send, cancel = c.whileConnected(send)
			defer cancel(nil)
		}
		response, err = c.tr.SendRequest(send, request)
	}
	if err == nil && response == nil { // mcp-go returns this for a stream that ended
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
	case err == nil && !isAnswerTo(response.ID, id):
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
	case deadlinePassed(ctx) || ctx.Err() != nil:
		f.cause = context.Cause(ctx)
		if f.sent && (c.kind != transportHTTP || !c.modern) {
			select {
			case c.abandoned <- id:
			default: // best effort
			}
		}
	case errors.Is(err, transport.ErrSessionTerminated) && (!f.sent || f.status == http.StatusNotFound):
		f.err, f.status = errSessionLost, 0 // the request was refused or not sent
	case send.Err() != nil:
		f.err = context.Cause(send)
	case unsent:
		n, _ := errors.AsType[notSent](err)
		f.err = c.exitCause(n.error)
	default:
		f.err = c.exitCause(err)
	}
	return nil, f
}

// forgetsSession reports whether an error says that the server does not know the session, and nothing else: it did not look at the
// request. An error of a tool that speaks of a session of its own has another code or says more, and it names the request.
func forgetsSession(e *mcp.JSONRPCErrorDetails, ofNoRequest bool) bool {
	return (e.Code == mcp.INVALID_REQUEST || e.Code == -32001 || e.Code == -32000 && ofNoRequest) && sessionUnknown.MatchString(e.Message)
}

var sessionUnknown = regexp.MustCompile(`(?i)^\W*(?:(?:bad request|not found|error|invalid request|invalid)\W+)*(?:` +
	`(?:mcp |http )?session(?: id)?(?: (?:is|has|was|not|does|no|been|longer|be))* (?:found|expired|terminated|closed|invalid|unknown|exist|exists|valid|initialized)|` +
	`(?:invalid|unknown|no valid|expired|no such|no active|missing)(?: or (?:invalid|expired|missing|unknown))?(?: mcp)? session(?: ?-?id)?(?: provided)?|` +
	`(?:mcp )?server(?: is)? not initialized)\W*$`)

// isAnswerTo reports whether the id is that of the request, as a number or a string, or is missing, as in some errors.
func isAnswerTo(got mcp.RequestId, id int64) bool {
	if n, ok := got.Value().(int64); ok {
		return n == id
	}
	return got.IsNil() || fmt.Sprint(got.Value()) == strconv.FormatInt(id, 10)
}

// deadlinePassed reports whether the deadline of ctx passed, and if so waits until ctx is done. Transports use the deadline too, and
// may time out shortly before ctx is done.
func deadlinePassed(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	if !ok || time.Now().Before(deadline) {
		return false
	}
	<-ctx.Done()
	return true
}

package realm

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// A call whose ctx ended is cancelled downstream, and may still be running. If the caller wants to know (Call.Late), the connection
// goes on listening: an answer is the result after all, an error that follows the cancellation says that the call has ended, and so
// does the end of the realm's process, if it is proven. Over HTTP of the stateless protocol nothing comes any more, because there the
// end of the stream is the cancellation.

// Limits of listening for late answers.
const (
	maxLate  = 1024             // calls of a stdio realm: a map entry each until its answer or the end of its process, then a goroutine
	maxHTTP  = 128              // calls of an HTTP or SSE realm, each of which keeps a request open
	lateTime = 10 * time.Minute // how long such a request is kept open
)

// lateFunc is called in a goroutine of its own with the late answer of a request; nil: it has ended without one.
type lateFunc func(*transport.JSONRPCResponse)

type lateKey struct{} // of a request's ctx: the lateFunc

func lateOf(ctx context.Context) lateFunc {
	f, _ := ctx.Value(lateKey{}).(lateFunc)
	return f
}

// reportTo returns a lateFunc that tells Call.Late what is known of the call then.
func (c *conn) reportTo(ask *call.Call, id int64, tidy func(string) string) lateFunc {
	slim := &call.Call{Realm: ask.Realm, Capability: ask.Capability, Effect: ask.Effect, Late: ask.Late} // without the inputs
	return func(response *transport.JSONRPCResponse) {
		result, err := c.lateAnswer(slim, id, response, tidy)
		if result != nil || err != nil {
			slim.Late(result, err)
		}
	}
}

// lateAnswer is what a late answer says about the call; nothing if it is still unknown whether the call runs. The error is nil or a
// *schemas.Error.
func (c *conn) lateAnswer(ask *call.Call, id int64, response *transport.JSONRPCResponse, tidy func(string) string) (*call.Result, error) {
	f := &fault{sent: true, ended: true}
	switch {
	case response == nil:
		f.err = errProcessGone
	case !isAnswerTo(response.ID, id):
		return nil, nil
	case response.Error != nil:
		f.rpc, f.cancelled = response.Error, true
	default:
		var result *toolResult
		if result, f = c.readResult(response.Result); f == nil {
			return result.result(ask), nil
		}
		f.cancelled = true
	}
	f.repeatable = mayRunTwice(ask)
	if e := classify(ask.Name(), f, tidy); e.Outcome != schemas.Unknown || e.Ended {
		return nil, e
	}
	return nil, nil
}

// readResult reads the result of tools/call, without the secrets in it.
func (c *conn) readResult(response json.RawMessage) (*toolResult, *fault) {
	response, notes, flaw := schemas.Mend(c.redact.JSON(response), c.maxDepth)
	if flaw != nil {
		return nil, &fault{sent: true, ended: true, err: unreadable{flaw}}
	}
	result := toolResult{notes: notes, maxDepth: c.maxDepth, redact: c.redact}
	if len(response) == 0 || json.Unmarshal(response, &result) != nil {
		return nil, &fault{sent: true, ended: true, err: errNoResult}
	}
	if result.IsError || result.Type != "" && result.Type != "complete" {
		return nil, &fault{sent: true, ended: result.Type != "task", result: &result}
	}
	return &result, nil
}

// listens reports whether a late answer can come: not over HTTP of the stateless protocol.
func (c *conn) listens() bool { return c.kind != transportHTTP || !c.modern }

// sendAndListen sends a request over HTTP or SSE and returns its response, or when ctx ends; then late gets the response.
func (c *conn) sendAndListen(ctx context.Context, x *exchange, request transport.JSONRPCRequest, late lateFunc) (*transport.JSONRPCResponse,
	error) {
	send, stop := c.whileConnected(context.WithoutCancel(ctx))
	type outcome struct {
		response *transport.JSONRPCResponse
		err      error
	}
	answered := make(chan outcome, 1)
	var handedOver atomic.Bool // to the caller, or, when it no longer waits, to late
	c.listeners.Go(func() {
		defer stop(nil)
		response, err := c.tr.SendRequest(send, request)
		if err != nil && send.Err() != nil {
			err = context.Cause(send)
		}
		if handedOver.CompareAndSwap(false, true) {
			answered <- outcome{response, err}
			return
		}
		c.listening.Add(-1)
		if err == nil && response != nil && x.status.Load() < 400 {
			late(response)
		}
	})
	select {
	case o := <-answered:
		return o.response, o.err
	case <-ctx.Done():
	}
	switch {
	case !x.sent.Load() || !c.mayListen():
		stop(context.Cause(ctx))
	case handedOver.CompareAndSwap(false, true):
		timer := time.AfterFunc(lateTime, func() { stop(nil) })
		context.AfterFunc(send, func() { timer.Stop() })
		return nil, context.Cause(ctx)
	default: // answered meanwhile
		c.listening.Add(-1)
	}
	o := <-answered
	return o.response, o.err
}

// mayListen counts one more request that is kept open; false: there are too many.
func (c *conn) mayListen() bool {
	if c.listening.Add(1) > maxHTTP {
		c.listening.Add(-1)
		return false
	}
	return true
}

// whileConnected is ctx until the connection fails, where the transport does not notice that by itself: mcp-go's SSE.
func (c *conn) whileConnected(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if c.kind == transportSSE {
		go func() {
			select {
			case <-c.done:
				cancel(c.cause)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// reportLate calls late, which may block, while the pipe is read on. Close waits for it.
func (p *pipe) reportLate(late lateFunc, response *transport.JSONRPCResponse) {
	p.wg.Go(func() {
		late(response)
		p.mu.Lock()
		p.reporting--
		p.mu.Unlock()
	})
}

// takeLate removes the requests whose callers have stopped waiting, and returns whom to tell how they ended.
func (p *pipe) takeLate() (late []lateFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.waiting {
		if w.late != nil {
			delete(p.waiting, id)
			late = append(late, w.late)
		}
	}
	return late
}

// reportGone tells the callers of requests that were sent to a process that has ended, and were not answered, that they have ended too.
func (c *conn) reportGone() {
	if c.pipe == nil || c.proc == nil {
		return
	}
	if late := c.pipe.takeLate(); len(late) > 0 && c.proc.gone() {
		for _, report := range late {
			c.listeners.Go(func() { report(nil) })
		}
	}
}

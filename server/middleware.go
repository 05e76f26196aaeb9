package server

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// call is one call of a method.
type call struct {
	method      *tools.Method
	request     tools.Request
	refused     *schemas.Error // what is wrong with the arguments already; nil: nothing that is known
	traceparent string         // as the client sent it
	traceID     string         // set by traced
}

// handler answers a call with the JSON of its result, or an error of any kind.
type handler func(ctx context.Context, c *call) (json.RawMessage, error)

// middleware wraps a handler with one concern.
type middleware func(handler) handler

// chain wraps h in the middlewares; the first one is the outermost. The order is: trace, so that all others can name the call;
// log, which sees every outcome; recover, which turns a panic into an error; the method.
func chain(h handler, outerFirst ...middleware) handler {
	for _, m := range slices.Backward(outerFirst) {
		h = m(h)
	}
	return h
}

// Keys of what is logged about a call. Arguments and results are never logged.
const (
	keyTool    = "tool"
	keyTraceID = "trace_id"
	keyMS      = "ms"
	keyCode    = "code"
	keyError   = "error"
)

// traceparent matches W3C Trace Context, version 00 and later versions with additional fields.
var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-|$)`)

// traced gives every call a trace id: the client's, or a new one.
func traced(next handler) handler {
	return func(ctx context.Context, c *call) (json.RawMessage, error) {
		if m := traceparent.FindStringSubmatch(c.traceparent); m != nil && m[1] != "00000000000000000000000000000000" {
			c.traceID = m[1]
		} else {
			var id [16]byte
			_, _ = crand.Read(id[:]) // never fails
			c.traceID = hex.EncodeToString(id[:])
		}
		return next(ctx, c)
	}
}

// logged logs one line for each call. An internal error is logged with its cause, and the caller gets the trace id to find
// that line by.
func logged(log hclog.Logger) middleware {
	return func(next handler) handler {
		return func(ctx context.Context, c *call) (json.RawMessage, error) {
			began := time.Now()
			out, err := next(ctx, c)
			facts := []any{keyTool, c.method.Name, keyTraceID, c.traceID, keyMS, time.Since(began).Milliseconds()}
			e := schemas.AsError(err)
			switch {
			case e == nil:
				log.Debug("call", append(facts, keyCode, "ok")...)
			case e.Code == schemas.CodeInternal:
				log.Warn("call failed with an internal error", append(facts, keyCode, e.Code, keyError, err)...)
				err = e.With(func(e *schemas.Error) {
					e.Message += " (trace " + c.traceID + ")"
					e.Hint = "this is a defect of the runtime; its log has the details under this trace id"
				})
			default:
				log.Debug("call", append(facts, keyCode, e.Code)...)
			}
			return out, err
		}
	}
}

// recovered turns a panic into an internal error and logs its stack.
func recovered(log hclog.Logger) middleware {
	return func(next handler) handler {
		return func(ctx context.Context, c *call) (out json.RawMessage, err error) {
			defer func() {
				if v := recover(); v != nil {
					log.Error("call panicked", keyTool, c.method.Name, keyTraceID, c.traceID, "panic", v, "stack", string(debug.Stack()))
					err = fmt.Errorf("panic: %v", v)
				}
			}()
			return next(ctx, c)
		}
	}
}

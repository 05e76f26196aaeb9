package realm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// probe probes a silent realm every ProbeEvery until the conn fails or ctx ends. The result only affects the realm's health: a
// realm that is too busy to answer a ping may be working on a call.
func (r *realm) probe(ctx context.Context, cn *conn) {
	for {
		timer := time.NewTimer(r.jitter(r.limits.ProbeEvery))
		select {
		case <-ctx.Done():
		case <-cn.done:
		case <-timer.C:
			if time.Since(time.Unix(0, r.lastSuccess.Load())) >= r.limits.ProbeEvery {
				r.probeOnce(ctx, cn)
			}
			continue
		}
		timer.Stop()
		return
	}
}

func (r *realm) probeOnce(ctx context.Context, cn *conn) {
	began := time.Now()
	err := cn.ping(ctx, r.limits.ProbeWait)
	select {
	case <-cn.done:
		return // the end of the conn is reported instead
	default:
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if n := r.unanswered.Load(); int(n) >= r.limits.ProbeFailures {
			r.log.Info("realm answers again", "after_probes", n)
		}
		r.noteSuccess(began)
	default:
		if n := r.unanswered.Add(1); int(n) == r.limits.ProbeFailures {
			r.log.Warn("realm does not answer health probes; it will be probed again", "probes", n, "error", r.tidy(errorText(err)))
		}
	}
}

// errProbeTimeout: a probe got no answer in time.
var errProbeTimeout = errors.New("no answer in time")

// ping sends a ping or, if the protocol has none, reads a page of tools/list. Any answer counts, also an error.
func (c *conn) ping(ctx context.Context, wait time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errProbeTimeout)
	defer cancel()
	method, params := mcp.MethodPing, json.RawMessage(nil)
	if c.modern {
		method, params = mcp.MethodToolsList, c.listParams("")
	}
	_, f := c.request(ctx, c.ids.Add(1), string(method), params, c.standardHeader(method, params))
	switch {
	case f == nil || f.rpc != nil:
		return nil
	case f.cause != nil:
		return f.cause
	case f.err != nil:
		return f.err
	}
	return errors.New(http.StatusText(f.status))
}

package realm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// probe asks a silent realm now and then whether it lives, until the conn dies or ctx ends. What it finds shows in the
// realm's health and changes nothing else: a realm that is too busy to answer a ping may well be at work on a call.
func (r *realm) probe(ctx context.Context, cn *conn) {
	for {
		timer := time.NewTimer(r.jitter(r.limits.ProbeEvery))
		select {
		case <-ctx.Done():
		case <-cn.died:
		case <-timer.C:
			if time.Since(time.Unix(0, r.lastSuccess.Load())) >= r.limits.ProbeEvery {
				r.askWhetherItLives(ctx, cn)
			}
			continue
		}
		timer.Stop()
		return
	}
}

func (r *realm) askWhetherItLives(ctx context.Context, cn *conn) {
	began := time.Now()
	err := cn.ping(ctx, r.limits.ProbeWait)
	select {
	case <-cn.died:
		return // there is more to say of it than that
	default:
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if n := r.unanswered.Load(); int(n) >= r.limits.ProbeFailures {
			r.log.Info("realm answers again", "after_probes", n)
		}
		r.succeeded(began)
	default:
		if n := r.unanswered.Add(1); int(n) == r.limits.ProbeFailures {
			r.log.Warn("realm does not answer health probes", "probes", n, "error", r.tidy(plain(err)))
		}
	}
}

// errNoPong: a probe got no answer in time.
var errNoPong = errors.New("no answer in time")

// ping asks the realm for a sign of life: by ping, or where the protocol has none by a page of tools/list. Any answer is
// one, also an error.
func (c *conn) ping(ctx context.Context, wait time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errNoPong)
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

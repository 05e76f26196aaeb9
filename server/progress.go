package server

import (
	"context"
	"math"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"golang.org/x/time/rate"
)

// How many progress notifications of one call a client gets: a burst, then a number per second. Faster reports replace each
// other, so that the newest is never lost.
const (
	progressBurst  = 10
	progressPerSec = 10
)

// sender sends notifications to the client that made a call. They arrive in order, all before the call's answer. It may block
// while the client does not read.
type sender interface {
	notify(message any) error
}

type senderKey struct{}

func withSender(ctx context.Context, out sender) context.Context {
	return context.WithValue(ctx, senderKey{}, out)
}

// senderFrom returns nil if the client cannot be notified while its call runs.
func senderFrom(ctx context.Context) sender {
	out, _ := ctx.Value(senderKey{}).(sender)
	return out
}

// progress is notifications/progress.
type progress struct {
	JSONRPC string         `json:"jsonrpc"`
	Method  string         `json:"method"`
	Params  progressParams `json:"params"`
}

type progressParams struct {
	ProgressToken any     `json:"progressToken"`
	Progress      float64 `json:"progress"`
	Total         float64 `json:"total,omitempty"`
	Message       string  `json:"message,omitempty"`
}

// reporter sends the progress of one call to its client: always rising, at a limited rate, never after the answer.
type reporter struct {
	out    sender
	token  any
	limit  *rate.Limiter
	ctx    context.Context //nolint:containedctx // ends the wait for the rate limit when the call has ended
	cancel context.CancelFunc
	wake   chan struct{} // size 1: there is something in queue; closed by close
	done   chan struct{} // closed when everything was sent

	mu     sync.Mutex
	queue  []progressParams // at most progressBurst
	last   float64
	closed bool
}

// newReporter starts the goroutine that sends; close ends it.
func newReporter(out sender, token any) *reporter {
	r := &reporter{
		out: out, token: token, limit: rate.NewLimiter(progressPerSec, progressBurst), last: math.Inf(-1),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.run()
	return r
}

// report does not block. Progress that does not rise is dropped, as MCP demands, and so is everything after close.
func (r *reporter) report(done, total float64, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !(done > r.last) || math.IsInf(done, 0) || math.IsNaN(total) || math.IsInf(total, 0) {
		return
	}
	r.last = done
	if len(r.queue) == progressBurst {
		r.queue = r.queue[:progressBurst-1]
	}
	r.queue = append(r.queue, progressParams{r.token, done, total, message})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// close sends what is queued and returns when it is sent.
func (r *reporter) close() {
	r.mu.Lock()
	r.closed = true
	close(r.wake)
	r.mu.Unlock()
	r.cancel()
	<-r.done
}

func (r *reporter) run() {
	defer close(r.done)
	for range r.wake {
		r.flush()
	}
	r.flush()
}

func (r *reporter) flush() {
	for r.pending() {
		_ = r.limit.Wait(r.ctx) // an error: the call has ended and the rest is sent at once
		r.mu.Lock()
		next := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		if r.out.notify(progress{mcp.JSONRPC_VERSION, "notifications/progress", next}) != nil {
			return // the client cannot be reached
		}
	}
}

func (r *reporter) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) > 0
}

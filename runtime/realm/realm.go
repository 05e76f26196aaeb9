package realm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// realm is one downstream server. Its run goroutine alone changes state, conn and listing; everybody else reads them, asks
// for a connection through wake and waits for changed.
type realm struct {
	name   string
	kind   string
	spec   schemas.Realm
	limits Limits
	cache  CatalogCache
	log    hclog.Logger
	redact *strings.Replacer
	dialer dialer
	gone   chan struct{} // closed when the realm left the pool and its last call is over

	policies    atomic.Pointer[schemas.Policies]
	latency     latency
	unanswered  atomic.Int32         // probes in a row
	conn        atomic.Pointer[conn] // nil: none now
	lastSuccess atomic.Int64         // Unix nanoseconds; 0: never
	wake        chan struct{}        // size 1: somebody wants a connection

	mu       sync.Mutex
	state    schemas.RealmState
	stopped  bool
	left     bool           // the pool has it no more
	attempts int            // starts that ended, well or not
	failures int            // in a row
	failedAt time.Time      // of the last failure
	failure  *schemas.Error // the last; nil while ready
	listing  *listing       // the last known tools; nil: never known
	listErr  error          // why the listing is missing or old
	server   string
	protocol string
	changed  chan struct{} // closed and replaced at each change
}

// restartGap is how long after a repeated failure a call may start the realm again before its backoff is over. After a
// first failure, the death of a realm that worked, it may at once.
const restartGap = time.Second

// tidy makes a text of the realm fit for an error.
func (r *realm) tidy(s string) string { return clean(r.redact.Replace(s), r.limits.MaxText) }

// run owns the realm until ctx ends or the realm is gone. eager connects at once; otherwise the first use does.
func (r *realm) run(ctx context.Context, eager bool) {
	var closing sync.WaitGroup
	defer closing.Wait()
	defer r.stop()
	ctx, leave := context.WithCancelCause(ctx)
	closing.Go(func() {
		select {
		case <-r.gone:
			leave(errLeft)
		case <-ctx.Done():
		}
	})
	defer leave(nil)
	r.loadCatalog(ctx)
	if eager {
		r.ask()
	}
	var retry <-chan time.Time // nil: only a use starts it
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-retry:
		}
		cn, err := r.start(ctx)
		if err == nil {
			err = r.serve(ctx, cn)
			closing.Go(func() { cn.retire(ctx) })
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errSessionLost):
			retry = time.After(0) // nothing is wrong with the realm
		default:
			retry = time.After(r.backoff())
		}
	}
}

// start connects. On return the state is ready or broken, and everybody who waits knows.
func (r *realm) start(ctx context.Context) (*conn, error) {
	r.update(func() { r.state = schemas.RealmStarting })
	began := time.Now()
	tooSlow := schemas.Errorf(schemas.CodeUnavailable, "realm %q did not finish its start within %s", r.name, r.limits.StartTimeout).
		WithHint("run its command or open its url by hand; it may wait for something, or still be installing")
	dialling, cancel := context.WithTimeoutCause(ctx, r.limits.StartTimeout, tooSlow)
	defer cancel()
	cn, err := r.dialer.dial(dialling)

	var failure *schemas.Error
	if err != nil {
		failure = startFailure(r.name, err, r.tidy)
		if ctx.Err() == nil {
			r.log.Warn("realm does not start", "error", failure.Message, "hint", failure.Hint)
		}
	}
	select { // who asked until now is answered by this attempt
	case <-r.wake:
	default:
	}
	r.update(func() {
		r.attempts++
		if r.left {
			return
		}
		if failure != nil {
			r.broke(failure)
			return
		}
		r.state, r.failures, r.failure = schemas.RealmReady, 0, nil
		r.unanswered.Store(0)
		r.server, r.protocol = cn.server, cn.version
		r.conn.Store(cn)
	})
	if err == nil {
		r.log.Info("realm is ready", "server", cn.server, "protocol", cn.version, "duration", time.Since(began).Round(time.Millisecond))
	}
	return cn, err
}

// broke notes a failure; r.mu is held.
func (r *realm) broke(failure *schemas.Error) {
	r.state, r.failure, r.failedAt = schemas.RealmBroken, failure, time.Now()
	r.failures++
}

// serve keeps the listing current until the conn dies or ctx ends, and says why it died.
func (r *realm) serve(ctx context.Context, cn *conn) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { cn.run(ctx) })
	running.Go(func() { r.probe(ctx, cn) })

	r.list(ctx, cn)
	stale := time.NewTimer(r.jitter(r.limits.CatalogTTL))
	defer stale.Stop()
	var settled <-chan time.Time // list_changed came; more may follow
	for {
		select {
		case <-ctx.Done():
			r.conn.Store(nil)
			cn.die(context.Cause(ctx))
			return ctx.Err()
		case <-cn.died:
			r.ended(cn)
			return cn.cause
		case <-cn.changed:
			if settled == nil {
				settled = time.After(r.limits.Debounce)
			}
			continue
		case <-settled:
		case <-stale.C:
		}
		settled = nil
		r.list(ctx, cn)
		stale.Reset(r.jitter(r.limits.CatalogTTL))
	}
}

// ended takes a dead conn away. A lost session leaves the realm as good as it was.
func (r *realm) ended(cn *conn) {
	if errors.Is(cn.cause, errSessionLost) {
		r.update(func() {
			r.conn.Store(nil)
			r.state = schemas.RealmStarting
		})
		r.log.Debug("session lost; connecting again")
		return
	}
	failure := schemas.Errorf(schemas.CodeUnavailable, "realm %q: connection lost: %s", r.name, r.tidy(plain(cn.cause))).
		WithHint("the next use connects again").WithOutcome(schemas.NotRun)
	r.update(func() {
		r.conn.Store(nil)
		r.broke(failure)
	})
	r.log.Warn("realm ended", "error", failure.Message)
}

// lost ends a conn that a call found useless.
func (r *realm) lost(cn *conn, cause error) {
	cn.die(cause)
	r.conn.CompareAndSwap(cn, nil)
}

// list reads the tools. Where that fails the last listing stays, with the reason beside it.
func (r *realm) list(ctx context.Context, cn *conn) {
	raw, err := cn.listTools(ctx, r.limits)
	if errors.Is(err, errNoTools) {
		raw, err = nil, nil
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.log.Warn("tools of the realm cannot be listed", "error", r.tidy(plain(err)))
		r.update(func() { r.listErr = err; cn.listed.Store(true) })
		return
	}
	if headed := headedTools(raw); len(headed) > 0 {
		cn.headed.Store(&headed)
	}
	l := r.interpret(time.Now(), raw)
	r.update(func() { cn.listed.Store(true) })
	r.lastSuccess.Store(l.at.UnixNano())
	r.saveCatalog(ctx, l, cn)
}

// connected returns the live conn, or starts one and waits for it. Its error is a *schemas.Error with NotRun.
func (r *realm) connected(ctx context.Context) (*conn, error) {
	if cn := r.conn.Load(); cn != nil {
		return cn, nil
	}
	r.mu.Lock()
	before := r.attempts
	for {
		cn, failure, changed := r.conn.Load(), r.refusal(before), r.changed
		r.mu.Unlock()
		if cn != nil {
			return cn, nil
		}
		if failure != nil {
			return nil, failure
		}
		r.ask()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ended("realm "+r.name, &fault{cause: context.Cause(ctx)})
		}
		r.mu.Lock()
	}
}

// refusal says why a caller who came when the count of attempts was before need not wait; r.mu is held.
func (r *realm) refusal(before int) *schemas.Error {
	switch {
	case r.left:
		return schemas.Errorf(schemas.CodeUnavailable, "realm %q was changed in the configuration", r.name).WithHint("call it again").WithOutcome(schemas.NotRun)
	case r.stopped:
		return schemas.Errorf(schemas.CodeUnavailable, "realm %q: the runtime is stopping", r.name).WithOutcome(schemas.NotRun)
	case r.state != schemas.RealmBroken:
		return nil
	case r.attempts > before:
		return r.failure // the start that it waited for
	case r.failures > 1 && time.Since(r.failedAt) < restartGap:
		return r.failure.WithRetryAfter(restartGap - time.Since(r.failedAt))
	}
	return nil
}

// ask has run start the realm, if it is not at it.
func (r *realm) ask() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// update changes what mu guards and tells everybody who waits.
func (r *realm) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *realm) stop() {
	r.update(func() {
		r.conn.Store(nil)
		r.stopped = true
	})
}

// backoff is the wait before the next start that nobody asks for.
func (r *realm) backoff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.limits.BackoffMin << min(max(r.failures-1, 0), 20)
	if wait <= 0 || wait > r.limits.BackoffMax {
		wait = r.limits.BackoffMax
	}
	return r.jitter(wait)
}

// jitter spreads d by a tenth either way, so that replicas and realms do not act in step.
func (r *realm) jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// nearest are names of tools like this one.
func (r *realm) nearest(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing == nil {
		return nil
	}
	return schemas.Nearest(name, r.listing.names, maxCandidates)
}

const maxCandidates = 3

func (r *realm) health() schemas.RealmHealth {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := schemas.RealmHealth{
		Realm: r.name, State: r.state, Transport: r.kind, Server: r.server, Protocol: r.protocol,
		ConsecutiveFailures: r.failures, Error: r.failure, UnansweredProbes: int(r.unanswered.Load()),
		Latency: r.latency.read(), Required: r.policies.Load().For(r.name, "").IsRequired(),
	}
	if r.listing != nil {
		at := r.listing.at
		h.Capabilities, h.CatalogAt = len(r.listing.names), &at
	}
	if n := r.lastSuccess.Load(); n != 0 {
		at := time.Unix(0, n).UTC()
		h.LastSuccess = &at
	}
	if h.Error == nil && r.listErr != nil {
		h.Error = r.unlisted()
	}
	if h.Error == nil && h.UnansweredProbes >= r.limits.ProbeFailures {
		h.Error = schemas.Errorf(schemas.CodeUnavailable, "realm %q does not answer: %d health probes in a row got nothing within %s", r.name, h.UnansweredProbes, r.limits.ProbeWait).
			WithHint("it still gets every call; if they hang too, restart its server, or look into its log")
	}
	return h
}

// unlisted is the error of a realm that works and whose tools are not known; r.mu is held.
func (r *realm) unlisted() *schemas.Error {
	return schemas.Errorf(schemas.CodeUnavailable, "realm %q does not list its tools: %s", r.name, r.tidy(plain(r.listErr)))
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

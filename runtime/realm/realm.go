package realm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// realm is one downstream server. Only its run goroutine changes state, conn and listing; others read them, request a start
// through wake and wait for changed.
type realm struct {
	name    string
	kind    string
	spec    schemas.Realm
	limits  Limits
	cache   CatalogCache
	log     hclog.Logger
	redact  *redact.Redactor
	dialer  dialer
	drained chan struct{} // closed when the realm was removed from the pool and its last call has ended

	policies    atomic.Pointer[schemas.Policies]
	latency     latency
	unanswered  atomic.Int32         // unanswered probes in a row
	conn        atomic.Pointer[conn] // nil: none now
	lastSuccess atomic.Int64         // Unix nanoseconds; 0: never
	wake        chan struct{}        // size 1: a start is requested
	doubted     chan struct{}        // size 1: the listing is to be verified

	mu       sync.Mutex
	state    schemas.RealmState
	stopped  bool
	removed  bool           // removed from the pool
	attempts int            // starts that ended, with or without success
	told     int            // the number of the last start whose failure a call was given
	failures int            // in a row
	failedAt time.Time      // of the last failure
	failure  *schemas.Error // the last one; nil while ready
	listing  *listing       // the last known tools; nil: none yet
	listErr  error          // why the listing is missing or outdated
	server   string
	title    string // of the server
	protocol string
	changed  chan struct{} // closed and replaced at each change
	fresh    freshness     // of the listing

	saved savedFor // used by the run goroutine alone
}

// restartGap is how long calls are refused after a repeated failure. After that a call may start the realm again even before the
// backoff is over, and after a first failure, such as the end of a realm that worked, at once.
const restartGap = time.Second

// tidy cleans a text of the realm for an error. Secrets are looked for again after hidden characters have been removed from them.
func (r *realm) tidy(s string) string {
	return schemas.Cut(r.redact.Text(schemas.Clean(r.redact.Text(s))), r.limits.MaxText, cutMark)
}

// withoutSecrets is an error of our own that may repeat the configuration, such as a command that was not found.
func (r *realm) withoutSecrets(err *schemas.Error) *schemas.Error {
	return err.With(func(e *schemas.Error) { e.Message, e.Hint = r.redact.Text(e.Message), r.redact.Text(e.Hint) })
}

// run owns the realm until ctx ends or the realm is removed. It connects at once if eager, else at the first use.
func (r *realm) run(ctx context.Context, eager bool) {
	var closing sync.WaitGroup
	defer closing.Wait()
	defer r.stop()
	ctx, leave := context.WithCancelCause(ctx)
	closing.Go(func() {
		select {
		case <-r.drained:
			leave(errRemoved)
		case <-ctx.Done():
		}
	})
	defer leave(nil)
	if r.spec.Broken != nil {
		r.log.Warn("the entry of the realm cannot be used", "error", r.failure.Message, "hint", r.failure.Hint)
		<-ctx.Done()
		return
	}
	r.loadCatalog(ctx)
	if eager {
		r.requestStart()
	}
	var retry <-chan time.Time // nil: started only on request
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
			retry = time.After(0) // the realm itself works
		default:
			retry = time.After(r.backoff())
		}
	}
}

// start connects. On return the state is ready or broken, and waiters have been notified.
func (r *realm) start(ctx context.Context) (*conn, error) {
	r.update(func() { r.state = schemas.RealmStarting })
	began := time.Now()
	tooSlow := r.tooSlow()
	dialling, cancel := context.WithTimeoutCause(ctx, r.startTimeout(), tooSlow)
	defer cancel()
	cn, err := r.dialer.dial(dialling)

	var failure *schemas.Error
	if err != nil {
		failure = r.withoutSecrets(startFailure(r.name, r.spec.URL, err, r.tidy))
		if ctx.Err() == nil {
			r.log.Warn("realm does not start; it will be tried again", "error", failure.Message, "hint", failure.Hint)
		}
	}
	select { // requests until now are answered by this attempt
	case <-r.wake:
	default:
	}
	r.update(func() {
		r.attempts++
		if r.removed {
			return
		}
		if failure != nil {
			r.setBroken(failure)
			return
		}
		r.state, r.failures, r.failure = schemas.RealmReady, 0, nil
		r.unanswered.Store(0)
		r.server, r.title, r.protocol = cn.server, cn.title, cn.version
		r.conn.Store(cn)
	})
	if err == nil {
		r.log.Info("realm is ready", "server", cn.server, "protocol", cn.version, "duration", time.Since(began).Round(time.Millisecond))
	}
	return cn, err
}

// setBroken records a failure. The caller holds r.mu.
func (r *realm) setBroken(failure *schemas.Error) {
	r.state, r.failure, r.failedAt = schemas.RealmBroken, failure, time.Now()
	r.failures++
}

// serve keeps the listing current until the conn fails or ctx ends, and returns the cause.
func (r *realm) serve(ctx context.Context, cn *conn) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { cn.run(ctx) })
	running.Go(func() { r.probe(ctx, cn) })

	r.list(ctx, cn, demanded)
	stale := time.NewTimer(r.jitter(r.limits.CatalogTTL))
	defer stale.Stop()
	var settled <-chan time.Time // list_changed was received; more may follow
	pace := newPace(r.limits)
	for {
		select {
		case <-ctx.Done():
			r.conn.Store(nil)
			cn.fail(context.Cause(ctx))
			return ctx.Err()
		case <-cn.done:
			r.connectionLost(cn)
			return cn.cause
		case <-cn.changed:
			if settled == nil {
				settled = time.After(pace.wait(time.Now()))
			}
			continue
		case <-r.doubted:
			r.list(ctx, cn, verifying)
			continue
		case <-settled:
		case <-stale.C:
		}
		announced := settled != nil
		settled = nil
		began := time.Now()
		r.list(ctx, cn, demanded)
		if announced {
			pace.listed(began, time.Now())
		}
		stale.Reset(r.jitter(r.limits.CatalogTTL))
	}
}

// connectionLost removes a failed conn. After a lost session the realm does not count as broken.
func (r *realm) connectionLost(cn *conn) {
	if errors.Is(cn.cause, errSessionLost) {
		r.update(func() {
			r.conn.Store(nil)
			r.state = schemas.RealmStarting
		})
		r.log.Debug("session lost; connecting again")
		return
	}
	failure := schemas.Errorf(schemas.CodeUnavailable, "realm %q: connection lost: %s", r.name, r.tidy(errorText(cn.cause))).
		WithHint("the next use connects again").WithOutcome(schemas.NotRun)
	r.update(func() {
		r.conn.Store(nil)
		r.setBroken(failure)
	})
	r.log.Warn("connection to the realm lost; it will be connected again", "error", failure.Message)
}

// discard ends a conn that a call found unusable.
func (r *realm) discard(cn *conn, cause error) {
	cn.fail(cause)
	r.conn.CompareAndSwap(cn, nil)
}

// connected returns the live conn, or requests a start and waits for it. The error is a *schemas.Error with NotRun, in a notStarted if
// it is the realm that does not start.
func (r *realm) connected(ctx context.Context) (*conn, error) {
	if cn := r.conn.Load(); cn != nil {
		return cn, nil
	}
	r.mu.Lock()
	before := r.attempts
	for {
		cn, failure, changed, start := r.conn.Load(), r.waitError(before), r.changed, r.attempts
		r.mu.Unlock()
		if cn != nil {
			return cn, nil
		}
		if failure != nil {
			return nil, notStarted{failure, start}
		}
		r.requestStart()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, cancelledError("realm "+r.name, &fault{cause: context.Cause(ctx)})
		}
		r.mu.Lock()
	}
}

// waitError is the error of a caller that must not wait any longer, where before is r.attempts when it came; nil: it may wait. The
// caller holds r.mu.
func (r *realm) waitError(before int) *schemas.Error {
	switch {
	case r.removed:
		return schemas.Errorf(schemas.CodeUnavailable, "the configuration of realm %q was changed", r.name).
			WithHint("try again").WithOutcome(schemas.NotRun)
	case r.stopped:
		return schemas.Errorf(schemas.CodeUnavailable, "realm %q: the runtime is stopping", r.name).WithOutcome(schemas.NotRun)
	case r.spec.Broken != nil:
		return r.failure
	case r.state != schemas.RealmBroken:
		return nil
	case r.attempts > before:
		return r.failure // the start that it waited for
	case r.failures > 1 && time.Since(r.failedAt) < restartGap:
		return r.failure.WithRetryAfter(restartGap - time.Since(r.failedAt))
	}
	return nil
}

// requestStart requests a start of the realm.
func (r *realm) requestStart() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// update changes what mu guards and notifies waiters.
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

// backoff is the wait before the next start without a request.
func (r *realm) backoff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.limits.BackoffMin << min(max(r.failures-1, 0), 20)
	if wait <= 0 || wait > r.limits.BackoffMax {
		wait = r.limits.BackoffMax
	}
	return r.jitter(wait)
}

// jitter varies d by up to a tenth, so that replicas and realms do not act at the same time.
func (r *realm) jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// nearest is names of tools similar to this one.
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
		if n := r.listing.seen.Load(); n != 0 {
			at = time.Unix(0, n).UTC()
		}
		h.Capabilities, h.CatalogAt = len(r.listing.names), &at
	}
	if n := r.lastSuccess.Load(); n != 0 {
		at := time.Unix(0, n).UTC()
		h.LastSuccess = &at
	}
	if h.Error == nil && r.listErr != nil {
		h.Error = r.listingError()
	}
	if h.Error == nil && h.UnansweredProbes >= r.limits.ProbeFailures {
		h.Error = schemas.Errorf(schemas.CodeUnavailable, "realm %q does not answer: %d health probes in a row were not answered within %s",
			r.name, h.UnansweredProbes, r.limits.ProbeWait).
			WithHint("calls are still sent to it; if they hang too, restart its server or check its log")
	}
	return h
}

// listingError is the error of a ready realm whose tools cannot be listed. The caller holds r.mu.
func (r *realm) listingError() *schemas.Error {
	return schemas.Errorf(schemas.CodeUnavailable, "realm %q does not list its tools: %s", r.name, r.tidy(errorText(r.listErr)))
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

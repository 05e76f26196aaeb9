package realm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/runplane/runplane/schemas"
)

// A realm may change its tools without a notification. So a list is verified by another one before a node relies on it, unless it is
// only just read, and after a call that failed as calls of a changed tool do. What a list costs sets how often: at most a fiftieth of the
// time is spent on it. A realm that sends notifications all the time is listed ever more rarely too.

// reading is why the tools are listed.
type reading int

const (
	demanded  reading = iota // at the start, after a notification or CatalogTTL: a failure is one of the realm
	verifying                // in doubt: a failure changes nothing
)

// freshness is how far a listing can be relied on. r.mu guards it.
type freshness struct {
	began time.Time     // when the last list began that has ended, with or without success
	lasts time.Duration // how long after that it counts as fresh
	count int           // lists that have ended
}

const (
	// freshFor is how long a listing of a fast realm counts as fresh.
	freshFor = time.Second
	// The parts of the time that may be spent on lists: on those that verify, after notifications, and after calls that failed.
	listShare   = 50
	changeShare = 12
	forcedShare = 5 // of the time that a list lasts
	// verifyTimeout bounds a verifying list, and verifyWait how long a call waits for it.
	verifyTimeout = 5 * time.Second
	verifyWait    = time.Second
)

// note records a list that has ended.
func (f *freshness) note(began, ended time.Time, failed bool, ttl time.Duration) {
	f.count++
	f.began = began
	next := max(freshFor, listShare*ended.Sub(began))
	if failed {
		next = max(next, 2*f.lasts)
	}
	f.lasts = min(next, ttl)
}

// list reads the tools. If that fails, the last listing is kept, and if the list was demanded, listErr is set.
func (r *realm) list(ctx context.Context, cn *conn, why reading) {
	began := time.Now()
	limits := r.limits
	if why == verifying {
		limits.ListTimeout = min(limits.ListTimeout, verifyTimeout)
	}
	raw, err := cn.listTools(ctx, limits)
	if errors.Is(err, errNoTools) {
		raw, err = nil, nil
	}
	if ctx.Err() != nil {
		return
	}
	ended := func(change func()) {
		r.update(func() {
			r.fresh.note(began, time.Now(), err != nil, r.limits.CatalogTTL)
			change()
		})
	}
	switch {
	case err != nil && why == verifying:
		r.log.Debug("the tools of the realm cannot be verified; the last list is used", "error", r.tidy(errorText(err)))
		ended(func() {})
		return
	case err != nil:
		r.log.Warn("tools of the realm cannot be listed; they will be read again after catalog_ttl", "error", r.tidy(errorText(err)))
		ended(func() { r.listErr = err; cn.listed.Store(true) })
		return
	}
	r.lastSuccess.Store(time.Now().UnixNano())
	headed, raw := cn.toolsWithHeaders(raw)
	l := r.known(raw)
	if l == nil || !cn.listed.Load() {
		cn.headerTools.Store(&headed)
	}
	if l == nil {
		l = r.setListing(time.Now(), raw)
	}
	ended(func() { r.listErr = nil; cn.listed.Store(true) })
	if of := (savedFor{l, cn.server, cn.version}); r.saved != of && r.saveCatalog(ctx, l, cn) {
		r.saved = of
	}
}

// known is the present listing if it has these definitions: then they need not be parsed and stored again. nil: it has others.
func (r *realm) known(raw []json.RawMessage) *listing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing == nil || !slices.EqualFunc(r.listing.sent, raw, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		return nil
	}
	r.listing.seen.Store(time.Now().UnixNano())
	return r.listing
}

// savedFor is what the catalog that was stored last is of.
type savedFor struct {
	listing          *listing
	server, protocol string
}

// verify has the listing of the conn verified, and waits a moment for it, unless it is fresh. After a call that
// failed (force) it counts as fresh for a shorter time.
func (r *realm) verify(ctx context.Context, cn *conn, force bool) {
	r.mu.Lock()
	lasts := r.fresh.lasts
	if force {
		lasts /= forcedShare
	}
	if !cn.listed.Load() || time.Since(r.fresh.began) <= lasts {
		r.mu.Unlock()
		return
	}
	asked := r.fresh.count
	timer := time.NewTimer(verifyWait)
	defer timer.Stop()
	for r.fresh.count == asked {
		changed := r.changed
		r.mu.Unlock()
		select {
		case r.doubted <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-cn.done:
			return
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
	}
	r.mu.Unlock()
}

// hintsAtChange reports whether a call that failed like this may be one of a tool that has changed.
func hintsAtChange(e *schemas.Error) bool {
	switch e.Code {
	case schemas.CodeNotFound, schemas.CodeInvalidArgument:
		return true
	case schemas.CodeToolError:
		return invalidOutput.MatchString(e.Message) || invalidInput.MatchString(e.Message)
	}
	return false
}

// pace is how soon after a notification the tools are listed. A realm that always has another notification is listed ever more rarely.
type pace struct {
	least, most time.Duration
	gap         time.Duration
	ended       time.Time // of the last list
}

// maxListGap is the longest wait after a notification, if no list takes longer than it may.
const maxListGap = time.Minute

func newPace(limits Limits) *pace {
	return &pace{least: limits.Debounce, most: max(limits.Debounce, min(maxListGap, limits.CatalogTTL)), gap: limits.Debounce}
}

// wait is how long to wait after a notification. Each gap without one halves the next.
func (p *pace) wait(now time.Time) time.Duration {
	for quiet := now.Sub(p.ended); p.gap > p.least && quiet > p.gap; p.gap /= 2 {
		quiet -= p.gap
	}
	p.gap = max(p.gap, p.least)
	return p.gap
}

// listed notes a list after a notification.
func (p *pace) listed(began, ended time.Time) {
	p.ended = ended
	p.gap = min(max(2*p.gap, changeShare*ended.Sub(began)), p.most)
}

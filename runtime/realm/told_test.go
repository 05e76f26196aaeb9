package realm

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// Of the calls that meet one failed start, and of those that are refused during the backoff, one alone has news of the realm, so that a
// short absence counts as few failures.
func TestFailedStartIsNewsToOneCall(t *testing.T) {
	limits := quick
	limits.BackoffMin, limits.BackoffMax = time.Hour, time.Hour
	p := run(t, Config{Lazy: true, Limits: limits, Realms: realms("gone", schemas.Realm{URL: "http://127.0.0.1:1/mcp"})})
	r := p.members.Load().realms["gone"]
	var news, known atomic.Int32
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			_, err := invoke(t, p, "gone", "x", `{}`)
			wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "connection refused")
			if _, ok := errors.AsType[call.Known](err); ok {
				known.Add(1)
			} else {
				news.Add(1)
			}
		})
	}
	calls.Wait()
	r.mu.Lock()
	starts := r.attempts
	r.mu.Unlock()
	if news.Load() < 1 || int(news.Load()) > starts || starts > 3 || news.Load()+known.Load() != 20 {
		t.Errorf("%d calls of 20 had news of %d starts", news.Load(), starts)
	}
}

// A snapshot waits shortly for a realm that was never seen, shorter after a failed start, and says what it is doing; a call waits as long as
// the start may take.
func TestCatalogWaitsShortlyForARealmNeverSeen(t *testing.T) {
	limits := quick
	limits.StartTimeout, limits.FirstWait, limits.CachedWait = time.Hour, 50*time.Millisecond, time.Millisecond
	p := run(t, Config{Limits: limits, Realms: realms("hung", server("slow", "-hang-at-initialize"), "good", server("shop"))})
	eventually(t, "the other realm is listed", func() bool {
		_, err := p.Catalog(t.Context(), []string{"good", "hung"}).Tools("good")
		return err == nil
	})
	_, err := p.Catalog(t.Context(), nil).Tools("hung")
	e := wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, `realm "hung" is still starting: its program `)
	if !e.Retryable {
		t.Errorf("%v is not retryable", e)
	}
	r := p.members.Load().realms["hung"]
	if got := r.catalogWait(); got != limits.FirstWait {
		t.Errorf("the first start is waited for %s", got)
	}
	r.update(func() { r.setBroken(r.tooSlow()); r.state = schemas.RealmStarting })
	if got := r.catalogWait(); got != limits.CachedWait {
		t.Errorf("after a failed start it waits %s", got)
	}
	_, err = p.Catalog(t.Context(), nil).Tools("hung")
	wantError(t, err, schemas.CodeUnavailable, "", "did not finish its start within 1h; it is being started again")
	if got := r.listingWait(); got < limits.StartTimeout {
		t.Errorf("a direct call waits %s", got)
	}
}

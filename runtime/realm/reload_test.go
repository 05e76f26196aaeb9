package realm

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

func reload(t *testing.T, p *Pool, specs map[string]schemas.Realm, policies schemas.Policies, want Change) {
	t.Helper()
	got, err := p.Reload(specs, policies)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the change is not what it should be (-want +got):\n%s", diff)
	}
}

func pidOf(t *testing.T, p *Pool, name string) int {
	t.Helper()
	return field[int](t, mustInvoke(t, p, name, "environment", `{}`).Output, "pid")
}

// begin starts a call that takes a number of seconds, and returns when it is in flight.
func begin(t *testing.T, p *Pool, name string, seconds float64) <-chan error {
	t.Helper()
	under := make(chan struct{}, 64)
	done := make(chan error, 1)
	c := ask(name, "slow_progress", fmt.Sprintf(`{"seconds":%g,"steps":20}`, seconds))
	c.Progress = func(call.Progress) { under <- struct{}{} }
	go func() {
		_, err := p.Invoke(context.Background(), c)
		done <- err
	}()
	await(t, under)
	return done
}

func withEnv(spec schemas.Realm, name, value string) schemas.Realm {
	spec.Env = map[string]string{name: value}
	return spec
}

func TestReloadAddsRemovesAndRestartsRealms(t *testing.T) {
	stays, moves, goes := server("flaky"), server("flaky"), server("flaky")
	p := run(t, Config{Realms: realms("stays", stays, "moves", moves, "goes", goes)})
	stayed, moved, gone := pidOf(t, p, "stays"), pidOf(t, p, "moves"), pidOf(t, p, "goes")
	onMoves, onGoes := begin(t, p, "moves", 1), begin(t, p, "goes", 1)

	reload(t, p, realms("stays", stays, "moves", withEnv(moves, "NEW", "yes"), "comes", server("shop")), schemas.Policies{},
		Change{Added: []string{"comes"}, Removed: []string{"goes"}, Restarted: []string{"moves"}})
	if got := pidOf(t, p, "stays"); got != stayed {
		t.Error("a realm that stayed the same was restarted")
	}
	if got := pidOf(t, p, "moves"); got == moved {
		t.Error("a new call went to the old child")
	}
	mustInvoke(t, p, "comes", "list_orders", `{}`)
	_, err := invoke(t, p, "goes", "echo", `{}`)
	wantError(t, err, schemas.CodeNotFound, schemas.NotRun, `no realm "goes"`)
	if got := p.Catalog(t.Context(), nil).Realms(); !slices.Equal(got, []string{"comes", "moves", "stays"}) {
		t.Errorf("the catalog has %q", got)
	}
	for name, done := range map[string]<-chan error{"moves": onMoves, "goes": onGoes} {
		if err := await(t, done); err != nil {
			t.Errorf("the call in flight on %s: %v", name, err)
		}
	}
	for name, pid := range map[string]int{"moves": moved, "goes": gone} {
		eventually(t, "the old child of "+name+" is gone", func() bool { return !running(pid) })
	}
	reload(t, p, realms("stays", stays, "moves", withEnv(moves, "NEW", "yes"), "comes", server("shop")), schemas.Policies{}, Change{})
}

func TestReloadCutsOffCallsAfterTheGrace(t *testing.T) {
	limits := quick
	limits.LeaveGrace = 50 * time.Millisecond
	p := run(t, Config{Realms: realms("liar", server("liar")), Limits: limits})
	mustInvoke(t, p, "liar", "echo", `{}`)
	cn := p.members.Load().realms["liar"].conn.Load()
	done := make(chan error, 1)
	go func() {
		_, err := p.Invoke(context.Background(), ask("liar", "hang", `{}`))
		done <- err
	}()
	eventually(t, "the call is in flight", func() bool { return cn.calls.Load() == 1 })
	mustInvoke(t, p, "liar", "echo", `{}`) // sent after it
	reload(t, p, nil, schemas.Policies{}, Change{Removed: []string{"liar"}})
	wantError(t, await(t, done), schemas.CodeUnavailable, schemas.Unknown, "the configuration of the realm was changed")
}

func TestReloadOfPoliciesRestartsNothing(t *testing.T) {
	specs := realms("flaky", server("flaky"), "shop", server("shop"))
	p := run(t, Config{Realms: specs})
	before := pidOf(t, p, "flaky")
	policies := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"flaky": {
		Policy: schemas.Policy{Required: new(true)}, Capabilities: map[string]schemas.Policy{"hang": {Effect: schemas.EffectRead}},
	}}}
	reload(t, p, specs, policies, Change{Policies: []string{"flaky"}})
	if tool, _ := p.Catalog(t.Context(), nil).Tool("flaky", "hang"); tool.Effect != schemas.EffectRead {
		t.Errorf("the effect is %s", tool.Effect)
	}
	if h := health(p, "flaky"); !h.Required || health(p, "shop").Required {
		t.Errorf("required is %t", h.Required)
	}
	if got := pidOf(t, p, "flaky"); got != before {
		t.Error("the realm was restarted")
	}
	policies.Default.Protocol = "2025-06-18"
	reload(t, p, specs, policies, Change{Restarted: []string{"flaky", "shop"}})
	mustInvoke(t, p, "flaky", "echo", `{}`)
	if got := health(p, "flaky").Protocol; got != "2025-06-18" {
		t.Errorf("the protocol is %s", got)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	p := run(t, Config{Realms: realms("flaky", server("flaky"))})
	before := pidOf(t, p, "flaky")
	for _, specs := range []map[string]schemas.Realm{
		realms("other", server("flaky"), "neither", schemas.Realm{}),
		realms("a.b", server("flaky")),
	} {
		if _, err := p.Reload(specs, schemas.Policies{}); err == nil {
			t.Error("a wrong configuration is taken")
		}
	}
	if _, err := p.Reload(realms("flaky", server("flaky")), schemas.Policies{Default: schemas.Policy{Protocol: "1999"}}); err == nil {
		t.Error("a wrong protocol is taken")
	}
	if got := pidOf(t, p, "flaky"); got != before {
		t.Error("a refused configuration restarted the realm")
	}
}

// TestReloadLosesNoCall restarts realms repeatedly during concurrent calls, over stdio and HTTP.
func TestReloadLosesNoCall(t *testing.T) {
	base := serveHTTP(t, "liar")
	specs := func(round int) map[string]schemas.Realm {
		return realms("stdio", withEnv(server("liar"), "ROUND", fmt.Sprint(round)),
			"http", schemas.Realm{URL: base + "/mcp", Headers: map[string]string{"X-Round": fmt.Sprint(round)}})
	}
	p := run(t, Config{Realms: specs(0), Policies: pinned()})
	var calls atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 8 {
		name := []string{"stdio", "http"}[i%2]
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := invoke(t, p, name, "echo", `{"msg":"x"}`); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for round := range 8 {
		target := calls.Load() + 50
		eventually(t, "calls go on", func() bool { return calls.Load() >= target || t.Failed() })
		if _, err := p.Reload(specs(round+1), pinned()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestClosingNeverDelaysAResult has a child that ignores every request to end, whose last result is returned while it still runs,
// and a server that never answers the end of a session.
func TestClosingNeverDelaysAResult(t *testing.T) {
	t.Run("stdio", func(t *testing.T) {
		limits := quick
		limits.CloseGrace = 3 * time.Second
		p := run(t, Config{Realms: realms("flaky", server("flaky", "-ignore-term")), Limits: limits})
		pid := pidOf(t, p, "flaky")
		done := begin(t, p, "flaky", 0.5)
		reload(t, p, nil, schemas.Policies{}, Change{Removed: []string{"flaky"}})
		if err := await(t, done); err != nil {
			t.Error(err)
		}
		if !running(pid) {
			t.Error("the result came after the child's end")
		}
	})
	t.Run("http", func(t *testing.T) {
		s := &legacyScript{refuse: 404}
		s.session.Store(1)
		release := make(chan struct{})
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				<-release
			}
			s.ServeHTTP(w, r)
		}))
		defer ts.Close()
		defer close(release)
		p := newPool(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL})})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		mustInvoke(t, p, "r", "go", `{}`)
		cancel()
		await(t, ended) // the bound is patience, and DELETE is never answered
	})
}

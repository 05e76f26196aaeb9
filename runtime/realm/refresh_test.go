package realm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// shifty is a realm that changes its tools without a notification. Its tool t fails as it is told.
type shifty struct {
	version atomic.Int64
	lists   atomic.Int64
	refuses atomic.Bool // tools/list fails
	answer  atomic.Pointer[string]
}

func (s *shifty) serve(t *testing.T) schemas.Realm {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		answer := `"result":{}`
		switch m.Method {
		case "initialize":
			answer = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`
		case "tools/list":
			s.lists.Add(1)
			if s.refuses.Load() {
				answer = `"error":{"code":-32000,"message":"busy"}`
				break
			}
			answer = fmt.Sprintf(`"result":{"tools":[{"name":"t","description":"version %d","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":%t}}]}`,
				s.version.Load(), s.version.Load() == 0)
		case "tools/call":
			answer = *s.answer.Load()
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
	}))
	t.Cleanup(ts.Close)
	return schemas.Realm{URL: ts.URL}
}

// age has the last list of a realm be so long ago.
func age(p *Pool, name string, by time.Duration) {
	r := p.members.Load().realms[name]
	r.update(func() { r.fresh.began = r.fresh.began.Add(-by) })
}

func TestDefinitionsThatChangeInSilenceAreNoticed(t *testing.T) {
	s := &shifty{}
	p := run(t, Config{Policies: pinned(), Realms: realms("s", s.serve(t))})
	was, known := p.Definition(t.Context(), "s", "t")
	if !known || was.Effect != schemas.EffectRead {
		t.Fatalf("%+v, %t", was, known)
	}
	s.version.Store(1)
	age(p, "s", -time.Hour) // just read, as far as the realm's goroutine knows
	lists := s.lists.Load()
	if now, _ := p.Definition(t.Context(), "s", "t"); now.Hash != was.Hash || s.lists.Load() != lists {
		t.Errorf("a fresh list was read again")
	}
	age(p, "s", 2*time.Hour)
	now, known := p.Definition(t.Context(), "s", "t")
	if !known || now.Hash == was.Hash || now.Effect == schemas.EffectRead {
		t.Errorf("the change was not noticed: %+v", now)
	}
	if s.lists.Load() != lists+1 {
		t.Errorf("%d lists", s.lists.Load()-lists)
	}

	// A list that fails for this reason changes nothing but how often it is tried.
	s.refuses.Store(true)
	for range 3 {
		before := s.lists.Load()
		age(p, "s", time.Hour)
		if again, known := p.Definition(t.Context(), "s", "t"); !known || again.Hash != now.Hash || s.lists.Load() == before {
			t.Errorf("%t: %+v after %d lists", known, again, s.lists.Load()-before)
		}
	}
	if h := health(p, "s"); h.Error != nil || h.State != schemas.RealmReady {
		t.Errorf("the health is %+v", h)
	}
	r := p.members.Load().realms["s"]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh.lasts < 8*freshFor {
		t.Errorf("after three failures it is tried every %s", r.fresh.lasts)
	}
}

// TestCallsThatHintAtAChange fails calls in each way, and looks whether the tools are listed again before the error is returned.
func TestCallsThatHintAtAChange(t *testing.T) {
	text := func(s string) string {
		return `"result":{"isError":true,"content":[{"type":"text","text":` + string(quote(s)) + `}]}`
	}
	for _, tt := range []struct {
		name, answer string
		lists        bool
	}{
		{"unknown tool", `"error":{"code":-32602,"message":"Unknown tool: t"}`, true},
		{"invalid params", `"error":{"code":-32602,"message":"a is required"}`, true},
		{"unknown tool, as a result", text("MCP error -32602: Tool t not found"), true},
		{"invalid input, as a result", text("MCP error -32602: Input validation error: a"), true},
		{"invalid output", text("MCP error -32602: Output validation error: b"), true},
		{"a failure", text("no such order"), false},
		{"another error", `"error":{"code":-32603,"message":"disk full"}`, false},
		{"success", `"result":{"content":[]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &shifty{}
			s.answer.Store(&tt.answer)
			p := run(t, Config{Policies: pinned(), Realms: realms("s", s.serve(t))})
			was, _ := p.Definition(t.Context(), "s", "t")
			s.version.Store(1)
			age(p, "s", freshFor/forcedShare+time.Millisecond)
			_, err := invoke(t, p, "s", "t", `{}`)
			if (err == nil) != (tt.name == "success") {
				t.Errorf("the call: %v", err)
			}
			tool, _ := p.Catalog(t.Context(), nil).Tool("s", "t")
			if changed := tool.Hash != was.Hash; changed != tt.lists {
				t.Errorf("noticed: %t", changed)
			}
		})
	}
}

// A call does not wait for long for a realm that does not list its tools.
func TestVerifyingGivesUp(t *testing.T) {
	s := &shifty{}
	p := run(t, Config{Policies: pinned(), Realms: realms("s", s.serve(t))})
	if _, known := p.Definition(t.Context(), "s", "t"); !known {
		t.Fatal("the tool is not known")
	}
	age(p, "s", time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := p.members.Load().realms["s"]
	r.verify(ctx, r.conn.Load(), false) // returns
}

// countingCache counts what is saved.
type countingCache struct {
	memory
	saves atomic.Int64
}

func (c *countingCache) Save(ctx context.Context, realm string, catalog []byte) error {
	c.saves.Add(1)
	return c.memory.Save(ctx, realm, catalog)
}

func TestUnchangedToolsAreNotStoredAgain(t *testing.T) {
	cache := &countingCache{}
	s := &shifty{}
	spec := s.serve(t)
	p := run(t, Config{Policies: pinned(), Realms: realms("s", spec), Cache: cache})
	list := func(p *Pool) {
		t.Helper()
		before := s.lists.Load()
		age(p, "s", time.Hour)
		if _, known := p.Definition(t.Context(), "s", "t"); !known || s.lists.Load() == before {
			t.Fatal("the tools were not listed")
		}
	}
	list(p)
	r := p.members.Load().realms["s"]
	r.mu.Lock()
	first := r.listing
	r.mu.Unlock()
	for range 5 {
		list(p)
	}
	r.mu.Lock()
	if r.listing != first {
		t.Error("unchanged tools were parsed again")
	}
	r.mu.Unlock()
	eventually(t, "the catalog is saved", func() bool { return cache.saves.Load() > 0 })
	other := run(t, Config{Policies: pinned(), Realms: realms("s", spec), Cache: cache}) // the next start
	list(other)
	list(other)
	if n := cache.saves.Load(); n != 1 {
		t.Errorf("saved %d times", n)
	}
	s.version.Store(1)
	list(other)
	list(other)
	if n := cache.saves.Load(); n != 2 {
		t.Errorf("saved %d times after a change", n)
	}
	if data, _ := cache.Load(t.Context(), "s"); !strings.Contains(string(data), "version 1") {
		t.Errorf("saved %s", data)
	}
}

// TestPaceOfNotifications replays a minute or more of notifications.
func TestPaceOfNotifications(t *testing.T) {
	for _, tt := range []struct {
		name        string
		took, every time.Duration // of a list, between notifications; 0: one after each list at once
		during      time.Duration
		least, most int // lists
	}{
		{"after each list", time.Millisecond, 0, time.Minute, 5, 12},
		{"after each list of 300 ms", 300 * time.Millisecond, 0, time.Minute, 3, 12},
		{"after each list for an hour", time.Millisecond, 0, time.Hour, 60, 75},
		{"once a minute", time.Millisecond, time.Minute, time.Hour, 59, 61},
		{"every ten seconds", time.Millisecond, 10 * time.Second, time.Hour, 300, 361},
		{"ten a second", time.Millisecond, 100 * time.Millisecond, time.Minute, 5, 40},
	} {
		p := newPace(DefaultLimits)
		now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
		end, lists := now.Add(tt.during), 0
		for now.Before(end) {
			began := now.Add(p.wait(now))
			now = began.Add(tt.took)
			p.listed(began, now)
			lists++
			if tt.every > 0 {
				now = now.Truncate(tt.every).Add(tt.every)
			}
		}
		if lists < tt.least || lists > tt.most {
			t.Errorf("%s: %d lists in %s, want %d to %d", tt.name, lists, tt.during, tt.least, tt.most)
		}
	}
	p := newPace(DefaultLimits)
	now := time.Now()
	for range 20 {
		p.listed(now, now)
	}
	if p.wait(now) != maxListGap {
		t.Errorf("waits %s at most", p.wait(now))
	}
	if got := p.wait(now.Add(time.Hour)); got != DefaultLimits.Debounce {
		t.Errorf("after an hour without one it waits %s", got)
	}
}

func TestAListIsFreshForAsLongAsItCosts(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		took   time.Duration
		failed int
		want   time.Duration
	}{
		{time.Millisecond, 0, time.Second},
		{100 * time.Millisecond, 0, 5 * time.Second},
		{time.Minute, 0, 10 * time.Minute},
		{time.Millisecond, 3, 8 * time.Second},
		{time.Millisecond, 100, 10 * time.Minute},
	} {
		var f freshness
		f.note(now.Add(-tt.took), now, false, 10*time.Minute)
		for range tt.failed {
			f.note(now.Add(-tt.took), now, true, 10*time.Minute)
		}
		if f.lasts != tt.want {
			t.Errorf("%s, %d failures: fresh for %s, want %s", tt.took, tt.failed, f.lasts, tt.want)
		}
		f.note(now.Add(-time.Millisecond), now, false, 10*time.Minute)
		if f.lasts != time.Second {
			t.Errorf("after a good one: %s", f.lasts)
		}
	}
}

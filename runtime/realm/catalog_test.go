package realm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// memory is a CatalogCache for tests.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (m *memory) Load(_ context.Context, realm string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data[realm], nil
}

func (m *memory) Save(_ context.Context, realm string, catalog []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		m.data = map[string][]byte{}
	}
	m.data[realm] = catalog
	return nil
}

func TestCatalogHasToolsAndTheirEffects(t *testing.T) {
	policies := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"shop": {Capabilities: map[string]schemas.Policy{
		"refund":    {IdempotencyArg: "key"},
		"get_order": {Effect: schemas.EffectOnce},
	}}}}
	p := run(t, Config{Realms: realms("shop", server("shop"), "absent", schemas.Realm{Command: "no-such-command-here"}), Policies: policies, Lazy: true})
	c := p.Catalog(t.Context(), []string{"shop"})
	if got := c.Realms(); !slices.Equal(got, []string{"absent", "shop"}) {
		t.Errorf("realms are %q", got)
	}
	names, err := c.Tools("shop")
	if err != nil || !slices.IsSorted(names) || len(names) != 9 {
		t.Errorf("tools are %q, %v", names, err)
	}
	for name, want := range map[string]schemas.Effect{
		"list_orders": schemas.EffectRead, "reserve": schemas.EffectIdempotent, "charge": schemas.EffectOnce,
		"send_mail": schemas.EffectOnce, "refund": schemas.EffectIdempotent, "get_order": schemas.EffectOnce,
	} {
		tool, ok := c.Tool("shop", name)
		if !ok || tool.Effect != want || len(tool.Hash) != 64 || len(tool.InputSchema) == 0 {
			t.Errorf("%s is %+v, %t; want effect %s", name, tool, ok, want)
		}
	}
	if tool, _ := c.Tool("shop", "get_order"); len(tool.OutputSchema) == 0 {
		t.Error("get_order has no output schema")
	}
	if _, ok := c.Tool("shop", "no_such"); ok {
		t.Error("there is a tool that does not exist")
	}
	if health(p, "absent").State != schemas.RealmIdle {
		t.Error("a realm that was not requested was started")
	}
	_, err = c.Tools("shpo")
	wantError(t, err, schemas.CodeNotFound, "", `did you mean "shop"`)
	_, err = p.Catalog(t.Context(), nil).Tools("absent")
	wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "no-such-command-here")
}

func TestCachedCatalogIsUsedForABrokenRealm(t *testing.T) {
	cache := &memory{}
	spec := server("shop")
	p := run(t, Config{Realms: realms("shop", spec), Cache: cache})
	want, _ := p.Catalog(t.Context(), nil).Tool("shop", "charge")
	eventually(t, "the catalog is saved", func() bool { data, _ := cache.Load(t.Context(), "shop"); return data != nil })

	limits := quick
	limits.CachedWait = 20 * time.Millisecond
	hung := newPool(t, Config{Realms: realms("shop", spec), Cache: cache, Limits: limits})
	r := hung.members.Load().realms["shop"]
	r.dialer.spec = server("slow", "-hang-at-initialize") // the same realm, which now hangs
	runPool(t, hung)
	eventually(t, "the cache is read", func() bool { return health(hung, "shop").Capabilities > 0 })
	at := time.Now()
	got, ok := hung.Catalog(t.Context(), nil).Tool("shop", "charge")
	if !ok || got.Hash != want.Hash || got.Effect != want.Effect {
		t.Errorf("from the cache comes %+v, want %+v", got, want)
	}
	if took := time.Since(at); took > patience {
		t.Errorf("it took %s", took)
	}
	if found, err := hung.Discover(t.Context(), "", "refund", "", 0, ""); err != nil || len(found.Capabilities) != 3 || found.Realms[0].State != schemas.RealmStarting {
		t.Errorf("discovery returned %+v, %v", found, err)
	}

	other := spec
	other.Args = []string{"-delay", "1ms"}
	moved := newPool(t, Config{Realms: realms("shop", other), Cache: cache, Limits: limits, Lazy: true})
	moved.members.Load().realms["shop"].loadCatalog(t.Context())
	if got := health(moved, "shop").Capabilities; got != 0 {
		t.Errorf("a realm that points elsewhere takes %d tools from the cache", got)
	}
}

func TestCatalogFollowsListChanged(t *testing.T) {
	for _, protocol := range []string{"", "2025-11-25"} {
		var policies schemas.Policies
		policies.Default.Protocol = protocol
		p := run(t, Config{Realms: realms("flaky", server("flaky")), Policies: policies})
		before, err := p.Catalog(t.Context(), nil).Tools("flaky")
		if err != nil {
			t.Fatal(err)
		}
		if protocol == "" && health(p, "flaky").Protocol < "2026" {
			t.Errorf("the protocol is %s", health(p, "flaky").Protocol)
		}
		// A modern server notifies only those that listen already, so change the tools until a notification comes.
		eventually(t, "the new tool is in the catalog", func() bool {
			mustInvoke(t, p, "flaky", "change_tools", `{}`)
			now, err := p.Catalog(t.Context(), nil).Tools("flaky")
			return err == nil && len(now) > len(before) && slices.Contains(now, "extra_1")
		})
	}
}

// script answers requests over legacy HTTP, tools/list from the given pages.
func script(t *testing.T, pages ...string) schemas.Realm {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch m.Method {
		case "initialize":
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s\u200b","version":"1"}}}`, m.ID)
		case "tools/list":
			var q struct {
				Cursor int `json:"cursor,string"`
			}
			_ = json.Unmarshal(m.Params, &q) // without a cursor it is page 0
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, pages[q.Cursor])
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(ts.Close)
	return schemas.Realm{URL: ts.URL}
}

func pinned() schemas.Policies {
	return schemas.Policies{Default: schemas.Policy{Protocol: "2025-06-18"}}
}

func TestListKeepsRawSchemasOverAllPages(t *testing.T) {
	schema := `{"type":"object","oneOf":[{"required":["a"]}],"patternProperties":{"^x":{"type":"integer","multipleOf":3}},"minProperties":1}`
	p := run(t, Config{Policies: pinned(), Realms: realms("s", script(t,
		`{"tools":[{"name":"one","inputSchema":`+schema+`}],"nextCursor":"1"}`,
		`{"tools":[{"name":"two","inputSchema":{"type":"object"}},{"name":"one","description":"a shadow"},{"name":"bad\u200bname"},17],"nextCursor":"2"}`,
		`{"tools":[{"name":"three","description":"hi\u200b \u001b[1mthere","annotations":{"readOnlyHint":"yes"}}]}`,
	))})
	c := p.Catalog(t.Context(), nil)
	if names, err := c.Tools("s"); err != nil || !slices.Equal(names, []string{"one", "three", "two"}) {
		t.Fatalf("tools are %q, %v", names, err)
	}
	if tool, _ := c.Tool("s", "one"); string(tool.InputSchema) != schema {
		t.Errorf("the schema is %s", tool.InputSchema)
	}
	three, err := p.Resolve(t.Context(), "s", "three")
	if err != nil || three.Description != "hi there" || three.Effect != schemas.EffectOnce || three.EffectFrom != "default" {
		t.Errorf("got %+v, %v", three, err)
	}
	if three.Limits == nil || three.Limits.Timeout.Std() != time.Minute || three.Health == nil || three.Health.Server != "s 1" {
		t.Errorf("limits %+v, health %+v", three.Limits, three.Health)
	}
	_, err = p.Resolve(t.Context(), "s", "thre")
	wantError(t, err, schemas.CodeNotFound, schemas.NotRun, `did you mean "three"`)
}

// A cursor that is repeated ends the list with the tools so far.
func TestRepeatedCursorEndsTheList(t *testing.T) {
	var log logBuffer
	p := run(t, Config{Policies: pinned(), Logger: log.logger(), Realms: realms("s", script(t,
		`{"tools":[{"name":"one"}],"nextCursor":"1"}`, `{"tools":[{"name":"two"}],"nextCursor":"1"}`,
	))})
	if names, err := p.Catalog(t.Context(), nil).Tools("s"); err != nil || !slices.Equal(names, []string{"one", "two"}) {
		t.Errorf("tools are %q, %v", names, err)
	}
	if !strings.Contains(log.String(), "repeats a cursor") {
		t.Error("nothing is said about it")
	}
}

// Over HTTP with the stateless protocol a tool whose x-mcp-header is invalid is omitted; elsewhere the header means nothing.
func TestToolsWithInvalidHeadersAreOmitted(t *testing.T) {
	var log logBuffer
	tool := func(name, property string) json.RawMessage {
		return json.RawMessage(`{"name":"` + name + `","inputSchema":{"type":"object","properties":{"a":` + property + `}}}`)
	}
	raw := []json.RawMessage{
		tool("plain", `{"type":"string"}`), tool("good", `{"type":"string","x-mcp-header":"Region"}`), tool("empty", `{"type":"string","x-mcp-header":""}`),
		tool("object", `{"type":"object","x-mcp-header":"Region"}`), tool("spaces", `{"type":"string","x-mcp-header":"My Region"}`),
		tool("number", `{"type":"string","x-mcp-header":5}`), tool("twice", `{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}`),
	}
	for _, c := range []*conn{{kind: transportHTTP, modern: true}, {kind: transportHTTP}, {kind: transportStdio, modern: true}} {
		c.log = log.logger()
		want := len(raw)
		if c.kind == transportHTTP && c.modern {
			want = 2
		}
		headed, usable := c.toolsWithHeaders(raw)
		if _, ok := headed["good"]; len(usable) != want || len(headed) != 1 || !ok {
			t.Errorf("over %s (stateless: %t) %d of %d tools are usable, want %d; headed %v", c.kind, c.modern, len(usable), len(raw), want, headed)
		}
	}
	if n := strings.Count(log.String(), "its x-mcp-header is invalid"); n != 5 {
		t.Errorf("%d omitted tools are told", n)
	}
}

func TestListIsBounded(t *testing.T) {
	limits := quick
	limits.MaxTools = 3
	for message, pages := range map[string][]string{
		"more than 3 tools": {`{"tools":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]}`},
		"list of tools":     {`{"tools":"all"}`},
	} {
		p := run(t, Config{Policies: pinned(), Limits: limits, Realms: realms("s", script(t, pages...))})
		_, err := p.Catalog(t.Context(), nil).Tools("s")
		wantError(t, err, schemas.CodeUnavailable, "", message)
		if h := health(p, "s"); h.State != schemas.RealmReady || h.Error == nil {
			t.Errorf("%s: health is %+v", message, h)
		}
	}
}

func TestHashDependsOnTheDefinitionAndNotItsFormat(t *testing.T) {
	hash := func(raw string) string {
		l := newListing(time.Now(), []json.RawMessage{json.RawMessage(raw)}, DefaultLimits, func(string) schemas.Policy { return schemas.Policy{} }, hclog.NewNullLogger())
		if len(l.names) != 1 {
			t.Fatalf("%s is no tool", raw)
		}
		return l.tools[l.names[0]].hash
	}
	base := hash(`{"name":"a","description":"d","inputSchema":{"type":"object","maximum":12345678901234567890}}`)
	for _, same := range []string{
		`{"description":"d", "inputSchema":{"maximum":12345678901234567890, "type":"object"}, "name":"a"}`,
		`{"name":"a","description":"d","title":"T","inputSchema":{"type":"object","maximum":12345678901234567890}}`,
	} {
		if hash(same) != base {
			t.Errorf("%s counts as changed", same)
		}
	}
	for _, other := range []string{
		`{"name":"a","description":"d\u200b","inputSchema":{"type":"object","maximum":12345678901234567890}}`,
		`{"name":"a","description":"d","inputSchema":{"type":"object","maximum":12345678901234567891}}`,
		`{"name":"a","description":"d","inputSchema":{"type":"object","maximum":12345678901234567890},"annotations":{"readOnlyHint":true}}`,
		`{"name":"a","description":"d","inputSchema":{"type":"object","maximum":12345678901234567890},"outputSchema":{"type":"object"}}`,
	} {
		if hash(other) == base {
			t.Errorf("%s counts as the same", other)
		}
	}
}

func TestDiscoverRanksPagesAndDetails(t *testing.T) {
	p := run(t, Config{Realms: realms("shop", server("shop"), "flaky", server("flaky"), "absent", schemas.Realm{Command: "no-such-command-here"})})
	find := func(realm, query, detail string, limit int, cursor string) schemas.Discovery {
		t.Helper()
		d, err := p.Discover(t.Context(), realm, query, detail, limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	names := func(d schemas.Discovery) (out []string) {
		for _, c := range d.Capabilities {
			out = append(out, c.Realm+"."+c.CapabilityName)
		}
		return out
	}
	if got := names(find("", "refund", "", 0, "")); !slices.Equal(got, []string{"shop.refund", "shop.void_refund", "shop.find_refund"}) {
		t.Errorf("refund finds %q", got)
	}
	if got := names(find("", "Money BACK", "", 0, "")); len(got) == 0 || got[0] != "shop.refund" {
		t.Errorf("words of a description find %q", got)
	}
	if got := names(find("", "cents", "", 1, "")); !slices.Equal(got, []string{"shop.charge"}) && !slices.Equal(got, []string{"shop.refund"}) {
		t.Errorf("the name of a property finds %q", got)
	}
	if got := names(find("", "zebra", "", 0, "")); got != nil {
		t.Errorf("nonsense finds %q", got)
	}
	all := names(find("", "", "names", 500, ""))
	if !slices.IsSorted(all) || len(all) != 24 {
		t.Errorf("all are %q", all)
	}
	for _, query := range []string{"", "order", "answer with the message"} {
		var paged []string
		for cursor := ""; ; {
			d := find("", query, "names", 4, cursor)
			paged = append(paged, names(d)...)
			if cursor = d.NextCursor; cursor == "" {
				break
			}
		}
		if whole := names(find("", query, "names", 500, "")); !slices.Equal(paged, whole) {
			t.Errorf("pages of %q give %q, want %q", query, paged, whole)
		}
	}
	short, full := find("shop", "charge", "names", 1, "").Capabilities[0], find("shop", "charge", "schema", 1, "").Capabilities[0]
	if short.Description != "" || short.InputSchema != nil || short.Effect != schemas.EffectOnce {
		t.Errorf("names say %+v", short)
	}
	if full.Description == "" || !strings.Contains(string(full.InputSchema), "cents") || full.EffectFrom != "annotations" {
		t.Errorf("schema returned %+v", full)
	}
	if d := find("", "", "", 0, ""); len(d.Realms) != 3 || d.Realms[0].Realm != "absent" || d.Realms[0].Error == nil {
		t.Errorf("realms are %+v", d.Realms)
	}
	for _, tt := range []struct{ realm, detail, cursor, hint string }{
		{"shpo", "", "", `did you mean "shop"`}, {"", "sumary", "", `did you mean "summary"`}, {"", "", "!!", "next_cursor"}, {"", "", "YWJj", "next_cursor"},
	} {
		_, err := p.Discover(t.Context(), tt.realm, "", tt.detail, 0, tt.cursor)
		if e, ok := errors.AsType[*schemas.Error](err); !ok || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%+v gives %v", tt, err)
		}
	}
}

func TestEffectOfPolicyThenHintsThenOnce(t *testing.T) {
	for _, tt := range []struct {
		policy      schemas.Policy
		annotations string
		effect      schemas.Effect
		from        string
	}{
		{schemas.Policy{}, ``, "once", "default"},
		{schemas.Policy{}, `{}`, "once", "default"},
		{schemas.Policy{}, `{"title":"x","openWorldHint":true}`, "once", "default"},
		{schemas.Policy{}, `{"readOnlyHint":true}`, "read", "annotations"},
		{schemas.Policy{}, `{"readOnlyHint":true,"idempotentHint":true}`, "read", "annotations"},
		{schemas.Policy{}, `{"readOnlyHint":false,"idempotentHint":true}`, "idempotent", "annotations"},
		{schemas.Policy{}, `{"readOnlyHint":false}`, "once", "annotations"},
		{schemas.Policy{}, `{"destructiveHint":false}`, "once", "annotations"},
		{schemas.Policy{}, `{"readOnlyHint":"true"}`, "once", "default"},
		{schemas.Policy{Effect: "once"}, `{"readOnlyHint":true}`, "once", "config"},
		{schemas.Policy{Effect: "read"}, ``, "read", "config"},
		{schemas.Policy{IdempotencyArg: "key"}, ``, "idempotent", "config"},
		{schemas.Policy{Effect: "once", IdempotencyArg: "key"}, ``, "once", "config"},
	} {
		if effect, from := effectOf(tt.policy, json.RawMessage(tt.annotations)); effect != tt.effect || from != tt.from {
			t.Errorf("%+v and %s give %s from %s, want %s from %s", tt.policy, tt.annotations, effect, from, tt.effect, tt.from)
		}
	}
}

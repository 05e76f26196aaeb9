package main

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	runtimerealm "github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/schemas"
)

// world is everything a configuration comes from.
type world struct {
	flags map[string]string
	env   []string
	files map[string]string // by absolute path
}

func (w world) load(t *testing.T) (Config, error) {
	t.Helper()
	return loadConfig(sources{
		flags:   w.flags,
		environ: append([]string{"HOME=/home/ada"}, w.env...),
		dir:     "/here",
		read: func(path string) ([]byte, error) {
			if text, ok := w.files[filepath.ToSlash(path)]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
	})
}

func (w world) mustLoad(t *testing.T) Config {
	t.Helper()
	c, err := w.load(t)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// yamlFile is a world with this runplane.yaml in the working directory.
func yamlFile(text string, env ...string) world {
	return world{files: map[string]string{"/here/runplane.yaml": text}, env: env}
}

func clientFile(path, text string, env ...string) world {
	return world{flags: map[string]string{"config": path}, files: map[string]string{path: text}, env: env}
}

func defaultLimits() Limits {
	return Limits{
		MaxNodes: 1000, MaxPlanBytes: 256 << 10, MaxOutputBytes: 1 << 20, MaxListBytes: 16 << 20, MaxMessageBytes: 64 << 20, MaxExecutions: 256, MaxQueued: 10_000, MaxParallel: 32,
		MaxWaitSeconds: 25, MaxCacheBytes: 32 << 20, MaxEvaluation: 128 << 20,
		MaxSessionBytes: 64 << 10, MaxStateBytes: 256 << 10, MaxDepth: 100, MaxSessions: 10_000, MaxStates: 100_000,
		MaxTreeExecutions: 10_000, MaxTreeOpen: 1000, MaxTreeCalls: 100_000, MaxTreeItems: 100_000, MaxItemsInMemory: 100_000, MaxTreeEvents: 1_000_000,
		MaxTreeBytes: 1 << 30, MaxTreeEvaluation: schemas.Duration(10 * time.Minute), MaxTreeTime: schemas.Duration(366 * 24 * time.Hour),
		MaxConnections: 512, MaxStreams: 256, MaxClientSessions: 1000, MaxClientBytes: 64 << 20,
		StartTimeout: schemas.Duration(30 * time.Second), DirectTimeout: schemas.Duration(50 * time.Second), ProbeEvery: schemas.Duration(30 * time.Second), Lease: schemas.Duration(15 * time.Second),
	}
}

func TestDefaults(t *testing.T) {
	got := world{}.mustLoad(t)
	want := Config{
		Store: "file:/home/ada/.local/state/runplane", StateDir: "/home/ada/.local/state/runplane", Log: Log{Level: "info"}, Drain: schemas.Duration(10 * time.Second),
		InheritEnv: runtimerealm.InheritedByDefault,
		Limits:     defaultLimits(),
		Sessions: Sessions{
			TTL: schemas.Duration(24 * time.Hour), IdleAfter: schemas.Duration(10 * time.Minute), Keep: schemas.Duration(7 * 24 * time.Hour), OnDelete: "cancel", OnExpire: "detach",
		},
		Retention: Retention{Executions: schemas.Duration(30 * 24 * time.Hour)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWholeFile(t *testing.T) {
	got := yamlFile(`
x-retry: &retry {max_attempts: 3, jitter: 0.2}
mcpServers:
  shop:
    command: ./shop
    args: [--port, 8080, "${env:MODE}"]
    env: {TOKEN: "Bearer ${env:SHOP_TOKEN}", DEBUG: true}
    cwd: shop
    envFile: .env
  web: {type: sse, url: "https://example.com/sse", headers: {X-Key: "${env:SHOP_TOKEN}"}}
policies:
  default: {timeout: 30s, retry: *retry}
  realms:
    shop:
      effect: read
      protocol: 2025-11-25
      capabilities:
        charge: {effect: once, retry: {<<: *retry, max_attempts: 1, retry_on: [timeout, unavailable]}}
store: file:data
http: localhost:0
log: {level: debug, json: true}
drain: PT30S
limits: {max_nodes: 10, max_wait_seconds: 1}
`, "SHOP_TOKEN=s3cret", "MODE=fast").mustLoad(t)

	jitter := 0.2
	limits := defaultLimits()
	limits.MaxNodes, limits.MaxWaitSeconds = 10, 1
	want := Config{
		MCPServers: map[string]schemas.Realm{
			"shop": {
				Command: "./shop", Args: []string{"--port", "8080", "fast"}, Env: map[string]string{"TOKEN": "Bearer s3cret", "DEBUG": "true"},
				Cwd: "/here/shop", EnvFile: "/here/.env",
			},
			"web": {Type: "sse", URL: "https://example.com/sse", Headers: map[string]string{"X-Key": "s3cret"}},
		},
		Policies: schemas.Policies{
			Default: schemas.Policy{Timeout: new(schemas.Duration(30 * time.Second)), Retry: &schemas.Retry{MaxAttempts: 3, Jitter: &jitter}},
			Realms: map[string]schemas.RealmPolicy{"shop": {
				Policy: schemas.Policy{Effect: schemas.EffectRead, Protocol: "2025-11-25"},
				Capabilities: map[string]schemas.Policy{"charge": {
					Effect: schemas.EffectOnce,
					Retry: &schemas.Retry{
						MaxAttempts: 1, Jitter: &jitter, RetryOn: []schemas.Code{schemas.CodeTimeout, schemas.CodeUnavailable},
					},
				}},
			}},
		},
		Store: "file:/here/data", StateDir: "/here/data", HTTP: "localhost:0", Log: Log{Level: "debug", JSON: true}, Drain: schemas.Duration(30 * time.Second),
		InheritEnv: runtimerealm.InheritedByDefault,
		Limits:     limits,
		Sessions: Sessions{
			TTL: schemas.Duration(24 * time.Hour), IdleAfter: schemas.Duration(10 * time.Minute), Keep: schemas.Duration(7 * 24 * time.Hour), OnDelete: "cancel", OnExpire: "detach",
		},
		Retention: Retention{Executions: schemas.Duration(30 * 24 * time.Hour)},
		File:      "/here/runplane.yaml",
		Used:      map[string]string{"MODE": "fast", "SHOP_TOKEN": "s3cret"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrecedence(t *testing.T) {
	file := "log: {level: warn}\nlimits: {max_nodes: 20}\nstore: file:from-file\n"
	env := []string{"RUNPLANE_LOG_LEVEL=error", "RUNPLANE_LIMITS_MAX_NODES=30", "RUNPLANE_STORE=file:from-env"}
	for _, tt := range []struct {
		name  string
		w     world
		level string
		nodes int
		store string
	}{
		{"default", world{}, "info", 1000, "file:/home/ada/.local/state/runplane"},
		{"file", yamlFile(file), "warn", 20, "file:/here/from-file"},
		{"environment", yamlFile(file, env...), "error", 30, "file:/here/from-env"},
		{"empty variables", yamlFile(file, "RUNPLANE_LOG_LEVEL=", "RUNPLANE_LIMITS_MAX_NODES=", "RUNPLANE_STORE="), "warn", 20, "file:/here/from-file"},
		{"flag", world{flags: map[string]string{"log-level": "trace", "store": "mem:"}, env: env}, "trace", 30, "mem:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.w.mustLoad(t)
			if c.Log.Level != tt.level || c.Limits.MaxNodes != tt.nodes || c.Store != tt.store {
				t.Errorf("got %s %d %s, want %s %d %s", c.Log.Level, c.Limits.MaxNodes, c.Store, tt.level, tt.nodes, tt.store)
			}
		})
	}
}

// Only the value that wins is checked.
func TestOverriddenValues(t *testing.T) {
	for _, tt := range []struct{ file, flag, env string }{
		{"log: {level: verbose}", "log-level=debug", ""},
		{"log: {level: verbose}", "", "RUNPLANE_LOG_LEVEL=debug"},
		{"limits: {max_nodes: 0}", "", "RUNPLANE_LIMITS_MAX_NODES=5"},
		{"limits: {max_nodes: ~}", "", "RUNPLANE_LIMITS_MAX_NODES=5"},
		{"shards: -5", "shards=2", ""},
		{"shards: 5000", "shards=2", ""},
	} {
		w := yamlFile(tt.file, tt.env)
		if flag, value, ok := strings.Cut(tt.flag, "="); ok {
			w.flags = map[string]string{flag: value}
		}
		c := w.mustLoad(t)
		if c.Log.Level != "debug" && c.Limits.MaxNodes != 5 && c.Shards != 2 {
			t.Errorf("%+v: got %+v", tt, c)
		}
		if _, err := yamlFile(tt.file, tt.env[:max(0, strings.Index(tt.env, "=")+1)]).load(t); err == nil {
			t.Errorf("%s alone is accepted", tt.file)
		}
	}
}

// Each setting is reachable by its flag and its variable, and the file's key exists in Config.
func TestEverySettingHasItsSources(t *testing.T) {
	samples := map[string]string{
		"store": "mem:", "shards": "7", "http": "127.0.0.1:9", "operator": "true", "toolsets": "state,Minimal", "tools": "get_state", "exclude_tools": "set_state", "read_only": "true", "inherit_env": "HTTPS_PROXY,MY_CA", "log.level": "trace", "log.json": "true", "drain": "7s", "limits.max_nodes": "7",
		"limits.max_plan_bytes": "7777", "limits.max_output_bytes": "7777", "limits.max_list_bytes": "7777", "limits.max_message_bytes": "7777777", "limits.max_executions": "7", "limits.max_queued": "7", "limits.max_parallel": "7",
		"limits.max_wait_seconds": "7", "limits.max_cache_bytes": "7777", "limits.max_evaluation_bytes": "77777777", "limits.start_timeout": "7s", "limits.direct_timeout": "7s", "limits.probe_every": "7s", "limits.lease": "7s",
		"limits.max_tree_executions": "7", "limits.max_tree_open": "7", "limits.max_tree_calls": "7", "limits.max_tree_items": "7", "limits.max_items_in_memory": "777", "limits.max_tree_events": "777",
		"limits.max_tree_bytes": "7777", "limits.max_tree_evaluation": "7s", "limits.max_tree_time": "7h",
		"limits.max_session_bytes": "7777", "limits.max_state_bytes": "7777", "limits.max_depth": "77", "limits.max_sessions": "7", "limits.max_states": "7",
		"limits.max_connections": "7", "limits.max_streams": "7", "limits.max_client_sessions": "7", "limits.max_client_bytes": "17777777", "sessions.ttl": "7s", "sessions.idle_after": "7s", "sessions.keep": "7s",
		"sessions.on_delete": "detach", "sessions.on_expire": "cancel", "retention.executions": "7h", "retention.states": "7h",
	}
	standard := world{}.mustLoad(t)
	for i := range settings {
		s := &settings[i]
		sample, ok := samples[s.key]
		if !ok {
			t.Errorf("%s: no sample", s.key)
			continue
		}
		written := sample
		if s.kind() == "string" {
			written = "'" + sample + "'"
		} else if s.kind() == "names" {
			written = "[" + sample + "]"
		}
		nested := strings.ReplaceAll(s.key, ".", ": {") + ": " + written + strings.Repeat("}", strings.Count(s.key, "."))
		worlds := map[string]world{"variable": {env: []string{s.env() + "=" + sample}}, "file": yamlFile(nested)}
		if s.flag != "" {
			worlds["flag"] = world{flags: map[string]string{s.flag: sample}}
		}
		for source, w := range worlds {
			c := w.mustLoad(t)
			got, unset := reflect.ValueOf(s.at(&c)).Elem().Interface(), reflect.ValueOf(s.at(&standard)).Elem().Interface()
			if reflect.DeepEqual(got, unset) {
				t.Errorf("%s: the %s leaves %v", s.key, source, unset)
			}
		}
	}
}

func TestWhereTheFileIsFound(t *testing.T) {
	files := map[string]string{
		"/flag.yaml": "{}", "/here/env.yaml": "{}", "/here/runplane.json": "{}", "/here/runplane.yaml": "{}",
		"/home/ada/.config/runplane/runplane.yaml": "{}", "/xdg/runplane/runplane.yml": "{}", "/home/ada/own.yaml": "{}",
	}
	without := func(names ...string) map[string]string {
		out := map[string]string{}
		for path, text := range files {
			if !slices.Contains(names, path) {
				out[path] = text
			}
		}
		return out
	}
	for _, tt := range []struct {
		name string
		w    world
		want string
	}{
		{"flag first", world{flags: map[string]string{"config": "/flag.yaml"}, env: []string{"RUNPLANE_CONFIG=env.yaml"}, files: files}, "/flag.yaml"},
		{"then the variable", world{env: []string{"RUNPLANE_CONFIG=env.yaml"}, files: files}, "/here/env.yaml"},
		{"home", world{flags: map[string]string{"config": "~/own.yaml"}, files: files}, "/home/ada/own.yaml"},
		{"then here", world{files: files}, "/here/runplane.yaml"},
		{"JSON too", world{files: without("/here/runplane.yaml")}, "/here/runplane.json"},
		{"then the user's", world{files: without("/here/runplane.yaml", "/here/runplane.json")}, "/home/ada/.config/runplane/runplane.yaml"},
		{"in XDG's folder", world{files: without("/here/runplane.yaml", "/here/runplane.json"), env: []string{"XDG_CONFIG_HOME=/xdg"}}, "/xdg/runplane/runplane.yml"},
		{"none", world{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.w.mustLoad(t).File; got != tt.want {
				t.Errorf("read %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStores(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"file:", "file:/home/ada/.local/state/runplane"},
		{"file:/var/lib/rp", "file:/var/lib/rp"},
		{"file:///var/lib/rp", "file:/var/lib/rp"},
		{"file:rp", "file:/here/rp"},
		{"file:~/rp", "file:/home/ada/rp"},
		{"mem:", "mem:"},
		{"redis://:pw@h:7/2?prefix=a", "redis://:pw@h:7/2?prefix=a"},
		{"redis+cluster://a,b", "redis+cluster://a,b"},
	} {
		if got := (world{flags: map[string]string{"store": tt.in}}).mustLoad(t).Store; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
	if got := (world{env: []string{"XDG_STATE_HOME=/state"}}).mustLoad(t).Store; got != "file:/state/runplane" {
		t.Errorf("got %s", got)
	}
	_, err := loadConfig(sources{dir: "/", read: func(string) ([]byte, error) { return nil, fs.ErrNotExist }})
	if err == nil || !strings.Contains(err.Error(), "--store file:DIR") {
		t.Errorf("without a home: %v", err)
	}
}

// Every mistake gives its place and a way out, and no error gives away a value.
func TestMistakes(t *testing.T) {
	const secret = "hunter2"
	realm := "mcpServers: {shop: {command: shop}}\n"
	for _, tt := range []struct {
		name string
		w    world
		want []string
	}{
		{"unknown key", yamlFile("store: 'mem:'\npolices: {}\n"), []string{`/here/runplane.yaml:2:1: unknown key "polices": did you mean "policies"?`}},
		{"unknown key below", yamlFile("limits:\n  max_node: 5\n"), []string{`:2:3: limits: unknown key "max_node": did you mean "max_nodes"?`}},
		{"unknown key of a realm", yamlFile("mcpServers:\n  shop:\n    comand: x\n"), []string{`:3:5: mcpServers.shop: unknown key "comand": did you mean "command"?`}},
		{"unknown key, nothing near", yamlFile("zzzzzzzz: 1\n"), []string{`unknown key "zzzzzzzz": known are drain, exclude_tools, http, inherit_env`}},
		{"several", yamlFile("stroe: 1\nlog: {level: loud}\ndrain: 5\n"), []string{":1:1:", `:3:8: drain: a duration needs a unit: write "5s"`}},
		{"not YAML", yamlFile("store: [1\nb: 2\n"), []string{"runplane.yaml:2:1: "}},
		{"not JSON", clientFile("/a.json", "{\n  \"mcpServers\": {\n"), []string{"/a.json:"}},
		{"twice", yamlFile("store: 'mem:'\nstore: 'mem:'\n"), []string{":2:1:", `duplicate key "store" in one object; keep one of them`}},
		{"a list", yamlFile("- a\n"), []string{":1:1: the document must be an object, got a list"}},
		{"two documents", yamlFile("store: 'mem:'\n---\nstore: 'mem:'\n"), []string{":3:", "one file holds one"}},
		{"no anchor", yamlFile("log: *x\n"), []string{"alias *x has no anchor"}},
		{"wrong kind", yamlFile("limits: {max_nodes: many}\n"), []string{":1:21: `limits.max_nodes` must be an integer, got string \"many\""}},
		{"fraction", yamlFile("limits: {max_nodes: 1.5}\n"), []string{"`limits.max_nodes` must be an integer, got number 1.5"}},
		{"too small", yamlFile("limits: {max_nodes: 0}\n"), []string{":1:21: `limits.max_nodes` must be at least 1, got integer 0"}},
		{"negative", yamlFile("limits:\n  max_parallel: -1\n"), []string{":2:17: `limits.max_parallel` must be at least 1, got integer -1"}},
		{"level", yamlFile("log: {level: loud}\n"), []string{":1:14: `log.level` must be one of \"trace\", \"debug\", \"info\", \"warn\", \"error\""}},
		{"http", yamlFile("http: 8080\n"), []string{"`http` must be a string"}},
		{"http without a port", yamlFile("http: localhost\n"), []string{"http: must be host:port"}},
		{"http for all", yamlFile("http: ':8080'\n"), []string{":1:7: http: only a loopback address such as 127.0.0.1:8080"}},
		{"http to the world", world{flags: map[string]string{"http": "0.0.0.0:1"}}, []string{"--http: only a loopback address"}},
		{"http port", world{flags: map[string]string{"http": "127.0.0.1:http"}}, []string{"--http: the port must be a number"}},
		{"flag", world{flags: map[string]string{"log-level": "loud"}}, []string{"--log-level: must be one of"}},
		{"variable", world{env: []string{"RUNPLANE_LIMITS_MAX_NODES=" + secret}}, []string{"RUNPLANE_LIMITS_MAX_NODES: must be a whole number"}},
		{"variable of a boolean", world{env: []string{"RUNPLANE_LOG_JSON=" + secret}}, []string{"RUNPLANE_LOG_JSON: must be true or false"}},
		{"store with a password", world{env: []string{"RUNPLANE_STORE=rediss+x://:" + secret + "@h"}}, []string{"RUNPLANE_STORE: the store is file:, file:DIR, mem: or a URL such as redis://host:port"}},
		{"Redis with an unknown parameter", world{env: []string{"RUNPLANE_STORE=redis://:" + secret + "@h?prefxi=a"}},
			[]string{`RUNPLANE_STORE: the URL has no parameter "prefxi": did you mean "prefix"?`}},
		{"Redis with a bad port", yamlFile("store: redis://:" + secret + "@h:port\n"), []string{":1:8: store: the URL needs host"}},
		{"no such file", world{flags: map[string]string{"config": "gone.yaml"}}, []string{"not_found", "/here/gone.yaml (from --config)"}},
		{"no such file by variable", world{env: []string{"RUNPLANE_CONFIG=/gone"}}, []string{"/gone (from RUNPLANE_CONFIG)"}},
		{"huge", yamlFile("#" + strings.Repeat("x", maxConfigBytes)), []string{"payload_too_large"}},

		{"variable not set", yamlFile("mcpServers:\n  shop:\n    command: x\n    env:\n      TOKEN: ${env:SHOP_TOKEN}\n"),
			[]string{":5:14: mcpServers.shop.env.TOKEN: environment variable SHOP_TOKEN is not set"}},
		{"two variables not set", yamlFile("mcpServers: {shop: {command: '${env:AAA} ${BBB}'}}\n"), []string{"AAA is not set", "BBB is not set"}},
		{"not a name", yamlFile("mcpServers: {shop: {command: '${env:A B}'}}\n"), []string{`invalid variable name "A B"`}},
		{"unknown reference", yamlFile("mcpServers: {shop: {command: '${command:pick}'}}\n"), []string{"${command:pick} is unknown", "${env:NAME}"}},
		{"client's reference in a setting", yamlFile("store: file:${HOME}\n"), []string{"store: ${HOME} is unknown: write ${env:NAME}"}},
		{"input", clientFile("/p/.vscode/mcp.json", `{"servers": {"shop": {"command": "x", "env": {"T": "${input:shop-token}"}}}, "inputs": []}`),
			[]string{"mcp.json:1:52: mcpServers.shop.env.T: ${input:shop-token} is asked of a person", "RUNPLANE_INPUT_SHOP_TOKEN"}},

		{"realm with a dot", yamlFile("mcpServers:\n  my.shop: {command: x}\n"), []string{`:2:3: mcpServers: realm name "my.shop"`, `for example "my_shop"`}},
		{"realm too long", yamlFile("mcpServers: {" + strings.Repeat("a", 65) + ": {command: x}}\n"), []string{"1 to 64"}},
		{"empty realm", yamlFile("mcpServers:\n  shop: {}\n"), []string{`:2:3: mcpServers.shop: the realm needs a "command"`}},
		{"realm is null", yamlFile("mcpServers:\n  shop:\n"), []string{`the realm needs a "command"`}},
		{"both", yamlFile("mcpServers: {shop: {command: x, url: 'http://x'}}\n"), []string{`has both "command" and "url"`}},
		{"type without url", yamlFile("mcpServers: {shop: {type: http, command: x}}\n"), []string{`is of type http and has no "url"`}},
		{"stdio without command", yamlFile("mcpServers: {shop: {type: stdio, url: 'http://x'}}\n"), []string{`is of type stdio and has no "command"`}},
		{"unknown type", yamlFile("mcpServers: {shop: {type: pipe, command: x}}\n"), []string{"`mcpServers.shop.type` must be one of \"stdio\", \"http\""}},
		{"no URL", yamlFile("mcpServers: {shop: {url: '" + secret + "'}}\n"), []string{"does not begin with http:// or https://"}},
		{"argument is a list", yamlFile("mcpServers: {shop: {command: x, args: [[" + secret + "]]}}\n"), []string{"`mcpServers.shop.args[0]` must be a string, got a list"}},

		{"policy of no realm", yamlFile(realm + "policies:\n  realms:\n    shpo: {effect: read}\n"), []string{`:4:5: policies.realms.shpo: no realm "shpo" in mcpServers: did you mean "shop"?`}},
		{"effect", yamlFile(realm + "policies: {realms: {shop: {effect: reed}}}\n"), []string{":2:36: `policies.realms.shop.effect` must be one of \"read\", \"idempotent\", \"once\", got string \"reed\""}},
		{"code", yamlFile(realm + "policies: {default: {retry: {retry_on: [timeuot]}}}\n"), []string{`policies.default.retry.retry_on[0]: "timeuot" is unknown: want one of already_finished`}},
		{"protocol", yamlFile(realm + "policies: {realms: {shop: {protocol: 2020-01-01}}}\n"), []string{"must be one of \"auto\", \"2024-11-05\""}},
		{"protocol of a capability", yamlFile(realm + "policies: {realms: {shop: {capabilities: {buy: {protocol: auto}}}}}\n"), []string{"set policies.realms.shop.protocol"}},
		{"attempts", yamlFile(realm + "policies: {default: {retry: {max_attempts: 0}}}\n"), []string{"max_attempts` must be at least 1, got integer 0"}},
		{"negative attempts", yamlFile(realm + "policies: {default: {retry: {max_attempts: -3}}}\n"), []string{"max_attempts` must be at least 1, got integer -3"}},
		{"jitter", yamlFile(realm + "policies: {default: {retry: {jitter: 1.5}}}\n"), []string{"jitter` must be at most 1, got number 1.5"}},
		{"short lease", yamlFile("limits: {lease: 10ms}\n"), []string{"limits.lease: must be at least 1s"}},
		{"negative timeout", yamlFile(realm + "policies: {default: {timeout: -5s}}\n"), []string{`duration "-5s" is negative`}},
		{"rate limit without a rate", yamlFile(realm + "policies: {default: {rate_limit: {burst: 5}}}\n"), []string{":2:22: missing required `policies.default.rate_limit.rate`"}},
		{"rate limit in no time", yamlFile(realm + "policies: {realms: {shop: {rate_limit: {rate: 1, per: 0s}}}}\n"), []string{`policies.realms.shop.rate_limit.per: the period must be longer than 0s`}},
		{"misspelt policy", yamlFile(realm + "policies: {realms: {shop: {capabilities: {buy: {rate_limits: {rate: 1}}}}}}\n"), []string{`unknown key "rate_limits": did you mean "rate_limit"?`}},
		{"short retention", yamlFile("retention: {executions: 1m, states: 1s}\n"), []string{"retention.executions: must be at least 10m, or 0s for no limit"}},
		{"negative concurrency", yamlFile(realm + "policies: {default: {concurrency: -1}}\n"), []string{"`policies.default.concurrency` must be at least 0, got integer -1"}},
		{"empty breaker", yamlFile(realm + "policies: {default: {breaker: {}}}\n"), []string{`policies.default.breaker: is empty: give it failures (0 is never; default 10) or open_for (default 15s)`}},
		{"fallback of nothing", yamlFile(realm + "policies: {realms: {shop: {fallback: [{}]}}}\n"), []string{`policies.realms.shop.fallback[0]: is either`}},
		{"fallback of both", yamlFile(realm + "policies: {realms: {shop: {fallback: [{capability: shop.x, value: 1}]}}}\n"), []string{`policies.realms.shop.fallback[0]: is either`}},
		{"fallback to no realm", yamlFile(realm + "policies: {realms: {shop: {fallback: [{capability: shpo.x}]}}}\n"), []string{`policies.realms.shop.fallback[0].capability: no realm "shpo" in mcpServers: did you mean "shop.x"?`}},
		{"fallback without a realm", yamlFile(realm + "policies: {realms: {shop: {fallback: [{capability: x}]}}}\n"), []string{`a capability is written realm.name`}},
		{"drift", yamlFile(realm + "policies: {default: {drift: allow}}\n"), []string{"`policies.default.drift` must be one of \"hold\", \"allow_compatible\", got string \"allow\""}},
		{"misspelt quota", yamlFile("limits: {session: {call: 5}}\n"), []string{`limits.session: unknown key "call": did you mean "calls"?`}},
		{"expanded duration", yamlFile("drain: ${env:D}\n", "D="+secret), []string{`drain: ${env:D} is not a duration`}},
		{"expanded number", yamlFile("limits: {max_nodes: '${env:D}'}\n", "D="+secret), []string{"`limits.max_nodes` must be an integer, got the value of ${env:D}"}},
		{"expanded duration of a policy", yamlFile(realm+"policies:\n  default:\n    timeout: ${env:D}\n", "D="+secret), []string{":4:14: policies.default.timeout: ${env:D} is not a duration"}},
		{"expanded boolean", yamlFile("operator: ${env:D}\n", "D="+secret), []string{"`operator` must be a boolean, got the value of ${env:D}"}},
		{"boolean of a realm", yamlFile("mcpServers: {shop: {command: x, disabled: " + secret + "}}\n"), []string{"`mcpServers.shop.disabled` must be a boolean, got a string"}},
		{"expanded code", yamlFile(realm+"policies: {default: {retry: {retry_on: ['${env:D}']}}}\n", "D="+secret), []string{"retry_on[0]: the value of ${env:D} is unknown"}},
		{"through an anchor", yamlFile(realm + "x-r: &r {jitter: 2}\npolicies:\n  default: {retry: *r}\n"), []string{":2:18: `policies.default.retry.jitter` must be at most 1"}},
		{"setting is null", yamlFile("retention: {states: 2h, executions: ~}\n"),
			[]string{":1:37: `retention.executions` is empty: write a value (0s keeps forever), or remove the line for the default"}},
		{"setting is blank", yamlFile("retention:\n  executions:\nstore:\ndrain: null\n"), []string{
			"runplane.yaml:2:", "`retention.executions` is empty", "runplane.yaml:3:", "`store` is empty: write a value, or remove", ":4:8: `drain` is empty",
		}},
		{"setting of a word is empty", yamlFile("log: {level: ''}\n"), []string{":1:14: `log.level` must be one of"}},
		{"rate limit in null", yamlFile(realm + "policies: {default: {rate_limit: {rate: 1, per: ~}}}\n"), []string{":2:49: policies.default.rate_limit.per: the period must be longer than 0s"}},
		{"null in a list of objects", yamlFile(realm + "policies: {default: {fallback: [~]}}\n"), []string{"policies.default.fallback[0]: is either"}},
		{"number of a variable that is a boolean's", yamlFile("shards: '${env:D}'\n", "D=true"), []string{":1:9: `shards` must be an integer, got the value of ${env:D}"}},
		{"not a number anywhere", yamlFile(realm+"policies: {default: {retry: {backoff_coefficient: '${env:D}'}}}\n", "D=NaN"), []string{"must be a number, got the value of ${env:D}"}},
		{"not overridden as a type", world{files: yamlFile("shards: many\n").files, flags: map[string]string{"shards": "2"}}, []string{":1:9: `shards` must be an integer"}},
		{"JSON", clientFile("/runplane.json", "{\n  // ours\n  \"limits\": {\n    \"max_nodes\": true,\n  },\n}"), []string{"/runplane.json:4:18: `limits.max_nodes` must be an integer, got boolean true"}},
		{"JSON, twice", clientFile("/runplane.json", "{\"drain\": \"1s\",\n  \"drain\": \"2s\"}"), []string{"/runplane.json:2:3: duplicate key \"drain\""}},
		{"much too deep", yamlFile("mcpServers: " + strings.Repeat("[", 200) + strings.Repeat("]", 200)), []string{"nested too deep"}},
		{"expanded word", yamlFile(realm+"policies: {default: {effect: '${env:D}'}}\n", "D="+secret), []string{"`policies.default.effect` must be one of \"read\""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.w.load(t)
			e, ok := errors.AsType[*schemas.Error](err)
			if err == nil {
				e, ok = brokenRealm(c)
			}
			if !ok {
				t.Fatalf("got %T %v, want a *schemas.Error", err, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(e.Error(), want) {
					t.Errorf("no %q in:\n%s", want, e)
				}
			}
			if strings.Contains(e.Error()+e.Field+strings.Join(e.Candidates, ""), secret) {
				t.Errorf("the error gives a value away:\n%s", e)
			}
			if e.Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

// brokenRealm is what is wrong with the first realm that is broken by its entry.
func brokenRealm(c Config) (*schemas.Error, bool) {
	for _, name := range slices.Sorted(maps.Keys(c.MCPServers)) {
		if e := c.MCPServers[name].Broken; e != nil {
			return e, true
		}
	}
	return nil, false
}

// Values stand in the form that the setting wants, however they were written.
func TestSpellings(t *testing.T) {
	c := yamlFile(`
operator: ${env:ON}
limits: {max_nodes: 0x10, max_parallel: 100.0, max_queued: "${env:N}", max_sessions: 7.0}
log:
mcpServers: {shop: {command: 0x10, args: [1.10, True, null-ish], env: {EMPTY: , OCTAL: 010, YES: yes}}}
`, "ON=true", "N=500").mustLoad(t)
	if l := c.Limits; !c.Operator || l.MaxNodes != 16 || l.MaxParallel != 100 || l.MaxQueued != 500 || l.MaxSessions != 7 || c.Log.Level != "info" {
		t.Errorf("got %+v", c)
	}
	want := schemas.Realm{Command: "0x10", Args: []string{"1.10", "True", "null-ish"}, Env: map[string]string{"EMPTY": "", "OCTAL": "010", "YES": "yes"}}
	if diff := cmp.Diff(want, c.MCPServers["shop"]); diff != "" {
		t.Error(diff)
	}
}

// A variable gives a number or a boolean in every notation that Go reads.
func TestNumbersOfVariables(t *testing.T) {
	c := yamlFile(`
operator: ${env:T}
limits: {max_nodes: "${env:HEX}", max_queued: "${env:UNDERSCORE}", max_parallel: "${env:OCTAL}"}
mcpServers: {shop: {command: x, disabled: "${env:ONE}"}}
policies: {default: {required: "${env:F}", retry: {backoff_coefficient: "${env:N}", jitter: "${env:HALF}"}}}
`, "T=TRUE", "ONE=1", "F=f", "HEX=0x10", "UNDERSCORE=1_000", "OCTAL=007", "N=42", "HALF=.5").mustLoad(t)
	if l := c.Limits; !c.Operator || l.MaxNodes != 16 || l.MaxQueued != 1000 || l.MaxParallel != 7 || !c.MCPServers["shop"].Disabled {
		t.Errorf("got %+v", c)
	}
	if p := c.Policies.Default; *p.Required || p.Retry.BackoffCoefficient != 42 || *p.Retry.Jitter != 0.5 {
		t.Errorf("got %+v %+v", p, p.Retry)
	}
}

// A variable that is not set is one mistake, whatever is wanted in its place.
func TestOneErrorForEachVariable(t *testing.T) {
	for _, text := range []string{
		"limits: {max_nodes: '${env:X}'}", "operator: ${env:X}", "drain: 1${env:X}", "log: {level: 'a${env:X}'}", "store: ${env:X}", "mcpServers: {a: {command: '${X}'}}",
		"policies: {default: {timeout: '${env:X}'}}", "policies: {default: {effect: 're${env:X}'}}", "policies: {default: {retry: {retry_on: ['time${env:X}']}}}",
	} {
		c, err := yamlFile(text).load(t)
		if e, broken := brokenRealm(c); err == nil && broken {
			err = e
		}
		if err == nil || !strings.Contains(err.Error(), "X is not set") || strings.Count(err.Error(), "runplane.yaml:") != 1 {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// Where nothing is meant, nothing is set; only settings are refused, for which it could mean 0 as well.
func TestNothing(t *testing.T) {
	c := yamlFile(`
$schema: 5
limits:
mcpServers: {shop: {command: x, type: "", args: [-y, null], url: ~}}
policies:
  default: {effect: "${env:EFFECT:-}", protocol: "", drift: "", timeout: ~, retry: {max_attempts: ~, retry_on: [timeout, ""]}}
  realms: {shop: {rate_limit: {rate: ~}, fallback: [{value: null}], capabilities: {ping: }}}
`).mustLoad(t)
	if diff := cmp.Diff(schemas.Realm{Command: "x", Args: []string{"-y", ""}}, c.MCPServers["shop"]); diff != "" {
		t.Error(diff)
	}
	want := schemas.Policies{
		Default: schemas.Policy{Retry: &schemas.Retry{RetryOn: []schemas.Code{schemas.CodeTimeout, ""}}},
		Realms: map[string]schemas.RealmPolicy{"shop": {
			Policy:       schemas.Policy{RateLimit: &schemas.RateLimit{}, Fallback: []schemas.PolicyFallback{{}}},
			Capabilities: map[string]schemas.Policy{"ping": {}},
		}},
	}
	if diff := cmp.Diff(want, c.Policies); diff != "" {
		t.Error(diff)
	}
}

// FuzzLoadConfig: whatever a file holds, it is a configuration or an error of ours that has a place.
func FuzzLoadConfig(f *testing.F) {
	for _, s := range []string{"store: 'mem:'", "mcpServers: {a: {command: '${env:X} $${', args: [1, [2]]}}", "limits: {max_nodes: ${env:N}}", "{\"servers\": {\"a\": {}}} // x", "<<: {drain: 5}", "policies: {default: {fallback: [{value: null}], retry: {retry_on: [x]}}}", "x-a: &a [*a]", "log: []",
		"x-a: &a {command: x}\nmcpServers: {a: {<<: [*a, *a], args: [\xff]}, b: {<<: *a}}", "{\"mcpServers\":{\"\xed\xa0\x80\":{\"command\":\"\\ud800\"}}}",
		"<<: &a {<<: [{<<: {store: 'mem:'}}]}"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, isYAML bool) {
		w := clientFile("/a.json", text, "N=5")
		if isYAML {
			w = yamlFile(text, "N=5")
		}
		_, err := w.load(t)
		if e, ok := errors.AsType[*schemas.Error](err); err != nil && (!ok || e.Message == "") {
			t.Fatalf("got %T %v", err, err)
		}
	})
}

func TestMisspeltVariablesAreNamed(t *testing.T) {
	c := world{env: []string{"RUNPLANE_LOG_LEVLE=debug", "RUNPLANE_NPM=/x", "OTHER_STORE=y"}}.mustLoad(t)
	if diff := cmp.Diff([]string{"RUNPLANE_LOG_LEVLE sets nothing: did you mean RUNPLANE_LOG_LEVEL?"}, c.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsReachTheConfig(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addConfigFlags(fs, "store", "http", "log.level", "log.json", "drain")
	if err := fs.Parse([]string{"--store", "mem:", "--log-json", "--drain=3s"}); err != nil {
		t.Fatal(err)
	}
	c := world{flags: givenFlags(fs)}.mustLoad(t)
	if c.Store != "mem:" || !c.Log.JSON || c.Drain.Std() != 3*time.Second || c.Log.Level != "info" {
		t.Errorf("got %+v", c)
	}
	usage := fs.FlagUsages()
	for _, want := range []string{"--drain duration", "(default 10s)", "[RUNPLANE_LOG_LEVEL]", "--config FILE", "--log-json "} {
		if !strings.Contains(usage, want) {
			t.Errorf("no %q in the help:\n%s", want, usage)
		}
	}
}

// Settings that leave no tool, or name what does not exist, are refused at the start with the nearest name.
func TestToolsOfClientsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		w    world
		says string // empty: accepted
	}{
		{world{flags: map[string]string{"toolsets": "minmal"}}, `--toolsets: no toolset "minmal": did you mean minimal?`},
		{world{flags: map[string]string{"tools": "get_stat"}}, `--tools: no tool "get_stat": did you mean get_state?`},
		{world{env: []string{"RUNPLANE_EXCLUDE_TOOLS=get_state,set_stat"}}, `RUNPLANE_EXCLUDE_TOOLS: no tool "set_stat": did you mean set_state?`},
		{yamlFile("toolsets: [agent, stat]"), `toolsets: no toolset "stat": did you mean state?`},
		{world{flags: map[string]string{"tools": "execute_plan", "read-only": "true"}}, "together leave no tool"},
		{world{flags: map[string]string{"tools": "pause_queue"}}, "pause_queue is for operators"},
		{world{flags: map[string]string{"tools": "pause_queue", "operator": "true"}}, ""},
		{world{flags: map[string]string{"tools": "workflow_refund", "toolsets": ""}, env: []string{"RUNPLANE_TOOLSETS=minmal"}}, ""},
		{yamlFile("toolsets: [Minimal, STATE]\nexclude_tools: [set_state]\nread_only: true"), ""},
	} {
		_, err := tt.w.load(t)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%+v: %v, want %q", tt.w, err, tt.says)
		}
	}
}

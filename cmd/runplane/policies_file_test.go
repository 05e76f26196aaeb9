package main

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/schemas"
)

// beside is a world with a client's file and one of --policies.
func beside(client, policies string) world {
	return world{
		flags: map[string]string{"config": "/home/ada/claude_desktop_config.json", "policies": "/home/ada/p/policies.yaml"},
		files: map[string]string{"/home/ada/claude_desktop_config.json": client, "/home/ada/p/policies.yaml": policies},
	}
}

func TestPoliciesFileStandsBesideAClientsFile(t *testing.T) {
	w := beside(`{"globalShortcut": "x", "mcpServers": {"my shop": {"command": "shop"}}}`,
		"store: file:here\nlimits: {max_nodes: 5}\nsecrets: {token: '${env:SHOP_TOKEN}'}\npolicies: {realms: {my_shop: {timeout: 5s, secrets: [token]}}}\n")
	w.env = []string{"SHOP_TOKEN=long-enough", "RUNPLANE_LIMITS_MAX_QUEUED=7"}
	c := w.mustLoad(t)
	if c.Store != "file:/home/ada/p/here" || c.Limits.MaxNodes != 5 || c.Limits.MaxQueued != 7 || c.Secrets["token"] != "long-enough" || c.Used["SHOP_TOKEN"] == "" {
		t.Errorf("the settings of the file do not count: %+v", c)
	}
	if got := c.Policies.For("my_shop", "x").Timeout; got == nil || *got != schemas.Duration(5*time.Second) {
		t.Errorf("the timeout is %v", got)
	}
	if !c.Client || c.MCPServers["my_shop"].Command != "shop" || c.File != w.flags["config"] || c.PoliciesFile != w.flags["policies"] {
		t.Errorf("the client's file was not read as one: %+v", c)
	}
	delete(w.flags, "policies")
	w.env = append(w.env, "RUNPLANE_POLICIES=/home/ada/p/policies.yaml")
	if c := w.mustLoad(t); c.Limits.MaxNodes != 5 {
		t.Error("RUNPLANE_POLICIES names no file")
	}
}

// Each mistake names its file, and nothing is said twice.
func TestMistakesOfAPoliciesFile(t *testing.T) {
	const client = `{"mcpServers": {"shop": {"command": "shop"}, "half": {}}}`
	for _, tt := range []struct {
		name string
		w    world
		want []string
	}{
		{"no such realm", beside(client, "policies: {realms: {shpo: {timeout: 5s}}}"), []string{`policies.yaml:1:21: policies.realms.shpo: no realm "shpo" in mcpServers: did you mean "shop"?`}},
		{"unknown key", beside(client, "polices: {}"), []string{`policies.yaml:1:1: unknown key "polices": did you mean "policies"?`}},
		{"servers", beside(client, "mcpServers: {x: {command: x}}"), []string{"policies.yaml:1:", "servers stand in the file of --config alone"}},
		{"a client's file", beside(client, `{"mcpServers": {"x": {"command": "x"}}}`), []string{"servers stand in the file of --config alone"}},
		{"empty", beside(client, "# later\n"), []string{"policies.yaml:1:1: is empty", "`policies: {}`"}},
		{"not there", func() world { w := beside(client, ""); delete(w.files, w.flags["policies"]); return w }(), []string{"policies.yaml (from --policies)"}},
		{"a bound", beside(client, "limits: {max_nodes: 0}"), []string{"policies.yaml:1:21", "at least 1"}},
		{"a setting", beside(client, "http: 0.0.0.0:1"), []string{"policies.yaml:1:7: http: only a loopback address"}},
		{"both", beside("store: 'mem:'\nlog: {level: warn}\n", "store: 'mem:'\nlog: {json: true}\n"),
			[]string{"policies.yaml:1:8: store: stands in /home/ada/claude_desktop_config.json too: keep it in one of the two files", "policies.yaml:2:6: log: stands in"}},
		{"mistakes in both", beside("stroe: 'mem:'\n", "polices: {}\n"), []string{`config.json:1:1: unknown key "stroe"`, `policies.yaml:1:1: unknown key "polices"`}},
	} {
		_, err := tt.w.load(t)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", tt.name, err, want)
			}
		}
	}
}

// What doctor prints for a configuration can be pasted there and then loads; a guess is a comment.
func TestDoctorsSnippetFitsTheFile(t *testing.T) {
	const servers = `"mcpServers": {"shop": {"command": "shop"}}`
	for _, tt := range []struct {
		file, policies, place string
		pasted                func(snippet string) world
	}{
		{"/here/runplane.yaml", "", "in /here/runplane.yaml", func(s string) world { return yamlFile("mcpServers: {shop: {command: shop}}\n" + s) }},
		{"/here/runplane.json", "", "in /here/runplane.json", func(s string) world { return clientFile("/here/runplane.json", "{"+servers+",\n"+s+"}") }},
		{"/home/ada/.cursor/mcp.json", "", "--config /home/ada/.cursor/mcp.json --policies /home/ada/.cursor/policies.json", func(s string) world {
			w := clientFile("/home/ada/.cursor/mcp.json", "{"+servers+"}")
			w.flags["policies"], w.files["/home/ada/.cursor/policies.json"] = "/home/ada/.cursor/policies.json", s
			return w
		}},
		{"/home/ada/.cursor/mcp.json", "/here/p.yaml", "in /here/p.yaml", func(s string) world {
			w := clientFile("/home/ada/.cursor/mcp.json", "{"+servers+"}")
			w.flags["policies"], w.files["/here/p.yaml"] = "/here/p.yaml", s
			return w
		}},
	} {
		c := Config{File: tt.file, PoliciesFile: tt.policies, Client: filepath.Base(tt.file) == "mcp.json"}
		snippet := effectSnippet(&c, "shop", []string{"charge", "getOrder", "x\"y"})
		if place := c.placeOfPolicies(); !strings.Contains(place, tt.place) {
			t.Errorf("%s: it belongs %s, want %s", tt.file, place, tt.place)
		}
		got := tt.pasted(snippet).mustLoad(t).Policies
		for _, name := range []string{"charge", "getOrder", `x"y`} {
			if got.For("shop", name).Effect != schemas.EffectOnce {
				t.Errorf("%s: %s has the effect %q with\n%s", tt.file, name, got.For("shop", name).Effect, snippet)
			}
		}
		for line := range strings.Lines(snippet) {
			if comment := strings.HasPrefix(strings.TrimSpace(line), "#") || strings.HasPrefix(strings.TrimSpace(line), "//"); comment != strings.Contains(line, "read") {
				t.Errorf("%s: a guess is a comment, and nothing else is: %s", tt.file, line)
			}
		}
		if strings.Count(snippet, "read") != 1 {
			t.Errorf("%s: getOrder alone reads by its name:\n%s", tt.file, snippet)
		}
	}
}

func TestNamesThatSuggestReading(t *testing.T) {
	for name, want := range map[string]bool{
		"get_order": true, "getOrder": true, "GET-ORDER": true, "list": true, "_find": true, "Search.web": true,
		"getter": false, "listen": false, "LISTEN": false, "delete_list": false, "": false, "readjust": false,
	} {
		if readsByName(name) != want {
			t.Errorf("%q reads by its name: %v, want %v", name, !want, want)
		}
	}
}

// A change of the policies' file counts as one of the configuration; a wrong, empty or missing one changes nothing.
func TestPoliciesFileIsReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policies := "store: 'mem:'\npolicies: {default: {timeout: 1s}}\n"
		src := sources{dir: "/x", flags: map[string]string{"policies": "p.yaml"}, read: func(path string) ([]byte, error) {
			switch {
			case path == filepath.FromSlash("/x/runplane.yaml"):
				return []byte("mcpServers: {a: {command: one}}\n"), nil
			case path == filepath.FromSlash("/x/p.yaml") && policies != "gone":
				return []byte(policies), nil
			}
			return nil, fs.ErrNotExist
		}}
		cfg, err := loadConfig(src)
		if err != nil {
			t.Fatal(err)
		}
		var log output
		p, err := open(t.Context(), cfg, &log, false)
		if err != nil {
			t.Fatal(err)
		}
		defer p.store.Close()
		r := (&cli{sources: src}).reloader(p, src, func() {})
		for _, step := range []struct{ content, timeout, log string }{
			{"store: 'mem:'\npolicies: {default: {timeout: 2s}}\n", "2s", "configuration reloaded"},
			{"store: 'mem:'\npolices: {}\n", "2s", "did you mean"},
			{"", "2s", "p.yaml:1:1: is empty"},
			{"gone", "2s", "cannot be read"},
			{"store: 'mem:'\npolicies: {default: {timeout: 3s}}\n", "3s", ""},
		} {
			policies = step.content
			r.look()
			if got := p.config.Policies.Default.Timeout.String(); got != step.timeout || !strings.Contains(log.String(), step.log) {
				t.Errorf("%q: the timeout is %s, want %s; the log says %s", step.content, got, step.timeout, log.String())
			}
		}
	})
}

// Whatever is wrong with a realm's name or url is found when the file is read, so that the realm alone is broken.
func TestNoEntryEndsTheStart(t *testing.T) {
	for _, entry := range []string{
		`"_x": {"command": "x"}`, `"-": {"command": "x"}`, `"": {"command": "x"}`, `"x": {"url": "https://ada:hunter2@h/mcp"}`, `"x": {"url": "http:///mcp"}`,
		`"x": {"url": "http://h:port/hunter2"}`, `"x": {"url": "hunter2"}`, `"x": {"url": "ftp://h"}`, `"x": {"url": "http://%zz"}`, `"x": {"type": "http", "command": "x"}`,
		`"x": {"type": "sse", "url": ""}`, `"x": {"type": "pipe", "command": "x"}`, `"x": {"command": 7, "url": []}`, `"x": []`, `"x": null`, `"x": {"command": ""}`,
	} {
		c := clientFile("/a.json", `{"mcpServers": {"fine": {"command": "y"}, `+entry+`}}`).mustLoad(t)
		if _, err := realm.New(realm.Config{Realms: c.MCPServers}); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
		if c.MCPServers["fine"].Command != "y" {
			t.Errorf("%s: the other realm is %+v", entry, c.MCPServers["fine"])
		}
		if e, broken := brokenRealm(c); broken && (strings.Contains(e.Error(), "hunter2") || e.Hint == "" || e.Retryable) {
			t.Errorf("%s: %+v", entry, e)
		}
	}
}

func TestStartTimeoutIsOfARealm(t *testing.T) {
	const servers = "mcpServers: {a: {command: x}}\n"
	c := yamlFile(servers + "policies: {realms: {a: {start_timeout: 5m}}}\n").mustLoad(t)
	if got := c.Policies.Realms["a"].StartTimeout; got != schemas.Duration(5*time.Minute) {
		t.Errorf("it is %s", got)
	}
	for text, want := range map[string]string{
		"policies: {realms: {a: {start_timeout: 0s}}}\n":                      "policies.realms.a.start_timeout: must be longer than 0s",
		"policies: {realms: {a: {start_timeout: 5}}}\n":                       "a duration needs a unit",
		"policies: {default: {start_timeout: 5s}}\n":                          `unknown key "start_timeout"`,
		"policies: {realms: {a: {capabilities: {b: {start_timeout: 5s}}}}}\n": `unknown key "start_timeout"`,
	} {
		if _, err := yamlFile(servers + text).load(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
)

// Files as the clients write them, taken unchanged.
func TestFilesOfClients(t *testing.T) {
	for _, tt := range []struct {
		name string
		w    world
		want map[string]schemas.Realm
	}{
		{
			"Claude Desktop",
			clientFile("/home/ada/Claude/claude_desktop_config.json", `{
  "globalShortcut": "Ctrl+Space",
  "mcpServers": {
    "filesystem": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/data"]}
  },
  "isUsingBuiltInNodeForMcp": true
}`),
			map[string]schemas.Realm{"filesystem": {Command: "npx", Args: []string{"-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/data"}}},
		}, {
			"Claude Code",
			clientFile("/proj/.mcp.json", `{"mcpServers": {
  "api": {"type": "http", "url": "${BASE:-https://api.example.com}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
  "db": {"type": "stdio", "command": "${ROOT:-/opt}/db", "env": {"LEVEL": "${LEVEL:-}"}}
}}`, "TOKEN=t0ken", "ROOT="),
			map[string]schemas.Realm{
				"api": {Type: "http", URL: "https://api.example.com/mcp", Headers: map[string]string{"Authorization": "Bearer t0ken"}},
				"db":  {Type: "stdio", Command: "/opt/db", Env: map[string]string{"LEVEL": ""}, Cwd: "/proj"},
			},
		}, {
			"Cursor",
			clientFile("/proj/.cursor/mcp.json", `{"mcpServers": {"tool": {
  "command": "${workspaceFolder}/bin/tool", "args": ["${userHome}${/}x", "${workspaceFolderBasename}"], "env": {"K": "${env:KEY}"}, "envFile": ".env"
}}}`, "KEY=k"),
			map[string]schemas.Realm{"tool": {
				Command: "/proj/bin/tool", Args: []string{"/home/ada/x", "proj"}, Env: map[string]string{"K": "k"}, EnvFile: "/proj/.env", Cwd: "/proj",
			}},
		}, {
			"VS Code",
			clientFile("/proj/.vscode/mcp.json", `{
  // what we use
  "inputs": [{"type": "promptString", "id": "key", "password": true}], /* none
  is needed */
  "servers": {
    "play": {"command": "npx", "args": ["-y", "play//wright"], "cwd": "${workspaceFolder}/web", "envFile": "${workspaceFolder}/.env", "dev": {"watch": "**"}},
    "remote": {"type": "http", "url": "https://example.com/mcp", "gallery": true, "version": "1.0"},
  },
}`),
			map[string]schemas.Realm{
				"play":   {Command: "npx", Args: []string{"-y", "play//wright"}, Cwd: "/proj/web", EnvFile: "/proj/.env"},
				"remote": {Type: "http", URL: "https://example.com/mcp"},
			},
		}, {
			"others' spellings",
			clientFile("/c/mcp_config.json", `{"mcpServers": {
  "a": {"serverUrl": "https://a.example/mcp"}, "b": {"httpUrl": "https://b.example/mcp"},
  "c": {"type": "streamableHttp", "url": "https://c.example/mcp", "alwaysAllow": ["x"], "disabled": false}
}}`),
			map[string]schemas.Realm{
				"a": {URL: "https://a.example/mcp"}, "b": {URL: "https://b.example/mcp"}, "c": {Type: "http", URL: "https://c.example/mcp"},
			},
		}, {
			"empty type, null argument",
			clientFile("/c/mcp.json", `{"mcpServers": {"a": {"type": "", "command": "x", "args": ["-y", null], "env": null}}}`),
			map[string]schemas.Realm{"a": {Command: "x", Args: []string{"-y", ""}}},
		}, {
			"disabled realms keep their references",
			clientFile("/c/mcp.json", `{"mcpServers": {"off": {"command": "x", "env": {"K": "${env:NOT_SET}"}, "disabled": true}, "on": {"command": "$${x}"}}}`),
			map[string]schemas.Realm{
				"off": {Command: "x", Env: map[string]string{"K": "${env:NOT_SET}"}, Disabled: true}, "on": {Command: "${x}"},
			},
		},
		{
			"Gemini CLI",
			clientFile("/home/ada/.gemini/settings.json", `{"tools": {"exclude": ["run_shell_command"]}, "mcpServers": {"play": {"httpUrl": "https://example.com/mcp"}}}`),
			map[string]schemas.Realm{"play": {URL: "https://example.com/mcp"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.w.mustLoad(t).MCPServers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatClientsKeepForThemselves(t *testing.T) {
	const file = `{"globalShortcut": "x", "mcpServers": {"shop": {"command": "x", "autoApprove": [], "timeout": 60, "disabledTools": ["buy"], "colour": "red"}}}`
	c := clientFile("/c/claude_desktop_config.json", file).mustLoad(t)
	wantNotes := []string{
		"globalShortcut is the client's own and ignored", "mcpServers.shop.autoApprove is the client's own and ignored",
		"mcpServers.shop.colour is the client's own and ignored",
	}
	if diff := cmp.Diff(wantNotes, c.Notes); diff != "" {
		t.Error(diff)
	}
	wantWarnings := []string{
		"mcpServers.shop.timeout is not applied: set policies.realms.shop.timeout instead; clients disagree about its unit",
		"mcpServers.shop.disabledTools is not applied: all tools of the realm stay callable",
	}
	if diff := cmp.Diff(wantWarnings, c.Warnings); diff != "" {
		t.Error(diff)
	}

	// In a file of ours the same keys are mistakes, apart from those that clients are known to keep in a realm.
	_, err := world{files: map[string]string{"/here/runplane.json": file}}.load(t)
	if want := `unknown key "globalShortcut"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("no %q in %v", want, err)
	}
	ours := world{files: map[string]string{"/here/runplane.json": strings.Replace(file, `"globalShortcut": "x", `, "", 1)}}.mustLoad(t)
	if e, _ := brokenRealm(ours); e == nil || !strings.Contains(e.Message, `unknown key "colour"`) || strings.Contains(e.Message, "autoApprove") {
		t.Errorf("the realm is broken by %v", e)
	}

	// A slip in a client's file is still a slip.
	for _, slip := range []string{`{"mcpServer": {}, "mcpServers": {}}`, `{"mcpServers": {"a": {"command": "x", "arg": []}}}`, `{"mcpServers": {}, "polices": {}}`} {
		c, err := clientFile("/c/mcp.json", slip).load(t)
		if e, ok := brokenRealm(c); err == nil && ok {
			err = e
		}
		if err == nil || !strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: got %v", slip, err)
		}
	}
}

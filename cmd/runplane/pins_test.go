package main

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

func TestUnpinnedCommandsAreFound(t *testing.T) {
	for line, want := range map[string]string{
		"npx -y @modelcontextprotocol/server-filesystem /data":        "@modelcontextprotocol/server-filesystem",
		"npx -y @modelcontextprotocol/server-filesystem@latest /data": "@modelcontextprotocol/server-filesystem@latest",
		"npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /d": "",
		"npx --yes server-memory":                                     "server-memory",
		"npx server-memory@^1.2.3":                                    "server-memory@^1.2.3",
		"npx server-memory@1":                                         "server-memory@1",
		"npx server-memory@1.2.3-beta.1":                              "",
		"npx --package=mcp-x run-x":                                   "mcp-x",
		"npx -p mcp-x@1.2.3 run-x":                                    "",
		"npx --registry https://npm.example/ x":                       "x",
		"npx ./local":                                                 "",
		"/usr/local/bin/npx -y x":                                     "x",
		"npx.cmd -y x":                                                "x",
		"pnpm dlx x":                                                  "x",
		"pnpm start":                                                  "",
		"uvx mcp-server-git":                                          "mcp-server-git",
		"uvx mcp-server-git==2026.1.14":                               "",
		"uvx mcp-server-git@latest":                                   "mcp-server-git@latest",
		"uvx --from git+https://git.example/x@v1 x":                   "",
		"uvx --from git+https://git.example/x x":                      "git+https://git.example/x",
		"uv tool run mcp-server-git":                                  "mcp-server-git",
		"pipx run mcp==1.2.3":                                         "",
		"docker run -i --rm -e TOKEN ghcr.io/x/y":                     "ghcr.io/x/y",
		"docker run -i --rm -e TOKEN host:5000/x/y:latest":            "host:5000/x/y:latest",
		"docker run -i --rm ghcr.io/x/y:1.2 serve":                    "",
		"docker run ghcr.io/x/y@sha256:" + strings.Repeat("a", 64):    "",
		"node server.js":                                              "",
		"npx":                                                         "",
	} {
		words := strings.Fields(line)
		if got := unpinned(schemas.Realm{Command: words[0], Args: words[1:]}); got != want {
			t.Errorf("%s: %q is not pinned, want %q", line, got, want)
		}
	}
}

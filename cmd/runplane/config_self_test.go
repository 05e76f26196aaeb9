package main

import (
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// An entry is Runplane itself however it is started; what only mentions the name is not.
func TestEntriesThatStartRunplane(t *testing.T) {
	for line, want := range map[string]bool{
		"runplane|serve": true, "/opt/bin/runplane": true, "npx|-y|runplane@1.2.3": true, "pnpm|dlx|runplane": true, "go|run|./cmd/runplane|serve": true,
		"docker|run|-i|--rm|ghcr.io/x/runplane:1": true, "docker|run|-i|x/runplane|serve": true, "env|A=b|runplane": true, "env|-i|A=b|npx|runplane": true,
		"cmd|/c|npx|-y|runplane": true, "sh|-c|exec runplane serve": true, "bash|-lc|npx -y runplane": true, "sh|-c|env A=b runplane": true,
		"npx|-y|server-filesystem|/home/ada/runplane": false, "docker|run|-v|/x/runplane:/data|x/files": false, "docker|run|-i|mcp/filesystem|/home/ada/runplane": false,
		"docker|run|-i|mcp/filesystem|../runplane": false, "docker|run|-i|mcp/filesystem|src/runplane": false, "sh|-c|cd runplane && ./server": false,
		"sh|-c|server > runplane": false, "env": false, "env|A=b": false, "cmd|/k|runplane": false, "sh|-c| ": false, "sh|runplane": false, "echo|runplane": false,
	} {
		words := strings.Split(line, "|")
		if got := startsSelf(schemas.Realm{Command: words[0], Args: words[1:]}); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

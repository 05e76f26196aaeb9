package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strings"
)

// script is one Lua script. Redis identifies it by the hash of its text, so processes with different versions of it do not
// affect each other.
type script struct {
	text string
	sha  string
}

// Flags of scripts: no-writes runs also when memory is full or the server cannot save its data; allow-oom runs when memory is
// full, for scripts that only free memory; any other script is then refused as a whole.
const (
	writes = "#!lua\n"
	reads  = "#!lua flags=no-writes\n"
	frees  = "#!lua flags=allow-oom\n"
)

func newScript(flags string, parts ...string) *script {
	text := flags + strings.Join(parts, "\n")
	sum := sha1.Sum([]byte(text)) //nolint:gosec // Redis identifies scripts by it
	return &script{text, hex.EncodeToString(sum[:])}
}

//go:embed scripts/wakes.lua
var wakesText string

//go:embed scripts/commit.lua
var commitText string

//go:embed scripts/claim.lua
var claimText string

//go:embed scripts/peek.lua
var peekText string

//go:embed scripts/renew.lua
var renewText string

//go:embed scripts/get.lua
var getText string

//go:embed scripts/list.lua
var listText string

//go:embed scripts/queue.lua
var queueText string

//go:embed scripts/places.lua
var placesText string

//go:embed scripts/sweep.lua
var sweepText string

//go:embed scripts/about.lua
var aboutText string

var (
	commitScript = newScript(writes, wakesText, commitText)
	freeScript   = newScript(frees, wakesText, commitText) // commits that only delete or release
	claimScript  = newScript(frees, wakesText, claimText)  // else executions that would free memory could not be claimed
	peekScript   = newScript(reads, peekText)
	renewScript  = newScript(frees, renewText)
	getScript    = newScript(reads, getText)
	listScript   = newScript(reads, listText)
	queueScript  = newScript(reads, queueText)
	placesScript = newScript(reads, placesText)
	sweepScript  = newScript(frees, sweepText)
	aboutScript  = newScript(writes, aboutText)
)

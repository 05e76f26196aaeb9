package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strings"
)

// script is one Lua script. Redis names it by the hash of its text, so that a process with another version of it and this
// one do not get in each other's way.
type script struct {
	text string
	sha  string
}

// What Redis needs to know of a script before it runs: one that only reads runs when memory is full and needs no
// persistence; one that only frees memory runs when it is full; any other is then refused as a whole.
const (
	writes = "#!lua\n"
	reads  = "#!lua flags=no-writes\n"
	frees  = "#!lua flags=allow-oom\n"
)

func newScript(flags string, parts ...string) *script {
	text := flags + strings.Join(parts, "\n")
	sum := sha1.Sum([]byte(text)) //nolint:gosec // it is how Redis names scripts
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
	freeScript   = newScript(frees, wakesText, commitText) // commits that delete or release and write nothing
	claimScript  = newScript(frees, wakesText, claimText)  // or nobody could finish what is to be freed
	peekScript   = newScript(reads, peekText)
	renewScript  = newScript(frees, renewText)
	getScript    = newScript(reads, getText)
	listScript   = newScript(reads, listText)
	queueScript  = newScript(reads, queueText)
	placesScript = newScript(reads, placesText)
	sweepScript  = newScript(frees, sweepText)
	aboutScript  = newScript(writes, aboutText)
)

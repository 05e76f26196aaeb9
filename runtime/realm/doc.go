// Package realm is the edge to the downstream MCP servers. It is the one place, beside package server, that knows mcp-go,
// and the one place where a failed call is classified as not run, run and failed, or unknown (classify.go).
//
//	Pool ── one realm per key of mcpServers ── at most one live conn ── transport
//	                                                                    ├ pipe    stdio: our own over a process (process.go)
//	                                                                    ├ http    mcp-go's streamable HTTP, behind http.go
//	                                                                    └ sse     mcp-go's legacy SSE, behind http.go
//
// A realm is owned by one goroutine (realm.go), which Pool.Run starts: it alone connects, lists the tools, notices the
// end and connects again. A call only reads the current conn from an atomic pointer; where there is none it asks the owner
// for one and waits. A conn is shared by all calls; no call ever closes it.
//
//	idle ──first use──▶ starting ──ok──▶ ready ──process died, stream lost──▶ broken ──backoff or next use──▶ starting
//	                       └──────failed, too slow──────────────────────────────▲
//
// Calls do not go through mcp-go's Client.CallTool: it decodes numbers into float64 and drops the keywords of schemas it
// does not know. The handshake is its own; tools/call and tools/list are written and read here as raw JSON.
//
// The stdio transport is not mcp-go's either. Ours knows for each call whether a byte of it was written, which decides
// between "not run" and "unknown"; it reads lines with a cap; it never blocks on a child that does not read; and it puts
// the calls that wait for the pipe into one write.
//
// # What a realm may do to us
//
// Nothing, in short; SECURITY items R1 to R14 and D1 to D7 are tests of these names. What reaches mcp-go passes roundtrip.go
// and events.go first, which let nothing out to another host and no answer in that nobody waits for. Texts are cleaned and
// flagged (sanitise.go) before a model sees them. A silent realm is probed (probe.go), which shows in its health and changes
// nothing else. Children live in groups (groups.go) that a guardian ends when we die, and the next start when it died too
// (record_linux.go).
//
// # Another configuration
//
// Pool.Reload (reload.go) swaps the members of the pool at once: new calls see the new ones. A realm that leaves takes no
// more calls, has those under way finish within a grace, and is ended; a call that came too late looks its realm up again.
package realm

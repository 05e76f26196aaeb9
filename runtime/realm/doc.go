// Package realm connects to the downstream MCP servers, the realms. It owns their processes and connections, the catalogs of their tools,
// and the classification of failed calls as not run, run and failed, or unknown (classify.go). Package main makes the [Pool], which package
// capability calls as its hook Realms: it is the innermost call.Invoker, and its [Catalog] is a plan.Catalog. It calls the hooks
// [CatalogCache], Call.BeforeSend and Call.Progress. Only this package and package server use mcp-go.
//
//	Pool ── one realm per key of mcpServers ── at most one live conn ── transport
//	                                                                    ├ pipe    stdio: our own, over a process (process.go)
//	                                                                    ├ http    mcp-go's streamable HTTP, with http.go
//	                                                                    └ sse     mcp-go's legacy SSE, with http.go
//
// A realm is owned by one goroutine (realm.go), which Pool.Run starts: only it connects, lists the tools, detects the end of
// the connection and connects again. A call only reads the current conn from an atomic pointer; if there is none it requests a
// start from the owner and waits. A conn is shared by all calls, and no call closes it.
//
//	idle ──first use──▶ starting ──ok──▶ ready ──process died, stream lost──▶ broken ──backoff or next use──▶ starting
//	                       └──────failed, too slow──────────────────────────────▲
//
// Calls do not use mcp-go's Client.CallTool, which decodes numbers into float64 and drops keywords of schemas that it does not
// know. The handshake is mcp-go's; tools/call and tools/list are written and read here as raw JSON.
//
// The stdio transport is not mcp-go's either. Ours records for each call whether a byte of it was written, which decides
// between "not run" and "unknown"; it limits the length of lines; it never blocks on a child that does not read; and it writes
// the calls that wait for the pipe together.
//
// # Malicious and broken realms
//
// A realm must not be able to harm the runtime; liar_test.go and process_test.go have the attacks. HTTP passes
// roundtrip.go and events.go before mcp-go, which send nothing to another host and drop answers that no request waits for.
// Texts are cleaned and flagged (sanitise.go) before a model sees them. A silent realm is probed (probe.go), which only affects
// its health. Children are in process groups (groups.go) that a guardian process ends if the runtime dies, or the next start if
// the guardian died too (record_linux.go). Helpers that have left their group are ended with their child, by the mark in their
// environment (marked_linux.go).
//
// # Reloading the configuration
//
// Pool.Reload (reload.go) replaces the members of the pool at once: new calls use the new ones. A removed realm takes no more
// calls, lets those in flight finish within a grace period, and is ended; a call that gets it too late looks its realm up again.
package realm

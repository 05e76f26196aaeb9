// Package caller is who asks, and how far the request has come: the principal and the number of runtimes that a request has passed
// travel in the context of everything done on its behalf. It owns no record and no goroutine. Everything above it may read both;
// the edges (server, cmd) set them. It calls no hook.
package caller

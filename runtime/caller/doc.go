// Package caller carries who makes a request, and how far the request has come: the principal and the number of runtimes that passed
// it on travel in the context of everything done on its behalf. It owns no records and no goroutines. The edges (server, cmd) set
// both; every room may read them. It calls no hooks.
package caller

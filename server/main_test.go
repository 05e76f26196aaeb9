package server

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// Nothing that the tests started, and so nothing of the server, is left running.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(closer{m})
}

type closer struct{ m *testing.M }

func (c closer) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return c.m.Run()
}

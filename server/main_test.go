package server

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// No goroutine that the tests, and so the server, started is left running.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(closer{m})
}

type closer struct{ m *testing.M }

func (c closer) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return c.m.Run()
}

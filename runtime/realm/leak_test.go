package realm

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runplane/runplane/schemas"
)

// TestNothingOutlivesRun ends a pool during calls, on every transport.
func TestNothingOutlivesRun(t *testing.T) {
	r, h := newRemote(), &host{}
	h.start(t, r.handler)
	defer h.stop()
	base := "http://" + h.addr
	for name, realm := range map[string]schemas.Realm{
		"stdio":         server("flaky"),
		"hung":          server("slow", "-hang-at-initialize"),
		"absent":        {Command: "no-such-command-here"},
		"http":          {URL: base + "/mcp"},
		"sse":           {Type: "sse", URL: base + "/sse"},
		"refused":       {URL: "http://127.0.0.1:1/mcp"},
		"refused again": {Disabled: true, URL: "http://127.0.0.1:1/mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			p := newPool(t, Config{Realms: realms("r", realm)})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx) }()
			if name == "stdio" || name == "http" || name == "sse" {
				mustInvoke(t, p, "r", "echo", `{}`)
				calling, stop := context.WithTimeout(ctx, 20*time.Millisecond)
				if _, err := p.Invoke(calling, ask("r", map[bool]string{true: "hang", false: "sleep"}[name == "stdio"], `{}`)); err == nil {
					t.Error("a call that hangs returned")
				}
				stop()
			}
			cancel()
			if err := await(t, ended); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve")) // the remote's own
		})
	}
}

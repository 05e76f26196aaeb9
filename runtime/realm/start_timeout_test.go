package realm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// A realm's own start_timeout replaces the one for all, in both directions, on stdio and for an SSE server that never names its endpoint.
func TestStartTimeoutOfARealm(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer ts.Close()
	own := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"hung": {StartTimeout: schemas.Duration(300 * time.Millisecond)}}}
	for name, spec := range map[string]schemas.Realm{
		"stdio": realms("hung", server("slow", "-hang-at-initialize"))["hung"],
		"sse":   {Type: "sse", URL: ts.URL + "/sse?key=hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, Config{Limits: Limits{StartTimeout: time.Hour}, Policies: own, Realms: realms("hung", spec)})
			_, err := invoke(t, p, "hung", "x", `{}`)
			e := wantError(t, err, schemas.CodeUnavailable, schemas.NotRun, "did not finish its start within 300ms")
			if !strings.Contains(e.Hint, "policies.realms.hung.start_timeout, or limits.start_timeout") || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("the cure is %q of %v", e.Hint, e)
			}
		})
	}
	slow := schemas.Policies{Realms: map[string]schemas.RealmPolicy{"good": {StartTimeout: schemas.Duration(time.Minute)}}}
	p := run(t, Config{Limits: Limits{StartTimeout: time.Nanosecond}, Policies: slow, Realms: realms("good", server("flaky"))})
	mustInvoke(t, p, "good", "echo", `{}`)
}

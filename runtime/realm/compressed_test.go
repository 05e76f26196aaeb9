package realm

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A realm answers with few bytes that are very many once they are decompressed: the limit is of those, and the next call works.
func TestCompressedAnswersAreBounded(t *testing.T) {
	for name, form := range map[string]struct{ contentType, before, after string }{
		"a body":     {"application/json", "", ""},
		"an event":   {"text/event-stream", "data: ", "\n\n"},
		"open event": {"text/event-stream", "data: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &legacyScript{refuse: 404}
			s.session.Store(1)
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				if !strings.Contains(string(body), `"bomb":true`) || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					r.Body = io.NopCloser(bytes.NewReader(body))
					s.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", form.contentType)
				w.Header().Set("Content-Encoding", "gzip")
				z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
				fmt.Fprint(z, form.before, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`)
				for text := bytes.Repeat([]byte("x"), 1<<20); r.Context().Err() == nil; {
					if _, err := z.Write(text); err != nil {
						return // it was cut off
					}
				}
			}))
			defer ts.Close()
			limits := quick
			limits.MaxMessage = 2 << 20
			p := run(t, Config{Realms: realms("r", schemas.Realm{URL: ts.URL}), Limits: limits})
			_, err := invoke(t, p, "r", "go", `{"bomb":true}`)
			if e := schemas.AsError(err); e.Code != schemas.CodePayloadTooLarge {
				t.Errorf("got %v", err)
			}
			mustInvoke(t, p, "r", "go", `{}`)
		})
	}
}

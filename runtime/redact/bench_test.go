package redact

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkJSON is an ordinary answer of a realm, with the secrets of a dozen realms known.
func BenchmarkJSON(b *testing.B) {
	var s Secrets
	for i := range 12 {
		s.Named(map[string]string{fmt.Sprintf("API_KEY_%d", i): fmt.Sprintf("sk-%dabcDEF0123456789ghiJKL%d", i, i), "DB_PASSWORD": fmt.Sprintf("hunter-%d-horse", i)})
	}
	r := New()
	r.Add(&s)
	raw := json.RawMessage(`{"content":[{"type":"text","text":"` + strings.Repeat(`order 17 of shop.example.com is paid, `, 15) + `"}],"isError":false}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r.JSON(raw)
	}
}

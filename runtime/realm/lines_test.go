package realm

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestLinesWithinTheLimitAreReturned(t *testing.T) {
	long := strings.Repeat("y", 200_000) // more than the buffer
	l := newLineReader(strings.NewReader("one\r\n\n"+long+"\nlast"), 1<<20)
	for _, want := range []string{"one", "", long, "last"} {
		line, skipped, err := l.next()
		if string(line) != want || skipped != nil || err != nil {
			t.Fatalf("got %.20q (%d bytes), %v, %v; want %.20q", line, len(line), skipped, err, want)
		}
	}
	if _, _, err := l.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
}

func TestLongLinesAreSkippedWithTheirID(t *testing.T) {
	filler := strings.Repeat("z", 300_000)
	for _, tt := range []struct {
		name, line string
		id         int64
		ok         bool
	}{
		{"id first", `{"jsonrpc":"2.0","id":12,"result":{"a":"` + filler + `"}}`, 12, true},
		{"id first, spaced", `{ "id": 13, "result": "` + filler + `"}`, 13, true},
		{"id last", `{"result":{"a":"` + filler + `"},"jsonrpc":"2.0","id":14}`, 14, true},
		{"an id within the text is none", `{"result":{"a":"` + filler + `","id":15}}`, 0, false},
		{"an escaped id is none", `{"result":"` + filler + `\"},\"id\":16}"}`, 0, false},
		{"no JSON", filler, 0, false},
	} {
		for _, limit := range []int{1000, 100_000} {
			l := newLineReader(strings.NewReader(tt.line+"\nnext\n"), limit)
			line, skipped, err := l.next()
			if limit == 1000 && len(tt.line) > endlessFactor*limit {
				if !errors.Is(err, errEndless) {
					t.Errorf("%s: %d bytes with a limit of %d end with %v", tt.name, len(tt.line), limit, err)
				}
				continue
			}
			if err != nil || line != nil || skipped == nil || skipped.id != tt.id || skipped.hasID != tt.ok {
				t.Errorf("%s: got %.20q, %+v, %v", tt.name, line, skipped, err)
				continue
			}
			if line, _, _ := l.next(); string(line) != "next" {
				t.Errorf("%s: then comes %.20q", tt.name, line)
			}
		}
	}
}

func TestALineJustOverTheLimitIsSkipped(t *testing.T) {
	for _, size := range []int{99, 100, 101} {
		line := fmt.Sprintf(`{"id":1,"result":"%s"}`, strings.Repeat("x", size-len(`{"id":1,"result":""}`)))
		_, skipped, err := newLineReader(strings.NewReader(line+"\n"), 100).next()
		if got, want := skipped != nil, size >= 100; got != want || err != nil {
			t.Errorf("a line of %d and its end: skipped %t, %v", size, got, err)
		}
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nb\n"), 3)
	f.Add([]byte(`{"id":1,"result":"xxxxxxxxxxxxxx"}`+"\n"), 8)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		if limit < 1 || limit > 1<<16 {
			t.Skip()
		}
		l := newLineReader(strings.NewReader(string(data)), limit)
		for range len(data) + 2 {
			line, _, err := l.next()
			if len(line) > limit {
				t.Fatalf("a line of %d bytes with a limit of %d", len(line), limit)
			}
			if err != nil {
				return
			}
		}
		t.Fatal("no end")
	})
}

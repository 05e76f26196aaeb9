package schemas

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// A message does not repeat all that a caller or a realm sent.
func TestMessagesCutLongTexts(t *testing.T) {
	long := strings.Repeat("é\u202e", 50_000)
	for _, format := range []string{"no execution %q", "pointer %q: bad", "realm %s failed", "%.80q and more", "it says %v"} {
		for _, arg := range []any{long, errors.New(long)} {
			if _, isError := arg.(error); isError && strings.Contains(format, "q") {
				continue
			}
			e := Errorf(CodeNotFound, format, arg).WithHint(format, arg).WithField("/" + long)
			for _, text := range []string{e.Message, e.Hint, e.Field} {
				limit := maxMessageText + 100
				if strings.Contains(format, "q") {
					limit = 2000
				}
				if len(text) > limit || !utf8.ValidString(text) || text == "" {
					t.Errorf("%s gives %d bytes: %.100q", format, len(text), text)
				}
			}
		}
	}
	if got, want := Errorf(CodeNotFound, "%s %q %d %5s|", "a", "b", 3, "c").Message, `a "b" 3     c|`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Errorf(CodeNotFound, "%.3s and %q", strings.Repeat("x", 500), strings.Repeat("y", 500)).Message; !strings.HasPrefix(got, `xxx and "yyy`) || len(got) > 230 {
		t.Errorf("got %q", got)
	}
	args := []any{long}
	Format("%q", args...)
	if args[0] != long {
		t.Error("the caller's arguments were changed")
	}
}

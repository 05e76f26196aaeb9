package realm

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanRemovesHiddenCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		"two\nlines\tand a tab":   "two\nlines\tand a tab",
		"a\u200bb\u200dc\ufeffd":  "abcd",
		"\x1b[31mred\x1b[0m":      "red",
		"\x1b]0;title\x07text":    "text",
		"bell\x07 and \x00nul":    "bell and nul",
		"turn\u202eed":            "turned",
		"tag\U000e0041\U000e0042": "tag",
		"grüße 漢字":                "grüße 漢字",
		"bad\xffutf8":             "badutf8",
	} {
		if got := clean(in, 100); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean(strings.Repeat("ü", 1000), 101); len(got) > 101 || !utf8.ValidString(got) || !strings.HasSuffix(got, "(cut)") {
		t.Errorf("a long text becomes %q", got)
	}
}

func TestCleanJSONKeepsDigitsAndHarmlessBytes(t *testing.T) {
	harmless := json.RawMessage(`{"b": 1, "a": "grün"}`)
	if got := cleanJSON(harmless, 100); string(got) != string(harmless) {
		t.Errorf("got %s", got)
	}
	for in, want := range map[string]string{
		`{"n":12345678901234567890,"d":"x\u200by"}`: `{"d":"xy","n":12345678901234567890}`,
		"[\"x\u200by\", {\"k\":\"\\u001b[1mz\"}]":   `["xy",{"k":"z"}]`,
	} {
		if got := cleanJSON(json.RawMessage(in), 100); string(got) != want {
			t.Errorf("cleanJSON(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestPrintableIsOneSafeLine(t *testing.T) {
	if got, want := printable([]byte("a\r\nb\x1b[2Jc\td\u200b"), 100), `a\u000d\u000ab\u001b[2Jc d\u200b`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := printable([]byte(strings.Repeat("x", 50)), 10); got != "xxxxxxxxxx…" {
		t.Errorf("got %s", got)
	}
}

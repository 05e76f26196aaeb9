package schemas

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTextIsCleanedAndCut(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"plain text keeps its lines", Clean("a\n\tb"), "a\n\tb"},
		{"colours and hidden characters go", Clean("\x1b[31mred\x1b[0m\u200b \U000e0041text\xff"), "red text"},
		{"escapes alone", WithoutEscapes("\x1b]0;title\x07a\u200b"), "a\u200b"},
		{"one line", OneLine(" a\r\n\tb \x1b[1mc\x07 "), "a b c"},
		{"first line", FirstLine("a\nb\nc"), "a"},
		{"first line of one", FirstLine("a"), "a"},
		{"short enough", Cut("abc", 3, Ellipsis), "abc"},
		{"cut with its mark within the limit", Cut("abcdefgh", 6, Ellipsis), "abc…"},
		{"cut between characters", Cut("aéééé", 7, Ellipsis), "aé…"},
		{"cut without a mark", Cut("ééé", 3, ""), "é"},
		{"limit below the mark", Cut("abcdef", 2, Ellipsis), "…"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	for _, r := range "a\n\té…" {
		if Hidden(r) {
			t.Errorf("%q is hidden", r)
		}
	}
	if long := Cut(strings.Repeat("é", 100), 61, Ellipsis); len(long) > 61 {
		t.Errorf("cut to 61 bytes gives %d", len(long))
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"pay 10 €\n\tnow":        "pay 10 €\n\tnow",
		"pay \u202e01\u202c":     `pay \u202e01\u202c`,
		"a\u200bb\x1b[2Jc\x00\r": `a\u200bb\u001b[2Jc\u0000\u000d`,
		"x\xff\ufffd":            `x\xff\ufffd`,
		"tag \U000e0041":         `tag \U000e0041`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := VisibleLine("a\r\n\tb \u2028c"), `a b \u2028c`; got != want {
		t.Errorf("VisibleLine is %q, want %q", got, want)
	}
	if got, want := Quote("ab\"\u202e"+strings.Repeat("x", 100), 12), `"ab\"\u202exxx…"`; got != want {
		t.Errorf("Quote is %s, want %s", got, want)
	}
}

func TestEscapeHidden(t *testing.T) {
	for _, s := range []string{"plain\n\t€", "pay \u202e01\u202c", "\x1b[2J\u009b\u2028\ufeff\u00ad", "tag \U000e0041 \U0001f469\u200d\U0001f4bb", `\u202e`, "x\ufffd"} {
		doc, err := Encode(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		got := EscapeHidden(append(doc, '\n'))
		if HasHidden(string(got)) {
			t.Errorf("%q has hidden characters", got)
		}
		var back map[string]string
		if err := json.Unmarshal(got, &back); err != nil || back[s] != s {
			t.Errorf("%q becomes %q: %v", s, back, err)
		}
	}
}

package schemas

import (
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

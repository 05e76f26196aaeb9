package schemas

import (
	"slices"
	"strings"
	"testing"
)

func TestNearestSuggestsWhatWasMeant(t *testing.T) {
	names := []string{"get_order", "list_orders", "refund", "find_refund", "void_refund", "send_mail", "echo"}
	for _, tt := range []struct {
		word  string
		limit int
		want  []string
	}{
		{"get_ordre", 3, []string{"get_order"}},
		{"get-order", 3, []string{"get_order"}},
		{"ECHO", 3, []string{"echo"}},
		{"ehco", 3, []string{"echo"}},
		{"refunds", 3, []string{"refund"}},
		{"refund", 2, []string{"refund", "find_refund"}},
		{"order", 5, []string{"get_order", "list_orders"}},
		{"zzz", 3, nil},
		{"", 3, nil},
		{"echo", 0, nil},
		{strings.Repeat("e", 1000), 3, nil},
	} {
		if got := Nearest(tt.word, names, tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("Nearest(%.20q, %d) = %q, want %q", tt.word, tt.limit, got, tt.want)
		}
	}
}

func TestNearestListsEachNameOnce(t *testing.T) {
	if got := Nearest("ecoh", []string{"echo", "echo", "echo"}, 3); !slices.Equal(got, []string{"echo"}) {
		t.Errorf("got %q, want echo once", got)
	}
}

func TestEditDistanceCountsASwapOnce(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"serach", "search", 1}, {"kitten", "sitting", 3}, {"ä", "a", 1}} {
		if got := editDistance([]rune(tt.a), []rune(tt.b)); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

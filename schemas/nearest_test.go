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

func TestMisspelt(t *testing.T) {
	for name, words := range map[string][]string{
		"when": {"whem", "wen", "When"}, "wait_for": {"waitfor", "wait-for", "wait_fro"}, "retries": {"retires"}, "depends_on": {"depend_on", "dependsOn"},
		"max_interval": {"max_intervall"}, "idempotent": {"idempotant"}, "review": {"reviewed", "reveiw"},
	} {
		for _, word := range words {
			if !Misspelt(word, name) {
				t.Errorf("%s is not taken for %s", word, name)
			}
		}
	}
	for name, words := range map[string][]string{
		"when":       {"skip_when", "not_when", "when_not", "fail_when", "then"},
		"depends_on": {"depends_on_any", "not_depends_on"}, "compensate": {"no_compensate"}, "retry_on": {"retry_on_not", "no_retry_on"},
		"max_interval": {"min_interval"}, "max_items": {"min_items"}, "idempotent": {"non_idempotent", "not_idempotent"}, "retry": {"no_retry"},
		"normal": {"not_normal"}, "all_success": {"not_all_success", "one_success", "none_success"}, "one_failed": {"all_failed"}, "fail": {"dont_fail"},
		"timeout": {"min_timeout", "soft_timeout"}, "set_order": {"get_order"}, "lock": {"unlock", "block"}, "import_file": {"export_file"},
		"include": {"exclude"}, "attach": {"detach"}, "var1": {"var2"}, "order_1": {"order_2", "order_11"}, "increase": {"decrease"},
		"disable": {"enable"}, "from": {"to"}, "on": {"off"}, "encrypt": {"decrypt"},
	} {
		for _, word := range words {
			if Misspelt(word, name) {
				t.Errorf("%s is taken for %s", word, name)
			}
		}
	}
}

package safety

import "testing"

func TestReviewIDsAreTakenApart(t *testing.T) {
	for id, want := range map[string]question{
		"01J/ask/4":     {"01J/ask/4", "01J", "ask", 4},
		"01J/pay[3]/12": {"01J/pay[3]/12", "01J", "pay[3]", 12},
	} {
		if q, ok := parseReviewID(id); !ok || q != want {
			t.Errorf("%q: %+v %v, want %+v", id, q, ok, want)
		}
	}
	for _, id := range []string{"", "01J", "01J/ask", "01J/ask/", "01J/ask/0", "01J/ask/-4", "01J/ask/+4", "01J/ask/04", "01J/ask/4x", "01J/ask/4/5"} {
		if q, ok := parseReviewID(id); ok {
			t.Errorf("%q is taken for %+v", id, q)
		}
	}
}

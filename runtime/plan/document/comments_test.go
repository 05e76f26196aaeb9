package document

import "testing"

func TestBlankedCommentsKeepPositions(t *testing.T) {
	for in, want := range map[string]string{
		"{\"a\": \"//x\"} // y\n1": "{\"a\": \"//x\"}     \n1",
		`{"a\"//": 1}`:             `{"a\"//": 1}`,
		"/* a\n b */{}":            "    \n     {}",
		"{} /* open":               "{}        ",
		"/":                        "/",
		`"\`:                       `"\`,
	} {
		got := []byte(in)
		blankComments(got)
		if string(got) != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

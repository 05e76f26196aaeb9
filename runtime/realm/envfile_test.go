package realm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvFiles(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       map[string]string
	}{
		{"plain", "A=1\nB = two words \n\n# C=3\n  D=4", map[string]string{"A": "1", "B": "two words", "D": "4"}},
		{"export", "export A=1\nexport\tB=2\nexported=3\n", map[string]string{"A": "1", "B": "2", "exported": "3"}},
		{"another separator", "A: 1\nB: http://h/x\nC=http://h\n", map[string]string{"A": "1", "B": "http://h/x", "C": "http://h"}},
		{"quotes", "A=\"a b\"\nB='c \"d\"'\nC=`e 'f'`\nD=\"\"\nE=", map[string]string{"A": "a b", "B": `c "d"`, "C": "e 'f'", "D": "", "E": ""}},
		{"escapes", `A="a\nb\t\"c\" \\"` + "\n" + `B='a\nb'` + "\n", map[string]string{"A": "a\nb\t\"c\" \\", "B": `a\nb`}},
		{"several lines", "KEY=\"-----BEGIN\nabc=#\n-----END\" # the key\nB='x\n\ny'\nC=1\n", map[string]string{"KEY": "-----BEGIN\nabc=#\n-----END", "B": "x\n\ny", "C": "1"}},
		{"comments", "A=1 # one\nB=\"2 # two\" # two\nC= # none\n#D=4\n", map[string]string{"A": "1", "B": "2 # two", "C": ""}},
		{"from Windows", "\ufeffA=1\r\nB=\"2\"\r\n", map[string]string{"A": "1", "B": "2"}},
		{"signs", "A=a=b==\nB=it's\nC=$A ${A}\nD.x-y=1", map[string]string{"A": "a=b==", "B": "it's", "C": "$A ${A}", "D.x-y": "1"}},
		{"the last one counts", "A=1\nA=2", map[string]string{"A": "2"}},
	} {
		got := map[string]string{}
		if err := readEnvFile(envFileOf(t, tt.text), got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// An error names the line and shows nothing of it.
func TestEnvFilesThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"A=1\nhunter2\n":                   ":2: want NAME=value",
		"A=\"x\ny\"\nhunter2 3=4":          ":3: want NAME=value",
		"A=1\nB=\"hunter2\nC=2\n":          ":2: the quotes around the value do not end",
		"A=hunter2#x":                      ":1: programs disagree whether # begins a comment",
		"A='hunter2'x":                     ":1: something follows the quotes",
		"A=\"hunter2\nB=\"x\"\n":           ":1: the quotes around the value do not end on their line",
		strings.Repeat("A=hunter2\n", 1e6): "the most is",
	} {
		err := readEnvFile(envFileOf(t, text), map[string]string{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
}

func envFileOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

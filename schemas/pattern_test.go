package schemas

import (
	"errors"
	"strings"
	"testing"
)

func TestPatternsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		large   bool
	}{
		{`^[a-z][a-z0-9_]{0,62}$`, false},
		{`^(?:\d{4}-\d{2}-\d{2})T(?:\d{2}:){2}\d{2}(?:\.\d+)?Z$`, false},
		{`^\p{L}+(?: \p{L}+)*$`, false},
		{`a{400}`, false},
		{`(x?){500}(x?){400}y`, true},
		{`((x{10}y{10}z{10}){33})*`, true},
		{`(((x{300})*)+){2,}`, true},
		{`a{1000}`, true},
		{strings.Repeat(`\pL\pN`, 60), true},
		{strings.Repeat("a", 5000), true},
		{strings.Repeat("(a|b)", 300), true},
		{strings.Repeat("(", 1500) + strings.Repeat(")", 1500), true},
	} {
		p, err := CompilePattern(tt.pattern)
		if errors.Is(err, ErrPatternSize) != tt.large || err != nil && !tt.large {
			t.Errorf("%.40s: got %v, want too large %v", tt.pattern, err, tt.large)
		}
		if err == nil && (p.Size() < 1 || p.Size() > MaxPattern) {
			t.Errorf("%.40s: size %d", tt.pattern, p.Size())
		}
	}
	for _, bad := range []string{"(", strings.Repeat("(", 900), "[" + strings.Repeat("a", 3000)} {
		if _, err := CompilePattern(bad); err == nil || errors.Is(err, ErrPatternSize) || len(err.Error()) > 200 {
			t.Errorf("%.40s: %v", bad, err)
		}
	}
}

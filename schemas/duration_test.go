package schemas

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration
		err  string // part of the message; empty: none
	}{
		{in: "500ms", want: 500 * time.Millisecond},
		{in: "1h30m", want: 90 * time.Minute},
		{in: " 30s ", want: 30 * time.Second},
		{in: "1.5h", want: 90 * time.Minute},
		{in: "0", want: 0},
		{in: "0s", want: 0},
		{in: "2d", want: 48 * time.Hour},
		{in: "2d12h", want: 60 * time.Hour},
		{in: "PT30S", want: 30 * time.Second},
		{in: "PT1.5S", want: 1500 * time.Millisecond},
		{in: "PT1H30M", want: 90 * time.Minute},
		{in: "P1DT12H", want: 36 * time.Hour},
		{in: "P2D", want: 48 * time.Hour},
		{in: "", err: "empty duration"},
		{in: "30", err: `write "30s"`},
		{in: "1.5", err: `write "1.5s"`},
		{in: "-5", err: "no unit"},
		{in: "-5s", err: "negative"},
		{in: "5 minutes", err: "invalid duration"},
		{in: "P", err: "ISO 8601"},
		{in: "PT", err: "ISO 8601"},
		{in: "P1M", err: "no months"},
		{in: "P1Y", err: "no months"},
		{in: "36500d", want: maxDays * 24 * time.Hour},
		{in: "36500d1ns", err: "longer than 36500 days"},
		{in: "36500d2562047h", err: "longer than 36500 days"},
		{in: "99999d", err: "longer than 36500 days"},
		{in: "P99999D", err: "longer than 36500 days"},
		{in: "99999999999999999999d", err: "longer than"},
		{in: "1d-2d", err: "invalid duration"},
	} {
		got, err := ParseDuration(tt.in)
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("ParseDuration(%q): %v", tt.in, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", tt.in, got, err, tt.err)
		case got.Std() != tt.want:
			t.Errorf("ParseDuration(%q) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestDurationJSON(t *testing.T) {
	for in, want := range map[string]string{
		`"90m"`: `"1h30m"`, `"PT30S"`: `"30s"`, `"1h"`: `"1h"`, `"1h0m5s"`: `"1h0m5s"`, `"0"`: `"0s"`, `"1500us"`: `"1.5ms"`, `"20m"`: `"20m"`,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(in), &d); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if got, _ := json.Marshal(d); string(got) != want {
			t.Errorf("%s prints as %s, want %s", in, got, want)
		}
	}
	for in, hint := range map[string]string{`30`: `write "30s"`, `1.5`: `write "1.5s"`, `"30"`: `write "30s"`, `true`: "a string", `{}`: "a string"} {
		var d Duration
		if err := json.Unmarshal([]byte(in), &d); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: got %v, want an error with %q", in, err, hint)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"500ms", "1h30m", "2d12h", "PT30S", "P1DT12H", "-1s", "5", "36500d23h", "P36500D", "2562047h47m16s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q gives the negative %v", s, d)
		}
		again, err := ParseDuration(d.String())
		if err != nil || again != d {
			t.Fatalf("%q prints as %q, which reads as %v, %v", s, d, again, err)
		}
	})
}

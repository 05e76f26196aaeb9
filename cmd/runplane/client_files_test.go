package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runplane/runplane/schemas"
)

//go:generate go test . -run ^TestClientFiles -update

// TestClientFiles loads files as clients write them. Whatever describes a server that can be reached is a realm; whatever cannot be used
// has its sentence and takes no other realm down.
func TestClientFiles(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/clients.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range archive.Files {
		number, path, _ := strings.Cut(f.Name, " ")
		c, err := clientFile(path, string(f.Data), "SET=value", "RUNPLANE_INPUT_ANSWERED=given").load(t)
		fmt.Fprintf(&got, "%s %s\n", number, path)
		if err != nil {
			fmt.Fprintf(&got, "  error    %s\n", schemas.AsError(err).Message)
		}
		for _, name := range slices.Sorted(maps.Keys(c.MCPServers)) {
			fmt.Fprintf(&got, "  %-8s %s\n", name, describeRealm(c.MCPServers[name]))
		}
		for _, w := range c.Warnings {
			fmt.Fprintf(&got, "  warning  %s\n", w)
		}
		for _, n := range c.Notes {
			fmt.Fprintf(&got, "  note     %s\n", n)
		}
	}
	const golden = "testdata/clients.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func describeRealm(r schemas.Realm) string {
	switch {
	case r.Disabled:
		return "disabled"
	case r.Broken != nil:
		return "broken: " + r.Broken.Message
	}
	var b strings.Builder
	if fmt.Fprint(&b, r.Type); r.URL != "" {
		fmt.Fprintf(&b, " %s", r.URL)
	} else {
		fmt.Fprintf(&b, " %q", append([]string{r.Command}, r.Args...))
	}
	for _, part := range []struct {
		name string
		of   map[string]string
	}{{"env", r.Env}, {"header", r.Headers}} {
		for _, name := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, " %s %s=%q", part.name, name, part.of[name])
		}
	}
	if r.Cwd != "" {
		fmt.Fprintf(&b, " cwd %s", r.Cwd)
	}
	if r.EnvFile != "" {
		fmt.Fprintf(&b, " envFile %s", r.EnvFile)
	}
	return strings.TrimSpace(b.String())
}

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/runplane/runplane"

// layers is who may import whom: cmd → server → tools → runtime → store, and schemas under all but store. A package
// belongs to the layer of its first folder; parts of one layer may import each other, but for those in pure and edges.
var layers = map[string][]string{
	"cmd":     {"server", "tools", "runtime", "store", "schemas"},
	"server":  {"tools", "runtime", "schemas"},
	"tools":   {"runtime", "schemas"},
	"runtime": {"store", "schemas"},
	"schemas": {},
	"store":   {},
}

// rooms is who may import whom below runtime: a lower room knows nothing of a higher one, and calls hooks instead. A room
// may import the rooms that its row names, each of which has a row above its own. Every package below runtime has a row.
var rooms = []struct {
	name string
	may  []string
}{
	{"caller", nil},
	{"telemetry", nil},
	{"schedule", nil},
	{"plan", nil},
	{"budget", nil},
	{"units", nil},
	{"machine", []string{"plan", "budget", "units"}},
	{"call", nil},
	{"redact", nil},
	{"realm", []string{"caller", "plan", "call", "redact"}},
	{"records", []string{"caller"}},
	{"answers", []string{"caller", "records"}},
	{"session", []string{"caller", "records"}},
	{"state", []string{"caller", "records", "session"}},
	{"capability", []string{"caller", "plan", "machine", "call", "records", "session"}},
	{"journal", []string{"caller", "plan", "units", "machine", "records", "session", "state"}},
	{"queue", []string{"caller", "records", "journal"}},
	{"engine", []string{"caller", "telemetry", "plan", "budget", "units", "machine", "call", "records", "session", "state", "capability", "journal", "queue"}},
	{"upkeep", []string{"records", "state", "journal"}},
	{"safety", []string{"plan", "machine", "records", "journal", "engine"}},
	{"workflow", []string{"caller", "schedule", "plan", "records", "state", "capability", "journal", "engine"}},
	{"health", []string{"records", "session", "capability", "journal", "engine", "upkeep"}},
	{"", []string{ // runtime itself, where the rooms meet
		"caller", "telemetry", "call", "records", "answers", "session", "state", "capability", "journal", "queue", "engine", "upkeep", "safety", "workflow", "health",
	}},
}

// fences keeps a library at the edge that it was chosen for: import path prefix to the packages that may name it.
var fences = map[string][]string{
	"github.com/mark3labs/mcp-go": {"server", "runtime/realm"},
	"github.com/redis/go-redis":   {"store/redis"},
	"github.com/go-redis":         {"store/redis"},
	"go.etcd.io/bbolt":            {"store/bolt"},
	"cel.dev/cel-go":              {"runtime/plan/expr"},
	"github.com/goccy/go-yaml":    {"runtime/plan/document"},
	"github.com/robfig/cron":      {"runtime/schedule"},
	"github.com/spf13/cobra":      {"cmd/runplane"},
}

// pure packages decide and do nothing else: what they know is passed to them. Those that evaluate, parse and check what callers send take
// a context, so that their work can be interrupted.
var pure = map[string][]string{
	"runtime/machine":  {"context", "net", "net/http", "os", "os/exec", "sync", "sync/atomic", module + "/store"},
	"runtime/units":    {"context", "net", "net/http", "os", "os/exec", "sync", "sync/atomic", module + "/store"},
	"runtime/budget":   {"context", "net", "net/http", "os", "os/exec", "sync", "sync/atomic", module + "/store"},
	"runtime/plan":     {"net", "net/http", "os", "os/exec", module + "/store"},
	"runtime/schedule": {"context", "net", "net/http", "os", "os/exec", "sync", "sync/atomic", module + "/store"},
	"schemas":          {"net", "net/http", "os", "os/exec"},

	// The rooms below plan know nothing of it.
	"runtime/plan/expr":     {"net", "net/http", "os", "os/exec", module + "/store", module + "/runtime/plan"},
	"runtime/plan/document": {"net", "net/http", "os", "os/exec", module + "/store", module + "/runtime/plan", module + "/runtime/plan/expr"},
}

// hollow names say nothing of what is inside.
var hollow = []string{"util", "utils", "common", "types", "models", "mock", "mocks", "helpers", "internal", "pkg"}

func TestImportRule(t *testing.T) {
	packages := list(t)
	if len(packages) < 5 {
		t.Fatalf("go list gives %d packages", len(packages))
	}
	for _, p := range packages {
		for _, broken := range violations(p) {
			t.Error(broken)
		}
	}
}

// The rule itself is tried on packages that break it.
func TestImportRuleFindsViolations(t *testing.T) {
	for _, tt := range []struct {
		path, imports string
		broken        bool
	}{
		{"runtime/realm", module + "/store", false},
		{"runtime/realm", module + "/runtime/call", false},
		{"runtime/realm", "github.com/mark3labs/mcp-go/client", false},
		{"cmd/runplane", module + "/store/bolt", false},
		{"store/storetest", module + "/store", false},
		{"testdata/servers/shop", "github.com/mark3labs/mcp-go/server", false},
		{"schemas", "github.com/invopop/jsonschema", false},
		{"store", module + "/schemas", true},
		{"runtime/call", module + "/tools", true},
		{"tools", module + "/server", true},
		{"server", module + "/store", true},
		{"runtime", module + "/cmd/runplane", true},
		{"schemas", module + "/store", true},
		{"tools", "github.com/mark3labs/mcp-go/mcp", true},
		{"runtime/call", "github.com/mark3labs/mcp-go/mcp", true},
		{"store/bolt", "github.com/redis/go-redis/v9", true},
		{"store/storetest", "go.etcd.io/bbolt", true},
		{"runtime/machine", "os", true},
		{"runtime/machine", module + "/store", true},
		{"runtime/plan", "net/http", true},
		{"runtime/plan", "cel.dev/cel-go/cel", true},
		{"cmd/runplane", "github.com/goccy/go-yaml/ast", true},
		{"runtime/plan/expr", "cel.dev/cel-go/cel", false},
		{"runtime/plan/expr", module + "/runtime/plan/document", false},
		{"runtime/plan/expr", module + "/runtime/plan", true},
		{"runtime/plan/document", module + "/runtime/plan/expr", true},
		{"runtime/util", "fmt", true},
		{"internal/x", "fmt", true},
		{"docs", "fmt", true},
	} {
		got := violations(listed{ImportPath: module + "/" + tt.path, Imports: []string{tt.imports}})
		if (len(got) > 0) != tt.broken {
			t.Errorf("%s imports %s: %v, want broken %v", tt.path, tt.imports, got, tt.broken)
		}
	}
}

// violations are the rules that a package breaks.
func violations(p listed) []string {
	here := strings.TrimPrefix(p.ImportPath, module+"/")
	layer, _, _ := strings.Cut(here, "/")
	if layer == "testdata" {
		return nil // programs of their own
	}
	var out []string
	may, ok := layers[layer]
	if !ok {
		out = append(out, here+": no layer of that name")
	}
	for part := range strings.SplitSeq(here, "/") {
		if slices.Contains(hollow, part) {
			out = append(out, here+": a package is named for what it holds")
		}
	}
	for _, imported := range p.Imports {
		if slices.Contains(pure[here], imported) {
			out = append(out, here+" is pure and imports "+imported)
		}
		for prefix, homes := range fences {
			if under(imported, prefix) && !slices.ContainsFunc(homes, func(home string) bool { return under(here, home) }) {
				out = append(out, here+" imports "+imported+", which belongs to "+strings.Join(homes, " and "))
			}
		}
		below, ours := strings.CutPrefix(imported, module+"/")
		to, _, _ := strings.Cut(below, "/")
		if ours && to != layer && !slices.Contains(may, to) {
			out = append(out, here+" imports "+below+", which is not below it")
		}
	}
	return out
}

func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

package realm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/schemas"
)

// npmServer is a published server below RUNPLANE_NPM, a node_modules folder; without it the test is skipped.
func npmServer(t *testing.T, name string, args ...string) schemas.Realm {
	t.Helper()
	prefix := os.Getenv("RUNPLANE_NPM")
	if prefix == "" {
		t.Skip("RUNPLANE_NPM names no node_modules folder")
	}
	script := filepath.Join(prefix, "@modelcontextprotocol", name, "dist", "index.js")
	return schemas.Realm{Command: "node", Args: append([]string{script}, args...)}
}

func TestPublishedServers(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	memory := npmServer(t, "server-memory")
	memory.Env = map[string]string{"MEMORY_FILE_PATH": filepath.Join(dir, "memory.json")}
	p := run(t, Config{Limits: Limits{MaxMessage: 1 << 20}, Realms: realms(
		"files", npmServer(t, "server-filesystem", dir),
		"memory", memory,
		"everything", npmServer(t, "server-everything", "stdio"),
	)})

	if got := mustInvoke(t, p, "files", "read_text_file", `{"path":"`+filepath.Join(dir, "a.txt")+`"}`); !strings.Contains(got.Text, "hello") {
		t.Errorf("read_text_file returned %s", got.Output)
	}
	mustInvoke(t, p, "memory", "create_entities", `{"entities":[{"name":"A-17","entityType":"order","observations":["paid"]}]}`)
	if got := mustInvoke(t, p, "memory", "read_graph", `{}`); !strings.Contains(string(got.Output), "A-17") {
		t.Errorf("read_graph returned %s", got.Output)
	}
	_, err = invoke(t, p, "everything", "no-such-tool", `{}`)
	wantError(t, err, schemas.CodeNotFound, schemas.NotRun, "no such tool")
	_, err = invoke(t, p, "everything", "echo", `{"message":17}`)
	wantError(t, err, schemas.CodeInvalidArgument, schemas.NotRun, "message")
	_, err = invoke(t, p, "files", "read_text_file", `{"path":"/etc/passwd"}`)
	wantError(t, err, schemas.CodeToolError, schemas.RanFailed, "Access denied")

	var steps []float64
	c := ask("everything", "trigger-long-running-operation", `{"duration":0.3,"steps":3}`)
	c.Progress = func(p call.Progress) { steps = append(steps, p.Done) }
	if _, err := p.Invoke(t.Context(), c); err != nil || len(steps) != 3 {
		t.Errorf("progress is %v, %v", steps, err)
	}
	for _, name := range []string{"files", "memory", "everything"} {
		if names, err := p.Catalog(t.Context(), nil).Tools(name); err != nil || len(names) < 9 {
			t.Errorf("%s lists %d tools, %v", name, len(names), err)
		}
	}
}

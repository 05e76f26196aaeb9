package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runplane/runplane/runtime/plan"
)

// The example on the card works as it stands, on the filesystem server of npm.
func TestExampleOnTheCardWorks(t *testing.T) {
	npm := os.Getenv("RUNPLANE_NPM")
	if !haveNPM(t, npm) {
		t.Skip("the npm packages are not installed: make npm")
	}
	dir := t.TempDir()
	_, example, ok := strings.Cut(plan.Card, "\nExample: ")
	if !ok {
		t.Fatal("the card has no example")
	}
	write(t, filepath.Join(dir, "plan.json"), example)
	write(t, filepath.Join(dir, "a.txt"), "copied")
	write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf("store: \"mem:\"\nmcpServers: {files: {command: node, args: [%q, %q], cwd: %q}}\n",
		filepath.Join(npm, "@modelcontextprotocol", "server-filesystem", "dist", "index.js"), dir, dir))
	cmd := exec.Command(filepath.Join(bin, "runplane"), "run", "plan.json")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "b.txt")); err != nil || string(got) != "copied" {
		t.Errorf("b.txt is %q, %v\n%s", got, err, out)
	}
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin holds the program and the sample servers as built from this tree.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(leakyMarker) != "" {
		return m.Run() // a realm of a test, which needs no program
	}
	dir, err := os.MkdirTemp("", "runplane-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".",
		"../../testdata/servers/shop", "../../testdata/servers/flaky", "../../testdata/servers/slow", "../../testdata/servers/liar")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}

// TestScript runs testdata/script/*.txtar on the built program. Each script has its own folder and home, the sample
// plans under $PLANS, and the sample servers on its PATH.
func TestScript(t *testing.T) {
	plans, err := filepath.Abs("../../testdata/plans")
	if err != nil {
		t.Fatal(err)
	}
	npm := os.Getenv("RUNPLANE_NPM")
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("PLANS", plans)
			e.Setenv("NPM", npm)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "npm" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return haveNPM(t, npm), nil
		},
	})
}

// haveNPM reports whether the npm packages are installed; if they are required, missing ones fail the test.
func haveNPM(t *testing.T, npm string) bool {
	t.Helper()
	if npm != "" {
		if _, err := os.Stat(filepath.Join(npm, "@modelcontextprotocol", "server-filesystem")); err == nil {
			return true
		}
	}
	if os.Getenv("RUNPLANE_REQUIRE_NPM") != "" {
		t.Fatalf("RUNPLANE_REQUIRE_NPM is set, and the npm packages are not in RUNPLANE_NPM=%q", npm)
	}
	return false
}

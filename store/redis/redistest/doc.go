// Package redistest runs real redis-server processes for tests: one, a cluster, or a master with its replica and
// sentinels, each on free loopback ports and in a folder of its own, with an append-only file, and every one ends with
// the test that started it.
//
// A start takes a few milliseconds for one server and a few seconds for a cluster. So a package starts one in a top
// test, and its subtests tell their data apart by a prefix.
package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// Require is the environment variable that turns "no redis-server here" from a skip into a failure, as in CI.
const Require = "RUNPLANE_REQUIRE_REDIS"

// binary is the installed redis-server. Without one the test is skipped, or fails where Require is set.
func binary(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
		return path
	case os.Getenv(Require) != "":
		t.Fatalf("%s is set, and there is no redis-server: %v", Require, err)
	default:
		t.Skipf("no redis-server is installed (%s=1 makes this a failure)", Require)
	}
	return ""
}

// Package redistest runs real redis-server processes for tests of any package: one, a cluster, or a master with a replica and
// sentinels, each on free loopback ports and in a folder of its own, with an append-only file. It owns these processes, and ends
// each with the test that started it. It imports no other package of this module and calls no hooks.
//
// A start takes a few milliseconds for one server and a few seconds for a cluster. So a top-level test starts one, and its
// subtests separate their data by a prefix.
package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// Require is the environment variable that makes a missing redis-server a failure instead of a skip, as in CI.
const Require = "RUNPLANE_REQUIRE_REDIS"

// binary is the path of the installed redis-server. Without one the test is skipped, or fails if Require is set.
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

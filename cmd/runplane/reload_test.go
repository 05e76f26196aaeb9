//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// TestReload changes the configuration file of the running program: by replacing it, by a mistake, by SIGHUP.
func TestReload(t *testing.T) {
	s := serve(t, "store: \"mem:\"\nmcpServers: {keeps: {command: flaky}, moves: {command: flaky}, goes: {command: flaky}}\n")
	kept, err := s.pid("keeps", "environment")
	if err != nil {
		t.Fatal(err)
	}
	moved, err := s.pid("moves", "environment")
	if err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan error, 1)
	go func() {
		_, err := s.invoke("moves", "slow_progress", map[string]any{"seconds": 2, "steps": 2})
		inFlight <- err
	}()
	soon(t, "the call is under way", func() bool { h, err := s.health(); return err == nil && len(h.Checks) > 0 })

	reloaded := func(n int) func() bool {
		return func() bool { return strings.Count(s.log.String(), "configuration reloaded") == n }
	}
	s.configure(t, "store: \"mem:\"\nlog: {level: debug}\ndrain: 3s\nmcpServers: {keeps: {command: flaky}, moves: {command: flaky, env: {NEW: yes}}, comes: {command: shop}}\n"+
		"policies: {realms: {comes: {required: true}}}\n")
	soon(t, "the file's change counts", reloaded(1))
	for _, want := range []string{"added=comes", "removed=goes", "restarted=moves", "from the next start on: settings=drain"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if pid, err := s.pid("keeps", "environment"); err != nil || pid != kept {
		t.Errorf("a realm that stayed has process %d, had %d: %v", pid, kept, err)
	}
	if pid, err := s.pid("moves", "environment"); err != nil || pid == moved {
		t.Errorf("a realm that changed has the same process: %v", err)
	}
	if _, err := s.invoke("comes", "list_orders", map[string]any{}); err != nil {
		t.Error(err)
	}
	if _, err := s.invoke("goes", "echo", map[string]any{}); schemas.AsError(err).Code != schemas.CodeNotFound {
		t.Errorf("a realm that was removed answers %v", err)
	}

	s.configure(t, "mcpServers: {keeps: {comand: flaky}}\n")
	soon(t, "the mistake is refused aloud", func() bool { return strings.Contains(s.log.String(), "configuration refused: the last good one stays") })
	if !strings.Contains(s.log.String(), "comand") {
		t.Error("the log does not name the mistake")
	}
	if _, err := s.invoke("comes", "list_orders", map[string]any{}); err != nil {
		t.Errorf("a refused configuration broke a realm: %v", err)
	}

	s.configure(t, "store: \"mem:\"\nmcpServers: {keeps: {command: flaky}}\n")
	soon(t, "the correction counts", reloaded(2))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	soon(t, "SIGHUP reads it again", reloaded(3))
	if pid, err := s.pid("keeps", "environment"); err != nil || pid != kept {
		t.Errorf("SIGHUP without a change restarted a realm: %d, had %d: %v", pid, kept, err)
	}
}

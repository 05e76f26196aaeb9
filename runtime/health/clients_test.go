package health

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestClientsAreRememberedForAWhile(t *testing.T) {
	var c clients
	now := time.Now()
	c.record("claude 1\x1b[31m\n", now)
	c.record("claude 1[31m", now)
	c.record("", now.Add(-clientMemory-time.Second))
	names, calls := c.recent(now)
	if len(names) != 1 || names[0] != "claude 1[31m" || calls != 2 {
		t.Errorf("lately: %q, %d calls", names, calls)
	}
	for i := range 2 * maxClients {
		c.record(fmt.Sprintf("client %d %s", i, strings.Repeat("x", 1000)), now.Add(time.Duration(i)))
	}
	if names, _ := c.recent(now); len(names) != maxClients {
		t.Errorf("%d clients are remembered", len(names))
	}
}

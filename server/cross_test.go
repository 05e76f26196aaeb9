package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Two clients use the same request ids at the same time, over several connections each: each gets the answers to its own requests.
func TestAnswersNeverCross(t *testing.T) {
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()[:1]}))
	var sessions [2]string
	for i := range sessions {
		post(t, url+"/mcp", &sessions[i], both, strings.SplitN(hello, "\n", 2)[0])
	}
	if sessions[0] == sessions[1] {
		t.Fatal("two clients have one session")
	}
	var callers sync.WaitGroup
	for client, session := range sessions {
		for range 4 {
			callers.Go(func() {
				for id := range 60 {
					want := fmt.Sprintf(`\"whose\":\"%d of %d\"`, id, client)
					_, _, lines := post(t, url+"/mcp", &session, both, fmt.Sprintf(
						`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"zebra","arguments":{"whose":"%d of %d"}}}`, id, id, client))
					if len(lines) != 1 || !strings.Contains(lines[0], fmt.Sprintf(`"id":%d,`, id)) || !strings.Contains(lines[0], want) {
						t.Errorf("client %d, request %d: got %v", client, id, lines)
						return
					}
				}
			})
		}
	}
	callers.Wait()
}

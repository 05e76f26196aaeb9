package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// A realm over HTTP that is gone for a moment, while many calls come, works again as soon as it is back: calls that are refused during its
// backoff do not open the breaker.
func TestRealmThatIsGoneForAMomentOpensNoBreaker(t *testing.T) {
	base, stop := liarOver(t, "127.0.0.1:0")
	s := serve(t, "store: \"mem:\"\nmcpServers: {web: {url: "+base+"/mcp}}\npolicies: {default: {retry: {max_attempts: 1}}}\n")
	if _, err := s.invoke("web", "echo", oneEcho); err != nil {
		t.Fatal(err)
	}
	stop()
	var calls sync.WaitGroup
	for range 40 {
		calls.Go(func() {
			_, err := s.invoke("web", "echo", oneEcho)
			if e, ok := errors.AsType[*schemas.Error](err); !ok || e.Code != schemas.CodeUnavailable {
				t.Errorf("a call meanwhile: %v", err)
			}
		})
	}
	calls.Wait()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	liarOver(t, u.Host)
	soon(t, "a call succeeds again", func() bool {
		_, err := s.invoke("web", "echo", oneEcho)
		if e, ok := errors.AsType[*schemas.Error](err); ok && e.Code == schemas.CodeCircuitOpen {
			t.Fatalf("the breaker is open: %v", err)
		}
		return err == nil
	})
}

var oneEcho = json.RawMessage(`{"msg":"x"}`)

// liarOver starts a sample server over HTTP; stop kills it.
func liarOver(t *testing.T, address string) (base string, stop func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "liar"), "-http", address)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), stop
}

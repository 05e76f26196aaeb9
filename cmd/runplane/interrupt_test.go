package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// After an interrupt a once call in flight finishes, so that it needs no decision; a second interrupt does not wait.
func TestInterrupt(t *testing.T) {
	for _, tt := range []struct {
		name, delay string // how long the call lasts
		again       bool   // interrupt twice
		want        string // of the resumed run
	}{
		{"once", "2s", false, `"R-A-3"`},
		{"twice", "1h", true, "held"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			ledger := filepath.Join(dir, "ledger")
			write(t, filepath.Join(dir, "plan.yaml"), "plan: v1\nnodes: [{id: refund, capability: shop.refund, inputs: {order: A-3, cents: 5}, timeout: 2h}]\noutput: \"${nodes.refund.output.id}\"\n")
			write(t, filepath.Join(dir, "runplane.yaml"), fmt.Sprintf(
				"mcpServers: {shop: {command: %q, args: [-ledger, %q, -delay, %s]}}\nstore: \"file:store\"\n", filepath.Join(bin, "shop"), ledger, tt.delay))
			first, _ := program(dir)
			first.Stderr = nil
			stderr, err := first.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			giveUp := time.AfterFunc(time.Minute, func() { _ = first.Process.Kill() })
			defer giveUp.Stop()
			for deadline := time.Now().Add(30 * time.Second); len(lines(t, ledger)) == 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the call does not begin")
				}
			}
			interrupt(t, first)
			output := bufio.NewReader(stderr)
			var id string
			for {
				line, err := output.ReadString('\n')
				if err != nil {
					t.Fatalf("it does not say that it was interrupted: %v", err)
				}
				if _, rest, ok := strings.Cut(line, "--resume "); ok {
					id = strings.TrimSpace(rest)
					break
				}
			}
			if tt.again {
				interrupt(t, first)
			}
			_, _ = io.Copy(io.Discard, output)
			exited, ok := errors.AsType[*exec.ExitError](first.Wait())
			if !ok || exited.ExitCode() == exitOK {
				t.Error("an interrupted run succeeded")
			}
			second := exec.Command(filepath.Join(bin, "runplane"), "run", "--resume", id)
			second.Dir = dir
			second.Env = append(os.Environ(), "HOME="+dir)
			if out, _ := second.CombinedOutput(); !strings.Contains(string(out), tt.want) {
				t.Errorf("resumed, it does not say %s:\n%s", tt.want, out)
			}
			if n := len(lines(t, ledger)); n != 1 {
				t.Errorf("the call happened %d times", n)
			}
		})
	}
}

func interrupt(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

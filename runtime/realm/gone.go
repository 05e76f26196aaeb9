package realm

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/schemas"
)

// goneWait is how long processes that were killed may take to end.
const goneWait = time.Second

// gone reports whether it is proven that nothing of the child runs any more: it was reaped, and no process is in its group or has its
// mark. It waits a moment for processes that are ending. Where processes cannot be listed there is no proof, nor where the work of the
// child may run outside of it.
func (p *process) gone() bool {
	select {
	case <-p.exited:
	default:
		return false
	}
	if p.elsewhere || p.mark == "" {
		return false
	}
	for deadline := time.Now().Add(goneWait); ; time.Sleep(20 * time.Millisecond) {
		// Twice, because a process may start another one and end while they are listed.
		left := groupLeft(p.cmd.Process.Pid) || markLeft(p.mark) || markLeft(p.mark)
		if !left || time.Now().After(deadline) {
			return !left
		}
	}
}

// bridges are programs that have their work done by another process, or on another machine.
var bridges = []string{
	"docker", "podman", "nerdctl", "kubectl", "oc", "ssh", "wsl", "systemd-run", "flatpak", "snap", "lxc", "machinectl", "distrobox",
	"toolbox",
	"mcp-remote", "mcp-proxy", "supergateway",
}

// worksElsewhere reports whether the command seems to be a bridge to a server that goes on when the command ends: it names such a
// program, or an address.
func worksElsewhere(spec schemas.Realm) bool {
	for _, word := range append([]string{spec.Command}, spec.Args...) {
		name, _, _ := strings.Cut(strings.ToLower(filepath.Base(word)), "@") // also of npm packages with a version
		if strings.Contains(word, "://") || slices.Contains(bridges, strings.TrimSuffix(name, ".exe")) {
			return true
		}
	}
	return false
}

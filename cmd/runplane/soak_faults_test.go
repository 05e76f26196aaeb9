//go:build linux

package main

import (
	"math/rand/v2"
	"regexp"
	"syscall"
	"time"
)

// soakFault is one fault that is injected into a realm while the clients work.
type soakFault struct {
	name   string
	strike func(w *soakWorld, r *rand.Rand)
}

var flapProcess = regexp.MustCompile(`^\S*shop .*flap\.ledger`)

var soakFaults = []soakFault{
	{"SIGKILL of a stdio realm", func(w *soakWorld, _ *rand.Rand) { w.signal(flapProcess, syscall.SIGKILL) }},
	{"SIGSTOP of a stdio realm", func(w *soakWorld, r *rand.Rand) {
		w.signal(flapProcess, syscall.SIGSTOP)
		pause(r, time.Second)
		w.signal(flapProcess, syscall.SIGCONT)
	}},
	{"restart of an HTTP realm", func(w *soakWorld, r *rand.Rand) {
		w.web.kill()
		pause(r, time.Second)
		w.web.start()
	}},
	{"realm that reads no more, killed", func(w *soakWorld, r *rand.Rand) {
		pid, err := w.s.pid("deaf", "environment")
		for began := time.Now(); err != nil && time.Since(began) < soonIs; pid, err = w.s.pid("deaf", "environment") { // its time is short
			pause(r, time.Second)
		}
		if err != nil {
			w.wrong("deaf does not come back: %v", err)
			return
		}
		w.fault("deaf", "deafen")
		w.fault("deaf", "echo")                // it hangs, until its time is over
		_ = syscall.Kill(pid, syscall.SIGKILL) // it was alive a moment ago, and nothing else ends it
	}},
	{"death that leaves a helper", func(w *soakWorld, _ *rand.Rand) {
		w.fault("doomed", "grandchild")
		w.fault("doomed", "crash")
	}},
	{"endless line", func(w *soakWorld, _ *rand.Rand) { w.fault("torrent", "endless_line") }},
	{"flood on stderr", func(w *soakWorld, _ *rand.Rand) { w.fault("torrent", "stderr_flood") }},
	{"tools that change", func(w *soakWorld, _ *rand.Rand) { w.fault("liarsse", "redefine") }},
	{"storm of notifications", func(w *soakWorld, r *rand.Rand) { w.fault(liars[r.IntN(len(liars))], "storm") }},
	{"configuration with one more realm, and without it", func(w *soakWorld, r *rand.Rand) {
		w.s.configure(w.t, w.config("  extra: {command: flaky, env: {MARK: "+w.mark+"}}"))
		pause(r, 2*time.Second)
		w.s.configure(w.t, w.config(""))
	}},
}

// fault makes a call that harms a realm; its answer does not matter.
func (w *soakWorld) fault(realm, capability string) {
	_ = w.ask("invoke_capability", args{"realm": realm, "capability_name": capability, "timeout_seconds": 2, "retry_config": args{"max_attempts": 1}}, nil)
}

func (w *soakWorld) signal(words *regexp.Regexp, s syscall.Signal) {
	for _, pid := range w.pids(words) {
		_ = syscall.Kill(pid, s) // it may be gone
	}
}

// torment injects one fault repeatedly until stop is closed.
func (w *soakWorld) torment(f soakFault, r *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(r.Int64N(int64(4 * time.Second)))):
		}
		f.strike(w, r)
		w.count(w.struck, f.name)
	}
}

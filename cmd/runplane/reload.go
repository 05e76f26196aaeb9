package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// quietTime is how long the file must be unchanged: an editor writes in several steps, or replaces the file.
const quietTime = 200 * time.Millisecond

// removalTime is how long a file that lacks realms must be unchanged before they are removed: it may be half written.
const removalTime = 2 * time.Second

// reloader applies changes of the configuration file to a plane. An invalid configuration changes nothing: the last valid one
// stays, and an error is logged.
type reloader struct {
	plane  *plane
	load   func() (Config, error)
	read   func(path string) ([]byte, error)
	seen   []byte    // content of the file when it was last read
	waits  []byte    // content that would remove realms, and is applied if it stays for removalTime
	since  time.Time // since when waits is the content
	notify func()    // notifies the clients that realms or policies have changed
}

// reloader makes a reloader for a plane; notify is called once for each change of realms or policies, after it is applied.
func (c *cli) reloader(p *plane, src sources, notify func()) *reloader {
	r := &reloader{plane: p, notify: notify, read: c.sources.read, load: func() (Config, error) { return loadConfig(src) }}
	r.seen, _ = r.content() // if it cannot be read, the first successful read counts as a change
	return r
}

// files lists the files that the configuration was read from.
func (c *Config) files() []string {
	return slices.DeleteFunc([]string{c.File, c.PoliciesFile}, func(path string) bool { return path == "" })
}

// content reads all of them. Content that differs is a change of one of them.
func (r *reloader) content() ([]byte, error) {
	var all []byte
	for _, path := range r.plane.config.files() {
		one, err := r.read(path)
		if err != nil {
			return nil, err
		}
		all = append(append(all, one...), 0)
	}
	return all, nil
}

// run reloads on SIGHUP, and when the file changes, until ctx ends.
func (r *reloader) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var touched <-chan fsnotify.Event // nil: the file is not watched
	watcher, err := watch(r.plane.config.files())
	switch {
	case err != nil:
		r.plane.log.Warn("the configuration file is not watched; SIGHUP reads it again", "error", err)
	case watcher != nil:
		defer watcher.Close()
		touched = watcher.Events
	}
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.plane.log.Info("SIGHUP: reading the configuration again")
			r.seen, _ = r.content() // loading it reports the error
			r.reload(r.load())
		case _, open := <-touched:
			if !open {
				touched = nil
				continue
			}
			settled = time.After(quietTime)
		case <-settled:
			settled = nil
			if again := r.look(); again > 0 {
				settled = time.After(again)
			}
			if err := watchFolders(watcher, r.plane.config.files()); err != nil {
				r.plane.log.Warn("a folder of the configuration file is not watched; SIGHUP reads the file again", "error", err)
			}
		}
	}
}

// look reloads the configuration if the content of the file has changed, or if it has stayed without a realm for removalTime. It
// returns after how long to look again; 0: not before the file changes.
func (r *reloader) look() (again time.Duration) {
	now, err := r.content()
	switch {
	case err != nil:
		r.waits = nil
		r.plane.log.Warn("the configuration file cannot be read: the last valid configuration stays in effect until it can", "error", err)
		return 0
	case bytes.Equal(now, r.seen):
		r.waits = nil
		return 0
	}
	next, err := r.load()
	if err == nil && r.removes(&next) {
		if r.waits == nil || !bytes.Equal(now, r.waits) {
			r.waits, r.since = now, time.Now()
		}
		if left := removalTime - time.Since(r.since); left > 0 {
			return left
		}
	}
	r.seen, r.waits = now, nil
	r.reload(next, err)
	return 0
}

// removes reports whether a configuration lacks a realm of the present one.
func (r *reloader) removes(next *Config) bool {
	for name := range r.plane.config.MCPServers {
		if _, stays := next.MCPServers[name]; !stays {
			return true
		}
	}
	return false
}

// reload applies the configuration that was loaded, or logs why it cannot.
func (r *reloader) reload(next Config, err error) {
	p := r.plane
	if err == nil {
		err = refused(&p.config, &next)
	}
	if err == nil {
		err = r.apply(next)
	}
	if err != nil {
		e := schemas.AsError(err)
		p.log.Error("configuration refused: the last valid one stays in effect", "error", e.Message, "hint", e.Hint)
	}
}

// refused is the error of a valid configuration that a running process does not take over: it is not the file that the process
// was started with, or it has no realms and does not say so. A file that was emptied, by an editor that has not written it yet or by a
// full disk, would remove every realm.
func refused(now, next *Config) error {
	switch {
	case next.File != now.File:
		return schemas.Errorf(schemas.CodeNotFound, "the configuration file %s is gone", now.File).
			WithHint("put it back; to use another file start the program again")
	case len(now.MCPServers) > 0 && next.NoServers:
		what := "has no mcpServers"
		if next.Empty {
			what = "is empty"
		}
		return schemas.Errorf(schemas.CodeInvalidArgument,
			"the configuration file %s %s, which would remove all %d realms", now.File, what, len(now.MCPServers)).
			WithHint("write the file again; to remove all realms write `mcpServers: {}`")
	}
	return nil
}

func (r *reloader) apply(next Config) error {
	p := r.plane
	next.Redact = p.config.Redact
	next.Redact.Add(next.secrets())
	r.keepWorking(&next)
	change, err := p.pool.Reload(next.MCPServers, next.Policies)
	if err != nil {
		return err
	}
	p.runtime.Capabilities.Forget(slices.Concat(change.Removed, change.Restarted)...)
	p.runtime.Capabilities.SetSecrets(next.Secrets) // before the policies that allow them
	p.runtime.Capabilities.SetPolicies(next.Policies)
	p.runtime.Capabilities.SetQuotas(next.quotas())
	for _, w := range next.Warnings {
		p.log.Warn(w)
	}
	p.log.SetLevel(hclog.LevelFromString(next.Log.Level))
	if later := needRestart(&p.config, &next); len(later) > 0 {
		p.log.Warn("these settings changed and take effect at the next start", "settings", strings.Join(later, " "))
	}
	p.config = next
	p.log.Info("configuration reloaded", "added", orNone(strings.Join(change.Added, " ")), "removed", orNone(strings.Join(change.Removed, " ")),
		"restarted", orNone(strings.Join(change.Restarted, " ")), "policies", orNone(strings.Join(change.Policies, " ")))
	if !change.Empty() {
		r.notify()
	}
	return nil
}

// keepWorking leaves a realm as it is whose entry worked and does not any more: it may be half written.
func (r *reloader) keepWorking(next *Config) {
	for _, name := range slices.Sorted(maps.Keys(next.MCPServers)) {
		now, runs := r.plane.config.MCPServers[name]
		if broken := next.MCPServers[name].Broken; broken != nil && runs && now.Broken == nil && !now.Disabled && !next.MCPServers[name].Disabled {
			r.plane.log.Error("the entry of a realm cannot be used: the realm stays as it was", "realm", name, "error", broken.Message, "hint", broken.Hint)
			next.MCPServers[name] = now
		}
	}
}

// needRestart names the settings that differ and cannot be changed in a running process.
func needRestart(a, b *Config) (keys []string) {
	for i := range settings {
		s := &settings[i]
		if s.key != "log.level" && !reflect.DeepEqual(s.at(a), s.at(b)) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

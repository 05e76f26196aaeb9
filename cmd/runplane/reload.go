package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
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

// reloader applies changes of the configuration file to a plane. An invalid configuration changes nothing: the last valid one
// stays, and an error is logged.
type reloader struct {
	plane  *plane
	load   func() (Config, error)
	read   func(path string) ([]byte, error)
	seen   []byte // content of the file when it was last read
	notify func() // notifies the clients that realms or policies have changed
}

// reloader makes a reloader for a plane; notify is called once for each change of realms or policies, after it is applied.
func (c *cli) reloader(p *plane, src sources, notify func()) *reloader {
	r := &reloader{plane: p, notify: notify, read: c.sources.read, load: func() (Config, error) { return loadConfig(src) }}
	r.seen, _ = r.read(p.config.File) // if it cannot be read, the first successful read counts as a change
	return r
}

// run reloads on SIGHUP, and when the file changes, until ctx ends.
func (r *reloader) run(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var touched <-chan fsnotify.Event // nil: the file is not watched
	watcher, err := watch(r.plane.config.File)
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
			r.seen, _ = r.read(r.plane.config.File) // loading it reports the error
			r.reload()
		case _, open := <-touched:
			if !open {
				touched = nil
				continue
			}
			settled = time.After(quietTime)
		case <-settled:
			settled = nil
			if now, err := r.read(r.plane.config.File); err == nil && !bytes.Equal(now, r.seen) {
				r.seen = now
				r.reload()
			}
		}
	}
}

// watch watches the folders of the file and of the target of its link: a file that is replaced is a different one. Without a
// file it returns nil.
func watch(file string) (*fsnotify.Watcher, error) {
	if file == "" {
		return nil, nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{filepath.Dir(file): true}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		folders[filepath.Dir(target)] = true
	}
	for folder := range folders {
		if err := w.Add(folder); err != nil {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}

// reload loads and applies the configuration, or logs why it cannot.
func (r *reloader) reload() {
	p := r.plane
	next, err := r.load()
	if err == nil {
		err = r.apply(next)
	}
	if err != nil {
		e := schemas.AsError(err)
		p.log.Error("configuration refused: the last valid one stays in effect", "error", e.Message, "hint", e.Hint)
	}
}

func (r *reloader) apply(next Config) error {
	p := r.plane
	change, err := p.pool.Reload(next.MCPServers, next.Policies)
	if err != nil {
		return err
	}
	p.runtime.Capabilities.Forget(slices.Concat(change.Removed, change.Restarted)...)
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

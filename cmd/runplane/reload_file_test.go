package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadKeepsRealmsOfAFileThatIsBeingWritten goes through what a file may hold on its way from one content to the next.
func TestReloadKeepsRealmsOfAFileThatIsBeingWritten(t *testing.T) {
	const one = "mcpServers:\n  a: {command: one}\n"
	const whole = one + "  b: {command: two}\nlog: {level: warn}\n"
	type step struct {
		content string // "gone": there is no file
		stays   time.Duration
	}
	for name, tt := range map[string]struct {
		steps []step
		want  string // realms at the end
		log   string // part of the log; empty: nothing was refused
	}{
		"emptied":               {[]step{{"", time.Hour}}, "a b", "is empty, which would remove all 2 realms"},
		"white space":           {[]step{{" \n\n", time.Hour}}, "a b", "is empty"},
		"comments":              {[]step{{"# nothing\n", time.Hour}}, "a b", "is empty"},
		"an empty document":     {[]step{{"---\n", time.Hour}}, "a b", "is empty"},
		"null":                  {[]step{{"null\n", time.Hour}}, "a b", "is empty"},
		"an empty object":       {[]step{{"{}\n", time.Hour}}, "a b", "is empty"},
		"a key without a value": {[]step{{"mcpServers:\n", time.Hour}}, "a b", "has no mcpServers"},
		"settings alone":        {[]step{{"log: {level: warn}\n", time.Hour}}, "a b", "has no mcpServers"},
		"invalid":               {[]step{{"mcpServers: {a: {comm", time.Hour}}, "a b", "configuration refused"},
		"no file":               {[]step{{"gone", time.Hour}}, "a b", "cannot be read"},
		"all realms removed":    {[]step{{"mcpServers: {}\n", time.Hour}}, "", ""},
		"truncated and written": {[]step{{"", time.Second}, {whole, time.Hour}}, "a b", ""},
		"half, then whole":      {[]step{{one, removalTime - time.Millisecond}, {whole, time.Hour}}, "a b", ""},
		"half in two ways":      {[]step{{"mcpServers: {}\n", time.Second}, {one, 1900 * time.Millisecond}}, "a b", ""},
		"a realm removed":       {[]step{{one, time.Hour}}, "a", ""},
		"emptied, then changed": {[]step{{"", time.Hour}, {"mcpServers: {c: {command: three}}\n", time.Hour}}, "c", "is empty"},
		"a realm added":         {[]step{{whole, time.Hour}, {one + "  b: {command: two}\n  c: {command: two}\n", quietTime}}, "a b c", ""},
		"gone, then back":       {[]step{{"gone", time.Hour}, {whole, time.Hour}}, "a b", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				content := whole
				src := sources{dir: "/x", flags: map[string]string{"store": "mem:"}, read: func(path string) ([]byte, error) {
					if content == "gone" || path != filepath.FromSlash("/x/runplane.yaml") {
						return nil, fs.ErrNotExist
					}
					return []byte(content), nil
				}}
				cfg, err := loadConfig(src)
				if err != nil {
					t.Fatal(err)
				}
				var log output
				p, err := open(t.Context(), cfg, &log, false)
				if err != nil {
					t.Fatal(err)
				}
				defer p.store.Close()
				r := (&cli{sources: src}).reloader(p, src, func() {})
				for _, s := range tt.steps {
					content = s.content
					end := time.Now().Add(s.stays)
					for wait := quietTime; wait > 0 && time.Until(end) >= wait; {
						time.Sleep(wait)
						wait = r.look()
					}
					time.Sleep(time.Until(end))
				}
				if got := strings.Join(slices.Sorted(maps.Keys(p.config.MCPServers)), " "); got != tt.want {
					t.Errorf("realms %q, want %q", got, tt.want)
				}
				var names []string
				for _, h := range p.pool.Health() {
					names = append(names, h.Realm)
				}
				if got := strings.Join(names, " "); got != tt.want {
					t.Errorf("the pool has %q, want %q", got, tt.want)
				}
				said := log.String()
				if tt.log == "" && (strings.Contains(said, "refused") || strings.Contains(said, "[WARN]")) || !strings.Contains(said, tt.log) {
					t.Errorf("the log says %q, want %q", said, tt.log)
				}
			})
		})
	}
}

// SIGHUP loads the file again at once, and refuses the same.
func TestReloadIsOfTheFileOfTheStart(t *testing.T) {
	now := Config{File: "/a/runplane.yaml"}
	if err := refused(&now, &Config{NoServers: true}); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("without a file: %v", err)
	}
	if err := refused(&now, &Config{File: "/home/x/runplane.yaml"}); err == nil {
		t.Error("another file was taken over")
	}
	if err := refused(&now, &Config{File: now.File, NoServers: true}); err != nil {
		t.Errorf("no realms before and after: %v", err)
	}
}

func TestAnEmptyFileIsReported(t *testing.T) {
	for content, want := range map[string]bool{"": true, "# x\n": true, "mcpServers: {}\n": false, "log: {level: warn}\n": false} {
		c, err := loadConfig(sources{dir: "/x", flags: map[string]string{"store": "mem:"}, read: func(path string) ([]byte, error) {
			if path != filepath.FromSlash("/x/runplane.yaml") {
				return nil, fs.ErrNotExist
			}
			return []byte(content), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(c.Warnings, "\n"), "is empty: there are no realms"); got != want {
			t.Errorf("%q: warnings %q", content, c.Warnings)
		}
	}
}

// TestWatchSeesEveryWayToReplaceAFile replaces the file as editors and mounted ConfigMaps do.
func TestWatchSeesEveryWayToReplaceAFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	for name, change := range map[string]func(dir, file string) error{
		"written": func(_, file string) error { return os.WriteFile(file, []byte("x"), 0o600) },
		"replaced": func(dir, file string) error {
			return errors.Join(os.WriteFile(file+".new", nil, 0o600), os.Rename(file+".new", file))
		},
		"the link replaced": func(dir, file string) error {
			return errors.Join(os.Symlink("../data/v2/c.yaml", file+".new"), os.Rename(file+".new", file))
		},
		"a link above replaced": func(dir, _ string) error {
			return errors.Join(os.Symlink("v2", filepath.Join(dir, "next")), os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
		},
		"the target written": func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "v1", "c.yaml"), []byte("y"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir, mount := filepath.Join(root, "data"), filepath.Join(root, "mount")
			for _, folder := range []string{filepath.Join(dir, "v1"), filepath.Join(dir, "v2"), mount} {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, "c.yaml"), []byte(folder), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(mount, "runplane.yaml")
			if err := errors.Join(os.Symlink("v1", filepath.Join(dir, "current")), os.Symlink("../data/current/c.yaml", file)); err != nil {
				t.Fatal(err)
			}
			w, err := watch([]string{file})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := change(dir, file); err != nil {
				t.Fatal(err)
			}
			select {
			case <-w.Events:
			case <-time.After(soonIs):
				t.Errorf("not seen; the watched folders are %q", w.WatchList())
			}
			if err := watchFolders(w, []string{file}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

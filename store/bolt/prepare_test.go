//go:build linux || darwin

package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// Each row is a folder in which no store may be opened, with what the error says. Nothing outside of the folder is touched.
func TestFilesThatAreNoStore(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(dir, outside string) error
		says string
	}{
		{"an empty file", func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "runplane.db"), nil, 0o644) }, "is empty"},
		{"a link to an empty file", func(dir, outside string) error { return os.Symlink(outside, filepath.Join(dir, "runplane.db")) }, "symbolic link"},
		{"a link to nothing", func(dir, outside string) error {
			return os.Symlink(outside+"-none", filepath.Join(dir, "runplane.db"))
		}, "symbolic link"},
		{"a folder", func(dir, _ string) error { return os.Mkdir(filepath.Join(dir, "runplane.db"), 0o700) }, "no regular file"},
		{"a text", func(dir, _ string) error {
			return os.WriteFile(filepath.Join(dir, "runplane.db"), []byte(strings.Repeat("text ", 5000)), 0o600)
		}, "meta page"},
		{"a short text", func(dir, _ string) error {
			return os.WriteFile(filepath.Join(dir, "runplane.db"), []byte("text"), 0o600)
		}, "meta page"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
			if err := errors.Join(os.WriteFile(outside, nil, 0o644), tt.make(dir, outside)); err != nil {
				t.Fatal(err)
			}
			_, err := bolt.Open(bolt.Options{Dir: dir})
			var f *bolt.Fault
			if !errors.As(err, &f) || !strings.Contains(f.Error(), tt.says) || !strings.Contains(f.Error(), dir) || f.Hint() == "" {
				t.Errorf("got %v, want a fault that says %q", err, tt.says)
			}
			if info, err := os.Stat(outside); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o644 {
				t.Errorf("the file outside is %v, %v", info, err)
			}
			if _, err := os.Lstat(outside + "-none"); err == nil {
				t.Error("a file was made through the link")
			}
		})
	}
}

func TestPidFileIsNotWrittenThroughALink(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.WriteFile(outside, []byte("precious"), 0o644), os.Symlink(outside, filepath.Join(dir, "runplane.pid"))); err != nil {
		t.Fatal(err)
	}
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	if info := must(os.Lstat(filepath.Join(dir, "runplane.pid"))); !info.Mode().IsRegular() {
		t.Errorf("the pid file is %v", info.Mode())
	}
	s.Close()
	if got := string(must(os.ReadFile(outside))); got != "precious" {
		t.Errorf("the file outside holds %q", got)
	}
}

// The folder may be a link: to another disk, for example.
func TestFolderThatIsALink(t *testing.T) {
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	s := must(bolt.Open(bolt.Options{Dir: link}))
	defer s.Close()
	if _, err := s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "x", ID: "a"}}}}); err != nil {
		t.Error(err)
	}
}

// What others may write to is a condition for as long as it is so; what a group may write to, as Kubernetes has it, is a line of the log.
func TestFilesThatOthersMayWriteAreConditions(t *testing.T) {
	for _, tt := range []struct {
		name             string
		folder, file     os.FileMode
		conditions, says int
		closed           int // conditions after the folder was closed
	}{
		{"closed", 0o700, 0o600, 0, 0, 0},
		{"others may read", 0o755, 0o644, 0, 0, 0},
		{"the group may write to the folder", 0o770, 0o600, 0, 1, 0},
		{"as a group of Kubernetes", 0o770 | os.ModeSetgid, 0o660, 0, 2, 0},
		{"all may write to the folder", 0o777, 0o600, 1, 1, 0},
		{"all may write to the folder, and delete their own alone", 0o777 | os.ModeSticky, 0o600, 1, 1, 0},
		{"all could write to the file", 0o700, 0o666, 1, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(bolt.Open(bolt.Options{Dir: dir})).Close()
			path := filepath.Join(dir, "runplane.db")
			if err := errors.Join(os.Chmod(path, tt.file), os.Chmod(dir, tt.folder)); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				warned := 0
				s := must(bolt.Open(bolt.Options{Dir: dir, Warn: func(string) { warned++ }}))
				defer s.Close()
				for range 2 {
					if got := s.Conditions(); len(got) != tt.conditions || warned != tt.says {
						t.Errorf("%d warnings and conditions %+v, want %d and %d", warned, got, tt.says, tt.conditions)
					}
					time.Sleep(time.Minute) // it is looked at again, and said once
				}
				if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
					t.Errorf("the file has mode %04o, want 0600", mode)
				}
				if err := os.Chmod(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if got := s.Conditions(); len(got) != tt.closed {
					t.Errorf("after the folder was closed: conditions %+v, want %d", got, tt.closed)
				}
			})
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// watch watches the folders in which a change can replace one of the files. Without a file it returns nil.
func watch(files []string) (*fsnotify.Watcher, error) {
	if len(files) == 0 {
		return nil, nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := watchFolders(w, files); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// watchFolders adds the folders that are not watched yet: a link on the way to a file may lead elsewhere since the last time.
func watchFolders(w *fsnotify.Watcher, files []string) error {
	for _, file := range files {
		for _, folder := range foldersOf(file) {
			if err := w.Add(folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxLinks is how many links a path may go through, as in Linux.
const maxLinks = 40

// foldersOf lists the folder of the file, and of each link that its path goes through: editors replace the file, and a mounted
// ConfigMap replaces a link to the folder above it.
func foldersOf(file string) []string {
	var folders []string
	for range maxLinks {
		link, rest := firstLink(file)
		if link == "" {
			break
		}
		folders = append(folders, filepath.Dir(link))
		target, err := os.Readlink(link)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		file = filepath.Join(target, rest)
	}
	folders = append(folders, filepath.Dir(file))
	slices.Sort(folders)
	return slices.Compact(folders)
}

// firstLink splits an absolute path after its first element that is a symbolic link; an empty link: none is.
func firstLink(path string) (link, rest string) {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	elements := strings.Split(strings.TrimPrefix(path, root), string(filepath.Separator))
	for i := range elements {
		at := filepath.Join(root, filepath.Join(elements[:i+1]...))
		if info, err := os.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return at, filepath.Join(elements[i+1:]...)
		}
	}
	return "", ""
}

package realm

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// record is the list of this run's process groups on disk. The file is locked while the run lasts, so a file that can be locked
// is of a run that has ended.
type record struct {
	mark string
	mu   sync.Mutex
	file *os.File
}

const recordPrefix = "groups-"

// newRecord creates the record of this run in dir; with an empty dir it returns nil, a record that does nothing.
func newRecord(dir, mark string) (*record, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, recordPrefix+mark)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), path) // visible only when locked
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &record{mark: mark, file: f}, nil
}

func (r *record) write(op string, group int) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return writeEntry(r.file, op, group)
}

// close removes the record of a run that ended its groups.
func (r *record) close() {
	if r == nil {
		return
	}
	_ = os.Remove(filepath.Join(filepath.Dir(r.file.Name()), recordPrefix+r.mark)) // else the next start removes it
	_ = r.file.Close()
}

// sweepGrace is the time between TERM and KILL for processes of an earlier run.
const sweepGrace = time.Second

// sweep ends the processes that earlier runs left, according to their records in dir: first with TERM, then with KILL.
func sweep(dir string, log hclog.Logger) {
	if dir == "" {
		return
	}
	paths, _ := filepath.Glob(filepath.Join(dir, recordPrefix+"*")) // the pattern is good
	for _, path := range paths {
		mark := strings.TrimPrefix(filepath.Base(path), recordPrefix)
		if strings.HasSuffix(mark, ".new") {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			continue // its run ended meanwhile
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			groups := endGroups(mark, recorded(f))
			if others := endMarked(mark, sweepGrace); len(groups)+others > 0 {
				log.Warn("ended processes that an earlier run left", "groups", len(groups), "others", others)
			}
			if err := os.Remove(path); err != nil {
				log.Debug("record of process groups not removed", "error", err)
			}
		}
		_ = f.Close()
	}
}

// recorded is the groups in a record that were started and have not ended.
func recorded(f *os.File) (ids []int) {
	for lines := bufio.NewScanner(f); lines.Scan(); {
		op, text, _ := strings.Cut(lines.Text(), " ")
		id, err := strconv.Atoi(text)
		switch {
		case err != nil || id <= 1: // an incomplete or invalid line
		case op == "+":
			ids = append(ids, id)
		case op == "-":
			ids = slices.DeleteFunc(ids, func(other int) bool { return other == id })
		}
	}
	return ids
}

// endGroups ends the groups in which a process has the mark. The system does not reuse the id of a group while it has a member, so one
// process with the mark is enough.
func endGroups(mark string, groups []int) (ended []int) {
	for _, id := range groups {
		if hasMark(id, mark) {
			terminateGroup(id)
			ended = append(ended, id)
		}
	}
	for deadline := time.Now().Add(sweepGrace); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(ended, func(id int) bool { return hasMark(id, mark) }) {
			return ended
		}
	}
	for _, id := range ended {
		if hasMark(id, mark) {
			killGroup(id)
		}
	}
	return ended
}

func hasMark(group int, mark string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		if isMarked(pid, mark) {
			return true
		}
	}
	return false
}

package realm

import (
	"bufio"
	"bytes"
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

// record is the list of this run's process groups on disk. The file is locked as long as the run lives, so that whoever
// can lock one knows that its run is over.
type record struct {
	mark string
	mu   sync.Mutex
	file *os.File
}

const recordPrefix = "groups-"

// newRecord begins the record of a run in dir; an empty dir means none, which is a nil record.
func newRecord(dir string) (*record, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	mark := newMark()
	path := filepath.Join(dir, recordPrefix+mark)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), path) // nobody ever sees it without its lock
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &record{mark: mark, file: f}, nil
}

func (r *record) tell(op string, group int) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return note(r.file, op, group)
}

// close removes the record: its run ended in order.
func (r *record) close() {
	if r == nil {
		return
	}
	_ = os.Remove(filepath.Join(filepath.Dir(r.file.Name()), recordPrefix+r.mark)) // one that stays is swept by the next start
	_ = r.file.Close()
}

// sweepGrace is what a stale process gets between TERM and KILL.
const sweepGrace = time.Second

// sweep ends what runs that died left behind, as their records in dir have it: politely first. It returns when it is gone.
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
			continue // its run ended in order meanwhile
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			if ended := endMarked(mark, recorded(f)); len(ended) > 0 {
				log.Warn("ended processes that an earlier run left behind", "groups", len(ended))
			}
			if err := os.Remove(path); err != nil {
				log.Debug("a record of process groups stays", "error", err)
			}
		}
		_ = f.Close()
	}
}

// recorded reads the groups that were watched and not forgotten.
func recorded(f *os.File) (ids []int) {
	for lines := bufio.NewScanner(f); lines.Scan(); {
		op, text, _ := strings.Cut(lines.Text(), " ")
		id, err := strconv.Atoi(text)
		switch {
		case err != nil || id <= 1: // a torn line, or nonsense
		case op == "+":
			ids = append(ids, id)
		case op == "-":
			ids = slices.DeleteFunc(ids, func(other int) bool { return other == id })
		}
	}
	return ids
}

// endMarked ends those of the groups in which some process bears the mark. The system gives no id of a group away while it
// has a member, so one that bears it vouches for all.
func endMarked(mark string, groups []int) (ended []int) {
	for _, id := range groups {
		if bearsMark(id, mark) {
			terminateGroup(id)
			ended = append(ended, id)
		}
	}
	for deadline := time.Now().Add(sweepGrace); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(ended, func(id int) bool { return bearsMark(id, mark) }) {
			return ended
		}
	}
	for _, id := range ended {
		if bearsMark(id, mark) {
			killGroup(id)
		}
	}
	return ended
}

func bearsMark(group int, mark string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	want := []byte(markVariable + "=" + mark)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		environ, err := os.ReadFile("/proc/" + entry.Name() + "/environ") // of another user's process it fails
		if err == nil && slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			return true
		}
	}
	return false
}

// Package ledger records the calls of the sample servers: a file with one JSON line for each call, so that a test can count what
// happened independently of the caller.
package ledger

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// Entry is one call that took effect.
type Entry struct {
	At     time.Time       `json:"at"`
	Tool   string          `json:"tool"`
	Effect string          `json:"effect"`
	Inputs json.RawMessage `json:"inputs,omitempty"`
	Key    string          `json:"key,omitempty"` // `_meta` runplane/idempotency_key of the call
	PID    int             `json:"pid"`
}

// File appends entries to one path; with an empty path it drops them. Several processes may append to one file.
type File struct {
	path string
	mu   sync.Mutex
}

// New uses the file at path, which need not exist.
func New(path string) *File { return &File{path: path} }

// Append writes one line with one write.
func (f *File) Append(tool, effect string, r mcp.CallToolRequest) error {
	if f.path == "" {
		return nil
	}
	line, err := json.Marshal(Entry{
		At: time.Now().UTC(), Tool: tool, Effect: effect, Inputs: r.Params.RawArguments, Key: Key(r), PID: os.Getpid(),
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return errors.Join(err, out.Close())
}

// Read returns every entry; a missing file has none.
func (f *File) Read() ([]Entry, error) {
	in, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var all []Entry
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, lines.Err()
}

// Key is the idempotency key that the caller sent in `_meta`.
func Key(r mcp.CallToolRequest) string {
	if r.Params.Meta == nil {
		return ""
	}
	key, _ := r.Params.Meta.AdditionalFields["runplane/idempotency_key"].(string)
	return key
}

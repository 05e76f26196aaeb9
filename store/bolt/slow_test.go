package bolt

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt/pages"
)

// countedDisk counts its reads.
type countedDisk struct {
	io.ReaderAt
	reads int
}

func (d *countedDisk) ReadAt(b []byte, at int64) (int, error) {
	d.reads++
	return d.ReaderAt.ReadAt(b, at)
}

// A survey says how far it has got, in order, and reads no value that it does not need.
func TestSurveyShowsItsProgress(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const records = 3 * progressEvery
	for i := 0; i < records; {
		var b store.Batch
		for range 1024 {
			b.Puts = append(b.Puts, store.Put{Key: store.Key{Kind: "x", ID: fmt.Sprintf("p/%d", i)}})
			i++
		}
		b.Puts[0].Value = make([]byte, 1<<20)
		mustCommit(t, s, b)
	}
	s.Close()
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	disk := &countedDisk{ReaderAt: f}
	in, err := pages.Open(disk, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	v := survey{in: in, progress: func(n int) { got = append(got, n) }}
	if err := v.run(); err != nil || len(v.findings) > 0 || v.entries != records {
		t.Fatalf("%d entries, %v, %v", v.entries, v.findings, err)
	}
	if fmt.Sprint(got) != fmt.Sprint([]int{progressEvery, 2 * progressEvery, 3 * progressEvery}) {
		t.Errorf("progress %v", got)
	}
	if pages := int(info.Size()) / 4096; disk.reads > pages/4 {
		t.Errorf("%d reads of a file of %d pages, most of which are values", disk.reads, pages)
	}
}

// A start that takes long says so once, and when it is done; others say nothing.
func TestSlowStartIsSaid(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		var b store.Batch
		for n := range 1000 {
			b.Puts = append(b.Puts, store.Put{Key: store.Key{Kind: "x", ID: fmt.Sprintf("p/%d/%d", i, n)}})
		}
		mustCommit(t, s, b)
	}
	s.Close()
	path := filepath.Join(dir, fileName)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, time.Hour} {
		var said []string
		f := &file{warn: func(text string) { said = append(said, text) }}
		if err := f.inspect(dir, path, info, after); err != nil {
			t.Fatal(err)
		}
		if after > 0 && len(said) != 0 || after == 0 && (len(said) != 2 || !strings.Contains(said[0], path) || !strings.Contains(said[1], "9000 keys")) {
			t.Errorf("after %v: said %q", after, said)
		}
	}
}

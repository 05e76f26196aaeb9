package bolt_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// childDir is the environment variable with which the test binary runs as another process that opens the store.
const childDir = "RUNPLANE_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	goleakMain(m)
}

// child opens the store and commits until it is killed, printing each number once it is acknowledged.
func child(dir string) {
	s, err := bolt.Open(bolt.Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	counter := store.Key{Kind: "counter", ID: "c"}
	r, err := s.Get(ctx(), counter)
	version := r.Version
	for err == nil || errors.Is(err, store.ErrNotFound) {
		var c store.Committed
		c, err = s.Commit(ctx(), store.Batch{
			Puts:    []store.Put{{Key: counter, Value: []byte("v"), Version: version, Terms: []string{fmt.Sprint("n=", version+1)}}},
			Appends: []store.Append{{Key: counter, Value: fmt.Append(nil, version+1)}},
			Wakes:   []store.Wake{{Key: counter, At: time.Now()}},
		})
		if err == nil {
			version = c.Versions[0]
			fmt.Println(version)
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
}

// startChild starts the other process and returns its output once it has opened the store.
func startChild(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the other process printed %q", lines.Text())
	}
	return cmd, lines
}

func TestHeldFileNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, dir)
	go func() {
		for lines.Scan() { // or it would block on its output
		}
	}()
	start := time.Now()
	_, err := bolt.Open(bolt.Options{Dir: dir})
	took := time.Since(start)
	if !errors.Is(err, store.ErrInUse) {
		t.Fatalf("got %v, want in use", err)
	}
	for _, part := range []string{fmt.Sprintf("process %d ", cmd.Process.Pid), filepath.Join(dir, "runplane.db"), "stop it", "--store"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not contain %q", err, part)
		}
	}
	if took > 20*time.Second { // it waits for a fraction of a second
		t.Errorf("the error took %v", took)
	}
}

func TestSecondOpenInOneProcess(t *testing.T) {
	dir := t.TempDir()
	open(t, bolt.Options{Dir: dir})
	if _, err := bolt.Open(bolt.Options{Dir: dir}); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "this process") {
		t.Fatalf("got %v", err)
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	counter := store.Key{Kind: "counter", ID: "c"}
	var last int64
	for round := range 8 {
		cmd, lines := startChild(t, dir)
		for n := 0; n < 5+37*round && lines.Scan(); n++ {
			v, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("the other process printed %q", lines.Text())
			}
			last = v
		}
		cmd.Process.Kill()
		for lines.Scan() {
			if v, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				last = v
			}
		}
		cmd.Wait()

		s, err := bolt.Open(bolt.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Get(ctx(), counter)
		if err != nil || r.Version < last || r.Version > last+1 {
			t.Fatalf("round %d: version %d, %v; acknowledged %d", round, r.Version, err, last)
		}
		es, err := s.Log(ctx(), counter, 0, 1<<20)
		if err != nil || int64(len(es)) != r.Version || string(es[len(es)-1].Value) != fmt.Sprint(r.Version) {
			t.Fatalf("round %d: %d entries, %v; version %d", round, len(es), err, r.Version)
		}
		if rs, err := s.List(ctx(), store.Query{Kind: "counter", Term: fmt.Sprint("n=", r.Version)}); err != nil || len(rs) != 1 {
			t.Fatalf("round %d: %d records with its term, %v", round, len(rs), err)
		}
		ls, err := s.Claim(ctx(), store.ClaimRequest{Kind: "counter", Owner: "next", TTL: time.Hour})
		if err != nil || len(ls) != 1 {
			t.Fatalf("round %d: claimed %v, %v", round, ls, err)
		}
		last = r.Version
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReopenKeepsDataAndEndsLeases(t *testing.T) {
	dir := t.TempDir()
	s := open(t, bolt.Options{Dir: dir})
	k := store.Key{Kind: "execution", ID: "e"}
	must(s.Commit(ctx(), store.Batch{
		Puts:    []store.Put{{Key: k, Value: []byte("head"), Terms: []string{"t"}, TTL: time.Hour}},
		Appends: []store.Append{{Key: k, Value: []byte("event")}},
		Wakes:   []store.Wake{{Key: k, At: time.Now().Add(-time.Second), Priority: 2, Fairness: "f"}},
		Claim:   &store.Claim{Key: k, Owner: "one", TTL: time.Hour},
	}))
	later := store.Key{Kind: "execution", ID: "later"}
	must(s.Commit(ctx(), store.Batch{Wakes: []store.Wake{{Key: later, At: time.Now().Add(time.Hour)}}}))
	old := must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "one", TTL: time.Hour}))
	if len(old) != 0 {
		t.Fatalf("claimed %v, want nothing yet", old)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, bolt.Options{Dir: dir})
	r, err := s.Get(ctx(), k)
	if err != nil || string(r.Value) != "head" || r.Version != 1 || r.Expires.IsZero() {
		t.Fatalf("got %+v, %v", r, err)
	}
	ls := must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "two", Max: 9, TTL: time.Hour}))
	if len(ls) != 1 || ls[0].Key != k {
		t.Fatalf("claimed %v, want %v", ls, k)
	}
	c := must(s.Commit(ctx(), store.Batch{Appends: []store.Append{{Key: k, Value: []byte("event 2")}}}))
	if c.Seqs[0] != 2 {
		t.Fatalf("the log went on with %d, want 2", c.Seqs[0])
	}
}

func TestTenThousandDueWakesAreClaimedAfterOpen(t *testing.T) {
	dir := t.TempDir()
	openDue(t, dir)
	claimDue(t, dir)
}

const dueWakes = 10_000

// openDue creates a store with due executions and closes it.
func openDue(t testing.TB, dir string) {
	t.Helper()
	s := open(t, bolt.Options{Dir: dir})
	for i := 0; i < dueWakes; i += 1000 {
		b := store.Batch{}
		for j := i; j < i+1000; j++ {
			k := store.Key{Kind: "execution", ID: fmt.Sprintf("p/%06d", j)}
			b.Puts = append(b.Puts, store.Put{Key: k, Value: make([]byte, 500), Terms: []string{"status=running"}})
			b.Wakes = append(b.Wakes, store.Wake{Key: k, At: time.Now(), Priority: 1 + j%5, Fairness: fmt.Sprint(j % 100)})
		}
		must(s.Commit(ctx(), b))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// claimDue opens that store, claims them all and closes it; then all are due again.
func claimDue(t testing.TB, dir string) {
	t.Helper()
	s := open(t, bolt.Options{Dir: dir})
	ls := must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "o", Max: dueWakes, TTL: time.Hour}))
	if len(ls) != dueWakes {
		t.Fatalf("claimed %d, want %d", len(ls), dueWakes)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSleepingWakesCostNoMemory(t *testing.T) {
	s := open(t, bolt.Options{Mem: true})
	must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "o", TTL: time.Hour}))
	before := heap()
	const n = 100_000
	for i := 0; i < n; i += 1000 {
		b := store.Batch{}
		for j := i; j < i+1000; j++ {
			b.Wakes = append(b.Wakes, store.Wake{Key: store.Key{Kind: "execution", ID: fmt.Sprintf("p/%06d", j)}, At: time.Now().Add(time.Hour)})
		}
		must(s.Commit(ctx(), b))
	}
	must(s.Claim(ctx(), store.ClaimRequest{Kind: "execution", Owner: "o", TTL: time.Hour, Wait: time.Millisecond}))
	if grown := heap() - before; grown > 5<<20 {
		t.Errorf("%d sleeping wakes take %d KiB of heap", n, grown>>10)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, bolt.Options{Dir: dir})
	for path, want := range map[string]os.FileMode{
		dir: 0o700, filepath.Join(dir, "runplane.db"): 0o600, filepath.Join(dir, "runplane.pid"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names := ls(t, dir); len(names) != 1 || names[0] != "runplane.db" {
		t.Errorf("close left %v", names)
	}
	if err := os.Chmod(filepath.Join(dir, "runplane.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, bolt.Options{Dir: dir})
	if info, err := os.Stat(filepath.Join(dir, "runplane.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("an opened file stays readable by others: %v, %v", info.Mode(), err)
	}
}

func TestMemLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s := open(t, bolt.Options{Mem: true})
	must(s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: store.Key{Kind: "x", ID: "a"}, Value: make([]byte, 1<<20)}}}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names := ls(t, tmp); len(names) != 0 {
		t.Errorf("close left %v", names)
	}
}

func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	if _, err := bolt.Open(bolt.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("no folder: got %v", err)
	}
	garbage := t.TempDir()
	if err := os.WriteFile(filepath.Join(garbage, "runplane.db"), []byte(strings.Repeat("garbage ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(bolt.Options{Dir: garbage}); err == nil || !strings.Contains(err.Error(), "runplane.db") {
		t.Errorf("garbage: got %v, want an error that names the file", err)
	}
	newer := t.TempDir()
	if err := open(t, bolt.Options{Dir: newer}).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(newer, "runplane.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("about")).Put([]byte("format"), []byte("99")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice: the first unlocked the file
		if _, err := bolt.Open(bolt.Options{Dir: newer}); err == nil || !strings.Contains(err.Error(), `"99"`) {
			t.Errorf("newer format: got %v", err)
		}
	}
}

func ls(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

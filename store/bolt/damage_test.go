package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
)

// damageRounds is the environment variable with the number of damages; make damage sets it.
const damageRounds = "RUNPLANE_DAMAGE"

// contents is all that a store gives out, as text by what was asked.
type contents map[string]string

// kindsOfDamage are what the files of this test hold.
var kindsOfDamage = []string{"execution", "state", "output"}

// read reads all of a store. An answer that is a fault of the file is left out; any other error fails the test.
func read(t *testing.T, s store.Store, keys []store.Key) contents {
	t.Helper()
	out := contents{}
	add := func(what string, v any, err error) {
		if errors.As(err, new(*bolt.Fault)) {
			return
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%s: %v, want a fault", what, err)
		}
		out[what] = fmt.Sprintf("%v %v", v, err)
	}
	for _, k := range keys {
		r, err := s.Get(ctx(), k)
		r.Expires = r.Expires.UTC()
		add("get "+k.String(), r, err)
		log, err := s.Log(ctx(), k, 0, 0)
		add("log "+k.String(), log, err)
		log, err = s.Log(ctx(), k, 3, 2)
		add("part of the log "+k.String(), log, err)
		p, err := s.Places(ctx(), []store.Key{k})
		if err == nil && p[0].Wake != nil {
			p[0].Wake.At = p[0].Wake.At.UTC()
			add("wake "+k.String(), *p[0].Wake, nil)
		} else {
			add("wake "+k.String(), nil, err)
		}
	}
	for _, kind := range kindsOfDamage {
		for _, q := range []store.Query{{}, {Reverse: true}, {Bare: true}, {Term: "status=open"}, {Prefix: "e1"}} {
			q.Kind, q.Limit = kind, 1000
			rs, err := s.List(ctx(), q)
			text := ""
			for _, r := range rs {
				r.Expires = r.Expires.UTC()
				text += fmt.Sprintf("%v\n", r)
			}
			add(fmt.Sprintf("list %+v", q), text, err)
		}
		n, err := s.Queue(ctx(), kind)
		add("sleeping "+kind, n.Sleeping, err)
	}
	return out
}

// fill writes a store of n records, logs and wakes, some of them large, in many commits, some of which delete, and returns its keys.
func fill(t *testing.T, s store.Store, n int) (keys []store.Key) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	commit := func(b store.Batch) {
		if _, err := s.Commit(ctx(), b); err != nil {
			t.Fatal(err)
		}
	}
	far := time.Now().Add(1000 * time.Hour).UTC()
	for i := range n {
		k := store.Key{Kind: kindsOfDamage[i%len(kindsOfDamage)], ID: fmt.Sprintf("e%03d", i)}
		keys = append(keys, k)
		for n := range 1 + r.IntN(6) {
			size := 20 + r.IntN(300)
			if i%40 == 7 {
				size = 9000 // more than a page
			}
			b := store.Batch{
				Puts: []store.Put{{
					Key: k, Version: store.AnyVersion, Value: fmt.Appendf(nil, "%d %d %s", i, n, bytes.Repeat([]byte("v"), size)),
					Terms: []string{"status=open", fmt.Sprint("n=", n)},
				}},
				Wakes: []store.Wake{{Key: k, At: far.Add(time.Duration(r.IntN(1e6)) * time.Second), Priority: 1 + n%5, Fairness: "p"}},
			}
			if i%9 == 0 {
				b.Puts[0].TTL = 2000 * time.Hour
			}
			for e := range r.IntN(4) {
				b.Appends = append(b.Appends, store.Append{Key: k, Value: fmt.Appendf(nil, "entry %d of %d", e, n)})
			}
			commit(b)
		}
		if i%7 == 3 {
			commit(store.Batch{Deletes: []store.Key{keys[r.IntN(len(keys))]}})
		}
	}
	return append(keys, store.Key{Kind: "execution", ID: "none"})
}

// damage changes a copy of a file in one of the ways in which files are damaged, and says how.
func damage(r *rand.Rand, whole []byte, used int) ([]byte, string) {
	b := bytes.Clone(whole)
	const page = 4096
	pages := used / page
	switch r.IntN(8) {
	case 0, 1, 2:
		at, bit := r.IntN(used), r.IntN(8)
		b[at] ^= 1 << bit
		return b, fmt.Sprintf("bit %d of byte %d", bit, at)
	case 3:
		at := r.IntN(used)
		b[at] = byte(r.UintN(256))
		return b, fmt.Sprintf("byte %d is %d", at, b[at])
	case 4:
		p := r.IntN(pages)
		clear(b[p*page : (p+1)*page])
		return b, fmt.Sprintf("page %d is zero", p)
	case 5:
		at := r.IntN(used/512) * 512
		clear(b[at : at+512])
		return b, fmt.Sprintf("sector at %d is zero", at)
	case 6:
		n := r.IntN(used)
		return b[:n], fmt.Sprintf("cut at %d", n)
	default:
		p, q := r.IntN(pages), r.IntN(pages)
		copy(b[p*page:(p+1)*page], whole[q*page:(q+1)*page])
		copy(b[q*page:(q+1)*page], whole[p*page:(p+1)*page])
		return b, fmt.Sprintf("pages %d and %d are swapped", p, q)
	}
}

// salvaged checks that what salvage copies of a damaged store is what was written, that it says so if anything is missing, and that the
// copy is sound.
func salvaged(t *testing.T, what, dir string, keys []store.Key, want contents) {
	t.Helper()
	before := must(os.ReadFile(filepath.Join(dir, "runplane.db")))
	out := t.TempDir()
	report, err := bolt.Salvage(dir, out, nil)
	if !bytes.Equal(before, must(os.ReadFile(filepath.Join(dir, "runplane.db")))) {
		t.Fatalf("%s: salvage changed the store", what)
	}
	if err != nil {
		if !errors.As(err, new(*bolt.Fault)) {
			t.Errorf("%s: salvage: %v, want a fault", what, err)
		}
		return
	}
	if found, err := bolt.Check(out); err != nil || len(found.Findings) > 0 {
		t.Errorf("%s: the copy: %v, %+v", what, err, found.Findings)
	}
	s, err := bolt.Open(bolt.Options{Dir: out})
	if err != nil {
		t.Errorf("%s: the copy: %v", what, err)
		return
	}
	defer s.Close()
	lost := map[store.Key]bool{}
	if report.Stale { // all of it may be as it was before
		return
	}
	somewhere := false // lost with a page: which keys it had is not known
	for _, f := range report.Findings {
		lost[f.Key] = lost[f.Key] || f.Lost
		somewhere = somewhere || f.Lost && f.Key == (store.Key{})
	}
	got := read(t, s, keys)
	for _, k := range keys {
		for _, asked := range []string{"get ", "log ", "wake "} {
			asked += k.String()
			have := got[asked]
			nothing := strings.HasSuffix(have, store.ErrNotFound.Error()) || strings.HasPrefix(have, "<nil>") ||
				strings.HasPrefix(want[asked], strings.TrimSuffix(have, "] <nil>")) // the beginning of a log
			if have != want[asked] && (!nothing || !lost[k] && !somewhere) {
				t.Errorf("%s: %s is %.200q, want %.200q; findings %+v", what, asked, have, want[asked], report.Findings)
			}
		}
	}
}

// TestDamagedFileIsAFault damages a file at random. The store must not open, with an error that says so, or give out only what was
// written, and a fault for anything else; salvage must copy only what was written. No damage is a panic.
func TestDamagedFileIsAFault(t *testing.T) {
	rounds := 25
	if n, err := strconv.Atoi(os.Getenv(damageRounds)); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	s := must(bolt.Open(bolt.Options{Dir: dir}))
	keys := fill(t, s, 120)
	want := read(t, s, keys)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "runplane.db")
	whole := must(os.ReadFile(path))
	used := len(bytes.TrimRight(whole, "\x00"))
	r := rand.New(rand.NewPCG(3, 4))
	opened, faults := 0, 0
	for round := range rounds {
		b, what := damage(r, whole, used)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		salvaged(t, fmt.Sprintf("round %d, %s", round, what), dir, keys, want)
		s, err := bolt.Open(bolt.Options{Dir: dir})
		if err != nil {
			faults++
			if !errors.As(err, new(*bolt.Fault)) {
				t.Errorf("round %d, %s: %v, want a fault", round, what, err)
			}
			continue
		}
		opened++
		for asked, got := range read(t, s, keys) {
			if diff := cmp.Diff(want[asked], got); diff != "" {
				t.Errorf("round %d, %s: %s (-want +got):\n%s", round, what, asked, diff)
			}
		}
		_, err = s.Commit(ctx(), store.Batch{Puts: []store.Put{{Key: keys[r.IntN(len(keys))], Value: []byte("new"), Version: store.AnyVersion}}})
		if err != nil && !errors.As(err, new(*bolt.Fault)) {
			t.Errorf("round %d, %s: commit: %v, want a fault", round, what, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("round %d, %s: close: %v", round, what, err)
		}
	}
	t.Logf("%d damages: %d were refused at the start, %d stores opened", rounds, faults, opened)
	if faults == 0 || opened == 0 {
		t.Error("the damages are all of one kind")
	}
}

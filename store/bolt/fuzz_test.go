package bolt

import (
	"bytes"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
)

func FuzzParseRecord(f *testing.F) {
	f.Add(appendRecord(nil, &store.Put{Value: []byte("v"), Terms: []string{"a", "b"}}, 7))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		out, err := r.record(store.Key{}, false)
		if err != nil {
			return
		}
		again := appendRecord(nil, &store.Put{Value: out.Value, Terms: out.Terms}, r.expires)
		setVersion(again, out.Version)
		back, err := parseRecord(again)
		same := back.version == r.version && back.expires == r.expires && bytes.Equal(back.terms, r.terms) && bytes.Equal(back.value, r.value)
		if err != nil || !same {
			t.Fatalf("%+v round-trips to %+v, %v", r, back, err)
		}
	})
}

func FuzzParseEntries(f *testing.F) {
	r := (&requestPool{}).get()
	k := store.Key{Kind: "x", ID: "a"}
	r.encode(&store.Batch{Appends: []store.Append{{Key: k, Value: []byte("one")}, {Key: k}}}, time.Now())
	f.Add(r.logs[0].chunk, int64(2), int64(0))
	f.Add([]byte{0xff}, int64(1), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, last, after int64) {
		es, _, err := appendEntries(nil, b, last, after, 10)
		if err == nil && len(es) > 10 {
			t.Fatalf("%d entries, want 10 at most", len(es))
		}
	})
}

func FuzzParseWake(f *testing.F) {
	f.Add(appendWake(nil, wake{at: 1, priority: 3, fairness: "f"})[8:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, fairness, err := parseWake(b)
		if err != nil {
			return
		}
		p2, fairness2, err := parseWake(appendWake(nil, wake{priority: p, fairness: string(fairness)})[8:])
		if err != nil || p2 != p || !bytes.Equal(fairness, fairness2) {
			t.Fatalf("%d %q round-trips to %d %q, %v", p, fairness, p2, fairness2, err)
		}
	})
}

package storetest

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/runplane/runplane/store"
)

var logTests = []test{
	{"an empty log has no entries", func(f *fixture) {
		f.wantLog(key("x", "a"))
		if es := f.log(key("x", "a"), 5, 10); len(es) != 0 {
			f.Fatalf("got %v", es)
		}
	}},
	{"numbers count from one without gaps", func(f *fixture) {
		k := key("x", "a")
		next := int64(1)
		for n := range 12 {
			var b store.Batch
			for range n {
				b.Appends = append(b.Appends, store.Append{Key: k, Value: []byte("e")})
			}
			for _, seq := range f.commit(b).Seqs {
				if seq != next {
					f.Fatalf("got number %d, want %d", seq, next)
				}
				next++
			}
		}
		for i, e := range f.log(k, 0, 0) {
			if e.Seq != int64(i+1) {
				f.Fatalf("entry %d has number %d", i+1, e.Seq)
			}
		}
	}},
	{"after and limit work anywhere", func(f *fixture) {
		k := key("x", "a")
		n := 0
		for size := range 9 {
			var b store.Batch
			for range size {
				n++
				b.Appends = append(b.Appends, store.Append{Key: k, Value: fmt.Append(nil, n)})
			}
			f.commit(b)
		}
		for after := range n + 2 {
			for _, limit := range []int{1, 2, 5, n, n + 1} {
				es := f.log(k, int64(after), limit)
				if want := min(limit, max(n-after, 0)); len(es) != want {
					f.Fatalf("after %d limit %d: got %d entries, want %d", after, limit, len(es), want)
				}
				for i, e := range es {
					if want := after + i + 1; e.Seq != int64(want) || string(e.Value) != fmt.Sprint(want) {
						f.Fatalf("after %d limit %d: entry %d is %d %q", after, limit, i, e.Seq, e.Value)
					}
				}
			}
		}
	}},
	{"a page is 1,000 by default", func(f *fixture) {
		var b store.Batch
		for range 1005 {
			b.Appends = append(b.Appends, store.Append{Key: key("x", "a"), Value: []byte("e")})
		}
		f.commit(b)
		if got := len(f.log(key("x", "a"), 0, 0)); got != 1000 {
			f.Fatalf("got %d entries, want 1000", got)
		}
	}},
	{"empty and large entries are returned unchanged", func(f *fixture) {
		k := key("x", "a")
		large := bytes.Repeat([]byte("\x00\xff"), 300_000)
		f.commit(store.Batch{Appends: []store.Append{{Key: k}, {Key: k, Value: large}, {Key: k, Value: []byte("end")}}})
		f.wantLog(k, "", string(large), "end")
	}},
	{"log and record are independent", func(f *fixture) {
		k := key("x", "a")
		f.commit(store.Batch{Appends: []store.Append{{Key: k, Value: []byte("1")}}})
		f.absent(k)
		f.wantList(store.Query{Kind: "x"})
		f.put(store.Put{Key: k})
		f.wantLog(k, "1")
	}},
	{"logs of similar IDs are separate", func(f *fixture) {
		for _, id := range []string{"a", "a\x00", "a\x00\x00\x00\x00\x00\x00\x00\x01", "aa", "a/b"} {
			f.commit(store.Batch{Appends: []store.Append{{Key: key("x", id), Value: []byte(id)}}})
		}
		for _, id := range []string{"a", "a\x00", "a\x00\x00\x00\x00\x00\x00\x00\x01", "aa", "a/b"} {
			f.wantLog(key("x", id), id)
		}
	}},
	{"concurrent appends leave no gap", func(f *fixture) {
		const writers, rounds = 16, 25
		k := key("x", "a")
		var mu sync.Mutex
		answers := map[int64]string{}
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for n := range rounds {
					value := fmt.Sprint(w, "/", n)
					c, err := f.s.Commit(f.ctx, store.Batch{Appends: []store.Append{{Key: k, Value: []byte(value)}}})
					if err != nil {
						f.Error(err)
						return
					}
					mu.Lock()
					answers[c.Seqs[0]] = value
					mu.Unlock()
				}
			})
		}
		group.Wait()
		es := f.log(k, 0, writers*rounds+1)
		if len(es) != writers*rounds {
			f.Fatalf("got %d entries, want %d", len(es), writers*rounds)
		}
		for i, e := range es {
			if e.Seq != int64(i+1) || answers[e.Seq] != string(e.Value) {
				f.Fatalf("entry %d: number %d %q, but its writer wrote %q", i+1, e.Seq, e.Value, answers[e.Seq])
			}
		}
	}},
}

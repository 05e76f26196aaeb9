package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
)

// logInput appends entries in one batch, or reads the log if there are none.
type logInput struct {
	entries []string
}

func (in logInput) reads() bool { return len(in.entries) == 0 }

// logOutput is the numbers of the new entries, or the entries read, each followed by a comma.
type logOutput struct {
	seqs []int64
	read string
}

// logModel is one log: its entries, each followed by a comma.
func logModel() porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []any { return []any{""} },
		Step: func(state, input, output any) []any {
			before, in := state.(string), input.(logInput)
			after, seqs := before, []int64(nil)
			for _, e := range in.entries {
				after += e + ","
				seqs = append(seqs, int64(strings.Count(after, ",")))
			}
			switch out := output.(type) {
			case unknown:
				return []any{before, after}
			case logOutput:
				if in.reads() && out.read == before || !in.reads() && fmt.Sprint(out.seqs) == fmt.Sprint(seqs) {
					return []any{after}
				}
			}
			return nil
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// logCalls appends one or two entries to the one log, or reads it.
func logCalls(s store.Store, partition string) calling {
	var mu sync.Mutex
	serial := 0
	k := key("log", partition)
	return func(r *rand.Rand, _ int) (any, func(context.Context) (any, error)) {
		mu.Lock()
		defer mu.Unlock()
		var in logInput
		var b store.Batch
		for range r.IntN(3) {
			serial++
			in.entries = append(in.entries, fmt.Sprint(serial))
			b.Appends = append(b.Appends, store.Append{Key: k, Value: fmt.Append(nil, serial)})
		}
		return in, func(ctx context.Context) (any, error) {
			if !in.reads() {
				c, err := s.Commit(ctx, b)
				return logOutput{seqs: c.Seqs}, err
			}
			es, err := s.Log(ctx, k, 0, 0)
			var read strings.Builder
			for i, e := range es {
				if e.Seq != int64(i+1) {
					return nil, fmt.Errorf("entry %d has number %d", i+1, e.Seq)
				}
				fmt.Fprintf(&read, "%s,", e.Value)
			}
			return logOutput{read: read.String()}, err
		}
	}
}

// logAnswer returns from the log what happened to an append without an answer.
func logAnswer(input any, log []string) (output any, happened bool) {
	var out logOutput
	at := slices.Index(log, input.(logInput).entries[0])
	for i := range input.(logInput).entries {
		out.seqs = append(out.seqs, int64(at+i+1))
	}
	return out, at >= 0
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"github.com/anishathalye/porcupine"

	"github.com/runplane/runplane/store"
)

// registers is the state of the record model: values and versions, and the number of commits, each of which appends an entry to a
// log.
type registers struct {
	all     [3]register
	commits int64
}

type register struct {
	value   int
	version int64
}

// registerInput writes registers, or reads one if there are no puts.
type registerInput struct {
	read int
	puts []registerPut
}

func (in registerInput) reads() bool { return len(in.puts) == 0 }

type registerPut struct {
	register int
	version  int64 // as in store.Put
	value    int   // different in each put
}

// registerOutput is what was read, or the new versions and the number of the log entry; 0: a conflict.
type registerOutput struct {
	register
	versions string
	commit   int64
}

func registerModel() porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []any { return []any{registers{}} },
		Step: func(state, input, output any) []any {
			s, in := state.(registers), input.(registerInput)
			out, lost := output.(registerOutput)
			lost = !lost
			if in.reads() {
				r := s.all[in.read]
				if out.version != r.version || r.version > 0 && out.value != r.value {
					return nil
				}
				return []any{s}
			}
			after, conflict, versions := s, false, []int64(nil)
			for _, p := range in.puts {
				r := &after.all[p.register]
				conflict = conflict || p.version != store.AnyVersion && p.version != r.version
				r.value, r.version = p.value, r.version+1
				versions = append(versions, r.version)
			}
			after.commits++
			switch {
			case lost && conflict:
				return []any{s}
			case lost:
				return []any{s, after}
			case conflict && out.commit == 0:
				return []any{s}
			case conflict || out.commit != after.commits || out.versions != "" && out.versions != fmt.Sprint(versions):
				return nil
			}
			return []any{after}
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

func registerKey(partition string, i int) store.Key {
	return key("register", fmt.Sprintf("%s/%d", partition, i))
}

// registerCalls reads one record, or writes one or two with the version that the client knows, or with AnyVersion.
func registerCalls(s store.Store, partition string) calling {
	var mu sync.Mutex
	value, known := 0, [clients]registers{}
	learn := func(client, i int, version int64) {
		mu.Lock()
		defer mu.Unlock()
		known[client].all[i].version = version
	}
	return func(r *rand.Rand, client int) (any, func(context.Context) (any, error)) {
		mu.Lock()
		defer mu.Unlock()
		in := registerInput{read: r.IntN(3)}
		if r.IntN(2) == 0 {
			return in, func(ctx context.Context) (any, error) {
				got, err := s.Get(ctx, registerKey(partition, in.read))
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return nil, err
				}
				out := registerOutput{register: register{version: got.Version}}
				if got.Version > 0 {
					if out.value, err = strconv.Atoi(string(got.Value)); err != nil {
						return nil, err
					}
				}
				learn(client, in.read, got.Version)
				return out, nil
			}
		}
		var b store.Batch
		for _, i := range r.Perm(3)[:1+r.IntN(2)] {
			value++
			p := registerPut{i, known[client].all[i].version, value}
			if r.IntN(6) == 0 {
				p.version = store.AnyVersion
			}
			in.puts = append(in.puts, p)
			b.Puts = append(b.Puts, store.Put{Key: registerKey(partition, i), Version: p.version, Value: fmt.Append(nil, p.value)})
		}
		b.Appends = []store.Append{{Key: key("register", partition), Value: b.Puts[0].Value}}
		return in, func(ctx context.Context) (any, error) {
			c, err := s.Commit(ctx, b)
			if errors.Is(err, store.ErrConflict) {
				return registerOutput{}, nil
			}
			if err != nil {
				return nil, err
			}
			for i, v := range c.Versions {
				learn(client, in.puts[i].register, v)
			}
			return registerOutput{versions: fmt.Sprint(c.Versions), commit: c.Seqs[0]}, nil
		}
	}
}

// registerAnswer returns from the log what happened to a commit without an answer.
func registerAnswer(input any, log []string) (output any, happened bool) {
	at := slices.Index(log, strconv.Itoa(input.(registerInput).puts[0].value))
	return registerOutput{commit: int64(at + 1)}, at >= 0
}

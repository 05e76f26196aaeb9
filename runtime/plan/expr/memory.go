package expr

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/schemas"
)

// Memory of evaluations. Most take a few kilobytes and are not counted. One that reads or makes more than smallEvaluation first reserves the
// most that it may take, of what all evaluations of the process may take together, and waits until that is free. It holds no other
// reservation while it waits, and none after it, so that evaluations never wait for each other in a circle.
const (
	smallEvaluation   = 1 << 20
	madeByEvaluation  = 32 << 20 // what the steps of one expression may make
	readsPerBound     = 64       // how many times the largest output the decoded values that one expression reads may take
	DefaultAllMemory  = 128 << 20
	smallestAllMemory = 32 << 20
)

// reservation is the memory of all evaluations together.
type reservation struct {
	*semaphore.Weighted
	total int64
}

var allMemory atomic.Pointer[reservation]

func init() { LimitMemory(DefaultAllMemory) } //nolint:gochecknoinits // the limit of a process that sets none

// LimitMemory sets how many bytes the evaluations of the process may take together; see [DefaultAllMemory]. Those that run keep what they
// have reserved.
func LimitMemory(bytes int64) {
	bytes = max(bytes, smallestAllMemory)
	allMemory.Store(&reservation{semaphore.NewWeighted(bytes), bytes})
}

// reserve waits until an evaluation may take that many bytes beside what it makes, and returns what gives them back.
func reserve(ctx context.Context, reads int) (release func(), err error) {
	all := allMemory.Load()
	weight := min(all.total, madeByEvaluation+int64(reads))
	if err := all.Acquire(ctx, weight); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, context.Cause(ctx))
	}
	return func() { all.Release(weight) }, nil
}

// pending is a value that an expression reads and that is not decoded yet.
type pending struct {
	in   map[string]any
	name string
	of   string // as messages name it
	v    *Value
}

// reading collects what an expression reads.
type reading struct {
	vars   map[string]any
	values []pending
	few    [2]pending // where values begins
}

// read puts a value into a variable, once all of them are known.
func (r *reading) read(in map[string]any, name, of string, v *Value) {
	if in[name] = nil; v != nil {
		r.values = append(r.values, pending{in, name, of, v})
	}
}

// size is what the values take when they are decoded.
func (r *reading) size() int {
	size := 0
	for i := range r.values {
		size += r.values[i].v.decodedSize()
	}
	return size
}

// decode decodes the values.
func (r *reading) decode() error {
	for i := range r.values {
		p := &r.values[i]
		decoded, err := p.v.Decode()
		if err != nil {
			return schemas.Errorf(schemas.CodeExpressionError, "%s cannot be read: %v", p.of, err)
		}
		p.in[p.name] = decoded
	}
	return nil
}

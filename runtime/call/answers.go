package call

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Answers keep what capabilities that read have answered, where a policy has a cache_ttl: the same question of the same
// principal gets the kept answer, and identical questions at one time are asked once. Beyond its time an answer may stand
// in while the capability cannot be called (stale_if_error); it is flagged degraded then. Every kept answer tells its age.
//
// The memory is bounded in bytes; what was not asked for longest goes first.
type Answers struct {
	room int

	mu      sync.Mutex
	used    int
	byKey   map[question]*list.Element
	recent  *list.List // of *answer, the last asked first
	flights map[flightKey]*flight
}

// question is a digest of everything that an answer depends on: who asks, what, and by which definition of the tool.
type question [sha256.Size]byte

type answer struct {
	question question
	result   Result
	at       time.Time
}

// NewAnswers makes an empty memory of so many bytes.
func NewAnswers(room int) *Answers {
	return &Answers{room: room, byKey: map[question]*list.Element{}, recent: list.New(), flights: map[flightKey]*flight{}}
}

// Wrap is the [Wrapper].
func (a *Answers) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rules := c.rules()
		keep := rules.CacheTTL + rules.StaleIfError
		if keep <= 0 || c.Effect != schemas.EffectRead || c.Hash == "" || c.IdempotencyArg != "" {
			return next.Invoke(ctx, c)
		}
		q, ok := questionOf(c)
		if !ok {
			return next.Invoke(ctx, c)
		}
		if res := a.kept(q, rules.CacheTTL, keep); res != nil {
			return res, nil
		}
		var res *Result
		var err error
		if rules.CacheTTL > 0 {
			res, err = a.together(ctx, q, c, next)
		} else if res, err = next.Invoke(ctx, c); err == nil {
			a.keep(q, res)
		}
		if err == nil || ctx.Err() != nil || rules.StaleIfError <= 0 || !away[schemas.AsError(err).Code] {
			return res, err
		}
		if stale := a.kept(q, keep, keep); stale != nil {
			stale.Degraded = true
			return stale, nil
		}
		return nil, err
	})
}

// away are the failures for which a stale answer stands in: the capability cannot be called, or does not answer.
var away = map[schemas.Code]bool{
	schemas.CodeUnavailable: true, schemas.CodeTimeout: true, schemas.CodeHeartbeatLost: true, schemas.CodeCircuitOpen: true,
}

// questionOf digests a call; false: its inputs are no JSON. Spaces and the order of keys do not make another question.
func questionOf(c *Call) (q question, ok bool) {
	inputs := []byte("{}")
	if len(c.Inputs) > 0 {
		var v any
		d := json.NewDecoder(bytes.NewReader(c.Inputs))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return q, false
		}
		var err error
		if inputs, err = json.Marshal(v); err != nil {
			return q, false
		}
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.Principal), []byte(c.Realm), []byte(c.Capability), []byte(c.Hash), inputs} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	h.Sum(q[:0])
	return q, true
}

// kept is the answer if it is no older than good, a copy of the caller's own; one that is older than keep is dropped.
func (a *Answers) kept(q question, good, keep time.Duration) *Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[q]
	if e == nil {
		return nil
	}
	have := e.Value.(*answer)
	age := time.Since(have.at)
	if age >= keep {
		a.drop(e)
		return nil
	}
	if age >= good {
		return nil
	}
	a.recent.MoveToFront(e)
	res := have.result
	res.Age = age
	return &res
}

// keep remembers an answer, unless it is itself a makeshift or would push out most of the others.
func (a *Answers) keep(q question, res *Result) {
	size := sizeOf(res)
	if res.Degraded || size > a.room/8 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[q]; e != nil {
		a.drop(e)
	}
	for a.used+size > a.room {
		a.drop(a.recent.Back())
	}
	a.byKey[q] = a.recent.PushFront(&answer{question: q, result: *res, at: time.Now()})
	a.used += size
}

// drop forgets an answer; a.mu is held.
func (a *Answers) drop(e *list.Element) {
	have := a.recent.Remove(e).(*answer)
	delete(a.byKey, have.question)
	a.used -= sizeOf(&have.result)
}

// answerOverhead is about what an answer takes beside its bytes.
const answerOverhead = 300

func sizeOf(res *Result) int {
	return answerOverhead + len(res.Output) + len(res.Text) + len(res.ServedBy)
}

package call

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runplane/runplane/schemas"
)

// Cache is a cache of results of capabilities with the effect read, if a policy has a cache_ttl: the same call by the same
// principal gets the cached result, and concurrent identical calls are made once (coalesce.go). After cache_ttl a result may
// still be returned while the capability cannot be called (stale_if_error); it is flagged degraded then. Result.Age is the age
// of a cached result.
//
// The cache is bounded in bytes; the least recently used result is evicted first.
type Cache struct {
	capacity int

	mu       sync.Mutex
	used     int
	byKey    map[cacheKey]*list.Element
	recent   *list.List // of *cacheEntry, the most recently used first
	inFlight map[sharedKey]*sharedCall
	cleared  uint64 // how often
}

// cacheKey is a digest of everything that a result depends on: principal, capability, definition of the tool and inputs, with the secrets that
// they read, and those that the operator allows.
type cacheKey [sha256.Size]byte

type cacheEntry struct {
	question cacheKey
	result   Result
	at       time.Time
}

// NewCache returns an empty cache with a capacity in bytes.
func NewCache(capacity int) *Cache {
	return &Cache{capacity: capacity, byKey: map[cacheKey]*list.Element{}, recent: list.New(), inFlight: map[sharedKey]*sharedCall{}}
}

// Wrap is the [Wrapper].
func (a *Cache) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rules := c.rules()
		keep := rules.CacheTTL + rules.StaleIfError
		if keep <= 0 || c.Effect != schemas.EffectRead || c.Hash == "" || c.IdempotencyArg != "" {
			return next.Invoke(ctx, c)
		}
		q, ok := a.keyOf(c)
		if !ok {
			return next.Invoke(ctx, c)
		}
		if res := a.lookup(q, rules.CacheTTL, keep); res != nil {
			return res, nil
		}
		var res *Result
		var err error
		if rules.CacheTTL > 0 {
			res, err = a.coalesce(ctx, q, c, next)
		} else if res, err = next.Invoke(ctx, c); err == nil {
			a.put(q, res)
		}
		if err == nil || ctx.Err() != nil || rules.StaleIfError <= 0 || !unreachable[schemas.AsError(err).Code] {
			return res, err
		}
		if stale := a.lookup(q, keep, keep); stale != nil {
			stale.Degraded = true
			return stale, nil
		}
		return nil, err
	})
}

// unreachable are the failures for which a stale result is returned: the capability cannot be called, or does not answer.
var unreachable = map[schemas.Code]bool{
	schemas.CodeUnavailable: true, schemas.CodeTimeout: true, schemas.CodeHeartbeatLost: true, schemas.CodeCircuitOpen: true,
}

// keyOf digests a call; false: its inputs are not JSON. Spaces and the order of fields do not matter.
func (a *Cache) keyOf(c *Call) (q cacheKey, ok bool) {
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
	parts := [][]byte{[]byte(c.Principal), []byte(c.Realm), []byte(c.Capability), []byte(c.Hash), inputs}
	if len(c.Secrets) > 0 { // a call that has their values asks for something else after a change of them
		a.mu.Lock()
		cleared := a.cleared
		a.mu.Unlock()
		parts = append(parts, []byte(strings.Join(c.Secrets, " ")), []byte(strings.Join(c.rules().Policy.Secrets, " ")), []byte(strconv.FormatUint(cleared, 10)))
	}
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	h.Sum(q[:0])
	return q, true
}

// lookup returns a copy of the result if it is younger than good; nil: there is none. A result that is as old as keep is dropped.
func (a *Cache) lookup(q cacheKey, good, keep time.Duration) *Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[q]
	if e == nil {
		return nil
	}
	have := e.Value.(*cacheEntry)
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

// put stores a result, unless it is degraded or larger than an eighth of the capacity.
func (a *Cache) put(q cacheKey, res *Result) {
	size := sizeOf(res)
	if res.Degraded || size > a.capacity/8 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[q]; e != nil {
		a.drop(e)
	}
	for a.used+size > a.capacity {
		a.drop(a.recent.Back())
	}
	a.byKey[q] = a.recent.PushFront(&cacheEntry{question: q, result: *res, at: time.Now()})
	a.used += size
}

// Clear removes all results.
func (a *Cache) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleared++
	for a.recent.Len() > 0 {
		a.drop(a.recent.Back())
	}
}

// drop removes a result. The caller holds a.mu.
func (a *Cache) drop(e *list.Element) {
	have := a.recent.Remove(e).(*cacheEntry)
	delete(a.byKey, have.question)
	a.used -= sizeOf(&have.result)
}

// entryOverhead is about how many bytes an entry takes besides those of its result.
const entryOverhead = 300

func sizeOf(res *Result) int {
	size := entryOverhead + len(res.Output) + len(res.Text) + len(res.Content) + len(res.ServedBy)
	for _, note := range res.Notes {
		size += len(note)
	}
	return size
}

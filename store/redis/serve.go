package redis

import (
	"errors"
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

// serve asks the server for leases until no waiter is left.
func (q *claimQueue) serve() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		shards, wait, ok := q.due()
		if !ok {
			return
		}
		if len(shards) > 0 {
			q.claimFrom(shards)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-q.changed:
		case <-q.s.stop:
			q.failAll(store.ErrClosed)
		}
	}
}

// due returns the shards to ask now, in turn, or how long until the next; not ok: no waiter is left. It answers the waiters
// that do not wait and for which every shard was asked and had nothing.
func (q *claimQueue) due() (shards []*shard, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiters = slices.DeleteFunc(q.waiters, func(w *waiter) bool {
		if w.request.Wait > 0 || slices.Min(q.empty) <= w.since {
			return false
		}
		close(w.done)
		return true
	})
	if len(q.waiters) == 0 {
		q.running = false
		return nil, 0, false
	}
	now := time.Now()
	wait = poll
	for i := range q.nextLook {
		at := (q.first + i) % len(q.nextLook)
		if d := q.nextLook[at].Sub(now); d > 0 {
			wait = min(wait, d)
		} else {
			shards = append(shards, q.s.shards[at])
		}
	}
	return shards, wait, true
}

// claimFrom asks shards, one after the other, for as many leases as the first waiter wants. If there are several, it first
// peeks at all of them concurrently, and skips those that have nothing due or do not answer.
func (q *claimQueue) claimFrom(shards []*shard) {
	if len(shards) > 1 || len(q.nextLook) > 1 && q.isDown(shards[0]) {
		shards = q.peek(shards)
	}
	w := q.next()
	if w == nil {
		return
	}
	var got []store.Lease
	for _, sh := range shards {
		if got = append(got, q.claim(sh, &w.request, w.request.Max-len(got))...); len(got) == w.request.Max {
			break
		}
	}
	if len(got) > 0 && !q.answer(w, got, nil) {
		q.release(got)
	}
}

// next is the first waiter; nil: there is none.
func (q *claimQueue) next() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiters) == 0 {
		return nil
	}
	return q.waiters[0]
}

// claim asks a shard for leases.
func (q *claimQueue) claim(sh *shard, r *store.ClaimRequest, most int) []store.Lease {
	token, ask := newToken(), q.ask(sh)
	c := run(claimScript, []string{sh.base}, q.kind, r.Owner, micros(r.TTL), most, token)
	if err := q.s.do(q.s.life, sh, &sh.requests, c); err != nil {
		q.unanswered(sh, ask, err)
		return nil
	}
	list, _ := c.reply.([]any)
	if len(list) < 2 {
		q.unanswered(sh, ask, errReply)
		return nil
	}
	wait, _ := list[0].(int64)
	until, err := parseMicros(list[1])
	if err != nil {
		q.unanswered(sh, ask, err)
		return nil
	}
	var leases []store.Lease
	for i, id := range list[2:] {
		text, _ := id.(string)
		if text == "" {
			q.unanswered(sh, ask, errReply)
			return nil
		}
		leases = append(leases, store.Lease{
			Key: store.Key{Kind: q.kind, ID: text[1:]}, Owner: r.Owner, Token: token*1000 + int64(i), Until: until, Died: text[0] == '+',
		})
	}
	q.answered(sh, ask, wait, len(leases) == 0)
	return leases
}

// peekWait is how long a peek waits for a shard when another one has answered.
const peekWait = 250 * time.Millisecond

// peek returns those of the shards that have something due.
func (q *claimQueue) peek(shards []*shard) (due []*shard) {
	asks, calls := make([]int64, len(shards)), make([]*call, len(shards))
	some := make(chan struct{}, len(shards))
	for i, sh := range shards {
		asks[i], calls[i] = q.ask(sh), run(peekScript, []string{sh.base}, q.kind).again()
		calls[i].also = some
		if err := q.s.add(sh, &sh.requests, calls[i]); err != nil {
			q.failAll(err)
			return nil
		}
	}
	var timeout <-chan time.Time
	if q.othersUp(shards) {
		timeout = time.After(peekWait)
	}
	for n := 0; n < len(calls); n++ {
		select {
		case <-some:
			if timeout == nil {
				timeout = time.After(peekWait)
			}
			continue
		case <-timeout:
		case <-q.s.life.Done():
		}
		break
	}
	for i, c := range calls {
		select {
		case <-c.done:
		default:
			q.unanswered(shards[i], asks[i], &Fault{Kind: Silent})
			continue
		}
		switch wait, ok := c.reply.(int64); {
		case c.err != nil:
			q.unanswered(shards[i], asks[i], c.err)
		case !ok:
			q.unanswered(shards[i], asks[i], errReply)
		default:
			q.answered(shards[i], asks[i], wait, wait != 0)
			if wait == 0 {
				due = append(due, shards[i])
			}
		}
	}
	return due
}

// ask numbers a question to a shard. A hint about the shard from now on is newer than the answer.
func (q *claimQueue) ask(sh *shard) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nextLook[sh.number] = time.Now().Add(time.Hour)
	q.asks++
	return q.asks
}

// answered notes the answer of a shard: whether it had nothing, and in how many microseconds to ask it again (unless a hint
// came meanwhile).
func (q *claimQueue) answered(sh *shard, ask, wait int64, nothing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down[sh.number] = false
	d := poll
	if wait >= 0 && wait < poll.Microseconds() {
		d = time.Duration(wait)*time.Microsecond + 50*time.Microsecond
	}
	if at := time.Now().Add(d); at.Before(q.nextLook[sh.number]) {
		q.nextLook[sh.number] = at
	}
	if nothing {
		q.empty[sh.number] = ask
	} else {
		q.first = (sh.number + 1) % len(q.nextLook)
	}
}

// unanswered notes that a shard did not answer. It is asked again after poll; if no other shard answers either, all waiters
// get the error.
func (q *claimQueue) unanswered(sh *shard, ask int64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down[sh.number] = true
	if !slices.Contains(q.down, false) || errors.Is(err, store.ErrClosed) {
		q.fail(err)
		return
	}
	q.nextLook[sh.number], q.empty[sh.number] = time.Now().Add(poll), ask
}

func (q *claimQueue) isDown(sh *shard) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.down[sh.number]
}

// othersUp reports whether a shard other than these answered the last question to it.
func (q *claimQueue) othersUp(these []*shard) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, down := range q.down {
		if !down && !slices.ContainsFunc(these, func(sh *shard) bool { return sh.number == i }) {
			return true
		}
	}
	return false
}

// failAll answers all waiters with the error.
func (q *claimQueue) failAll(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail(err)
}

// fail is failAll; the caller holds q.mu.
func (q *claimQueue) fail(err error) {
	for _, w := range q.waiters {
		w.err = err
		close(w.done)
	}
	q.waiters = nil
	clear(q.nextLook)
}

// release ends leases whose claimer has left, also while the store closes. If that fails they expire.
func (q *claimQueue) release(leases []store.Lease) {
	for sh, at := range q.s.byShard(len(leases), func(i int) store.Key { return leases[i].Key }) {
		args := []any{0}
		for _, i := range at {
			args = append(args, leases[i].Key.Kind, leases[i].Key.ID, leases[i].Token, flag(leases[i].Died))
		}
		q.s.exchange(sh, []*call{run(renewScript, []string{sh.base}, args...).again()})
		q.hint(sh.number, time.Time{})
	}
}

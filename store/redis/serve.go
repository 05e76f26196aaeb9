package redis

import (
	"slices"
	"time"

	"github.com/runplane/runplane/store"
)

// serve asks the server for the waiters, and ends with the last of them.
func (q *claimQueue) serve() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		shards, wait, ok := q.due()
		if !ok {
			return
		}
		if len(shards) > 0 {
			q.visit(shards)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-q.poke:
		case <-q.s.stop:
			q.failAll(store.ErrClosed)
		}
	}
}

// due says which shards to look at now, in turn, or how long until the next; not ok: nobody waits any more. Those who wanted an
// answer at once, and for whom everything was looked at in vain, get theirs.
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
	for i := range q.look {
		at := (q.first + i) % len(q.look)
		if d := q.look[at].Sub(now); d > 0 {
			wait = min(wait, d)
		} else {
			shards = append(shards, q.s.shards[at])
		}
	}
	return shards, wait, true
}

// visit asks some shards, one after the other, for as many leases as the first waiter wants. Where there are several, those
// that have nothing are left out at the price of one peek at all of them together.
func (q *claimQueue) visit(shards []*shard) {
	if len(shards) > 1 {
		shards = q.peek(shards)
	}
	w := q.next()
	if w == nil {
		return
	}
	var got []store.Lease
	for _, sh := range shards {
		leases, err := q.claim(sh, &w.request, w.request.Max-len(got))
		if got = append(got, leases...); err != nil && len(got) == 0 {
			q.failAll(err)
			return
		}
		if err != nil || len(got) == w.request.Max {
			break
		}
	}
	if len(got) > 0 && !q.answer(w, got, nil) {
		q.giveBack(got)
	}
}

// next is the waiter to serve; nil: there is none.
func (q *claimQueue) next() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiters) == 0 {
		return nil
	}
	return q.waiters[0]
}

// claim asks a shard for leases.
func (q *claimQueue) claim(sh *shard, r *store.ClaimRequest, most int) ([]store.Lease, error) {
	token, ask := newToken(), q.ask(sh)
	c := run(claimScript, []string{sh.base}, q.kind, r.Owner, micros(r.TTL), most, token)
	if err := q.s.do(q.s.life, sh, &sh.requests, c); err != nil {
		return nil, err
	}
	list, _ := c.reply.([]any)
	if len(list) < 2 {
		return nil, errReply
	}
	wait, _ := list[0].(int64)
	until, err := moment(list[1])
	if err != nil {
		return nil, err
	}
	var leases []store.Lease
	for i, id := range list[2:] {
		text, _ := id.(string)
		leases = append(leases, store.Lease{Key: store.Key{Kind: q.kind, ID: text}, Owner: r.Owner, Token: token*1000 + int64(i), Until: until})
	}
	q.answered(sh, ask, wait, len(leases) == 0)
	return leases, nil
}

// peek asks which of the shards have something due.
func (q *claimQueue) peek(shards []*shard) (due []*shard) {
	asks := make([]int64, len(shards))
	for i, sh := range shards {
		asks[i] = q.ask(sh)
	}
	calls, err := q.s.all(q.s.life, shards, func(sh *shard) *call {
		return run(peekScript, []string{sh.base}, q.kind).again()
	})
	if err != nil {
		q.failAll(err)
		return nil
	}
	for i, c := range calls {
		wait, ok := c.reply.(int64)
		if !ok {
			q.failAll(errReply)
			return nil
		}
		q.answered(shards[i], asks[i], wait, wait != 0)
		if wait == 0 {
			due = append(due, shards[i])
		}
	}
	return due
}

// ask numbers a question to a shard. What is heard of the shard from now on is newer than the answer.
func (q *claimQueue) ask(sh *shard) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.look[sh.number] = time.Now().Add(time.Hour)
	q.asks++
	return q.asks
}

// answered notes that the shard had nothing, or something, and is worth the next look in wait microseconds, if nothing was heard
// of it meanwhile.
func (q *claimQueue) answered(sh *shard, ask, wait int64, nothing bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := poll
	if wait >= 0 && wait < poll.Microseconds() {
		d = time.Duration(wait)*time.Microsecond + 50*time.Microsecond
	}
	if at := time.Now().Add(d); at.Before(q.look[sh.number]) {
		q.look[sh.number] = at
	}
	if nothing {
		q.empty[sh.number] = ask
	} else {
		q.first = (sh.number + 1) % len(q.look)
	}
}

// failAll gives everybody who waits the same error.
func (q *claimQueue) failAll(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.waiters {
		w.err = err
		close(w.done)
	}
	q.waiters = nil
	clear(q.look)
}

// giveBack ends leases whose claimer has left, also while the store closes. If that fails they lapse.
func (q *claimQueue) giveBack(leases []store.Lease) {
	for sh, at := range q.s.byShard(len(leases), func(i int) store.Key { return leases[i].Key }) {
		args := []any{0}
		for _, i := range at {
			args = append(args, leases[i].Key.Kind, leases[i].Key.ID, leases[i].Token)
		}
		q.s.exchange(sh, []*call{run(renewScript, []string{sh.base}, args...).again()})
		q.hint(sh.number, time.Time{})
	}
}

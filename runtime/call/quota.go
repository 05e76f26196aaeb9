package call

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// QuotaRules are what each principal and each session may use.
type QuotaRules struct {
	Principal schemas.Quota
	Session   schemas.Quota
}

// Quotas limit what principals and sessions use in a period: calls, bytes of inputs and outputs, time in calls. A quota is
// refilled evenly over the period; until there is enough, calls are refused with quota_exceeded and the time to wait.
//
// Bytes and time are known only after a call. They are recorded as a debt, which a later call pays once it is at least a
// hundredth of the quota. So a call is never cut because of a quota, and a caller that exceeded it waits longer.
type Quotas struct {
	tokens *Tokens
	rules  atomic.Pointer[QuotaRules]

	known usedUp

	mu    sync.Mutex
	debts map[string]*debt // by the key of a quota
	keys  map[[3]string]quotaKeys
}

// debt is what was used and not paid yet.
type debt struct {
	amount int
	since  time.Time
	per    time.Duration // the period of its quota, after which it no longer counts
}

// NewQuotas returns quotas without rules.
func NewQuotas(tokens *Tokens) *Quotas {
	q := &Quotas{tokens: tokens, debts: map[string]*debt{}, keys: map[[3]string]quotaKeys{}}
	q.rules.Store(&QuotaRules{})
	return q
}

// Set replaces the rules.
func (q *Quotas) Set(r QuotaRules) {
	q.rules.Store(&r)
	q.known.forget()
}

// DefaultQuotaPeriod is the period of a quota that names none.
const DefaultQuotaPeriod = time.Hour

// charge is one quota of one call.
type charge struct {
	key    string
	limit  int
	per    time.Duration
	before bool // it is paid before the call
	whose  string
	unit   string // call, byte, execution or time
	used   func(c *Call, res *Result, took time.Duration) int
}

// Wrap is the [Wrapper].
func (q *Quotas) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		bills := q.charges(c)
		if len(bills) == 0 {
			return next.Invoke(ctx, c)
		}
		if err := q.takeAll(ctx, bills); err != nil {
			return nil, err
		}
		began := time.Now()
		res, err := next.Invoke(ctx, c)
		took := time.Since(began)
		for i := range bills {
			q.addDebt(&bills[i], c, res, took)
		}
		return res, err
	})
}

// Execution counts an execution that is submitted, or returns quota_exceeded with the time to wait.
func (q *Quotas) Execution(ctx context.Context, principal, session string) error {
	var bills []charge
	q.eachQuota(principal, session, func(whose string, quota *schemas.Quota, per time.Duration, keys quotaKeys) {
		if n := quota.Executions; n > 0 {
			bills = append(bills, charge{key: keys.executions, limit: n, per: per, before: true, whose: whose, unit: "execution"})
		}
	})
	return q.takeAll(ctx, bills)
}

// takeAll takes what is paid before the call, or returns the error of a quota that is used up. If one of several is known to be used
// up, nothing is taken from the others.
func (q *Quotas) takeAll(ctx context.Context, bills []charge) error {
	if err := q.known.refusal(bills); err != nil {
		return err
	}
	for i := range bills {
		if wait := q.take(ctx, &bills[i]); wait > 0 {
			q.known.add(bills[i].key, wait)
			return bills[i].refusal(wait)
		}
	}
	return nil
}

func (b *charge) refusal(wait time.Duration) error {
	return refused(schemas.CodeQuotaExceeded, wait, "the %s has used up its %s in %s", b.whose, b.describe(), schemas.Duration(b.per)).
		WithHint("the quota is refilled over time: wait for retry_after_seconds; an operator can raise it under limits in the configuration")
}

// eachQuota calls visit for each of principal and session that has a quota.
func (q *Quotas) eachQuota(principal, session string, visit func(whose string, quota *schemas.Quota, per time.Duration, keys quotaKeys)) {
	rules := q.rules.Load()
	if *rules == (QuotaRules{}) {
		return
	}
	for _, w := range []struct {
		whose, id string
		quota     *schemas.Quota
	}{{"principal", principal, &rules.Principal}, {"session", session, &rules.Session}} {
		if w.id != "" && *w.quota != (schemas.Quota{}) {
			visit(w.whose, w.quota, cmp.Or(w.quota.Per.Std(), DefaultQuotaPeriod), q.keysOf(w.whose, principal, w.id))
		}
	}
}

// charges lists the quotas for which the call counts.
func (q *Quotas) charges(c *Call) []charge {
	var out []charge
	q.eachQuota(c.Principal, c.SessionID, func(whose string, quota *schemas.Quota, per time.Duration, keys quotaKeys) {
		if n := quota.Calls; n > 0 {
			out = append(out, charge{key: keys.calls, limit: n, per: per, before: true, whose: whose, unit: "call"})
		}
		if n := quota.Bytes; n > 0 {
			out = append(out, charge{key: keys.bytes, limit: n, per: per, whose: whose, unit: "byte", used: bytesUsed})
		}
		if d := quota.Time; d > 0 {
			limit := max(int(d.Std().Milliseconds()), 1)
			out = append(out, charge{key: keys.time, limit: limit, per: per, whose: whose, unit: "time", used: timeUsed})
		}
	})
	return out
}

// quotaKeys are the keys of the tokens of one principal or session: digests, so that the store does not contain names.
type quotaKeys struct{ calls, bytes, time, executions string }

// maxKeys is the most entries of Quotas.keys and usedUp.until; then they start over.
const maxKeys = 10_000

func (q *Quotas) keysOf(whose, principal, id string) quotaKeys {
	name := [3]string{whose, principal, id} // a session's id is its principal's alone
	q.mu.Lock()
	defer q.mu.Unlock()
	keys, known := q.keys[name]
	if !known {
		sum := sha256.Sum256([]byte(principal + "\x00" + id))
		prefix := "quota/" + whose + "/" + hex.EncodeToString(sum[:16])
		keys = quotaKeys{prefix + "/calls", prefix + "/bytes", prefix + "/time", prefix + "/executions"}
		if len(q.keys) >= maxKeys {
			clear(q.keys)
		}
		q.keys[name] = keys
	}
	return keys
}

// describe is the quota in words, for the error.
func (b *charge) describe() string {
	switch {
	case b.unit == "time":
		return schemas.Duration(time.Duration(b.limit)*time.Millisecond).String() + " in calls"
	case b.limit == 1:
		return "one " + b.unit
	}
	return strconv.Itoa(b.limit) + " " + b.unit + "s"
}

func bytesUsed(c *Call, res *Result, _ time.Duration) int {
	n := len(c.Inputs)
	if res != nil {
		n += len(res.Output)
	}
	return n
}

func timeUsed(_ *Call, _ *Result, took time.Duration) int { return int(took.Milliseconds()) }

// take takes what is paid before a call, or pays the debt of earlier ones. A positive wait means that not enough is left.
func (q *Quotas) take(ctx context.Context, b *charge) time.Duration {
	take := store.Limit{Key: b.key, Tokens: 1, Rate: b.limit, Period: b.per, Burst: b.limit}
	if b.before {
		return q.tokens.take(ctx, take)
	}
	for {
		q.mu.Lock()
		d := q.debts[b.key]
		if d == nil || d.amount < b.limit/100 {
			q.mu.Unlock()
			return 0
		}
		take.Tokens = min(d.amount, b.limit)
		d.amount -= take.Tokens
		if d.amount == 0 {
			delete(q.debts, b.key)
		}
		q.mu.Unlock()
		if wait := q.tokens.take(ctx, take); wait > 0 {
			q.addAmount(b, take.Tokens)
			return wait
		}
	}
}

// addDebt records what a call has used.
func (q *Quotas) addDebt(b *charge, c *Call, res *Result, took time.Duration) {
	if !b.before {
		q.addAmount(b, b.used(c, res, took))
	}
}

// maxDebts is the number of debts from which on those older than their period are dropped.
const maxDebts = 10_000

func (q *Quotas) addAmount(b *charge, amount int) {
	if amount <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	d := q.debts[b.key]
	if d == nil {
		if len(q.debts) >= maxDebts {
			for key, old := range q.debts {
				if now.Sub(old.since) > old.per {
					delete(q.debts, key)
				}
			}
		}
		d = &debt{}
		q.debts[b.key] = d
	}
	d.amount, d.since, d.per = d.amount+amount, now, b.per
}

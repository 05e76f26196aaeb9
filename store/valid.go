package store

import (
	"fmt"
	"time"
)

// Limits and defaults of what is stored and read.
const (
	MaxTerm        = 1024 // most bytes of a term
	maxKind        = 64   // most bytes of a kind
	defaultRecords = 100  // records of a List without a Limit
	DefaultEntries = 1000 // entries of a Log without a limit
)

// Valid returns ErrInvalid unless the key has a kind of [a-z_] and an ID of 1 to MaxID bytes.
func (k Key) Valid() error {
	if err := ValidKind(k.Kind); err != nil {
		return err
	}
	if len(k.ID) == 0 || len(k.ID) > MaxID {
		return fmt.Errorf("%w: ID of %d bytes in kind %q, want 1 to %d", ErrInvalid, len(k.ID), k.Kind, MaxID)
	}
	return nil
}

// ValidKind returns ErrInvalid unless the kind is 1 to 64 of [a-z_].
func ValidKind(kind string) error {
	if kind == "" || len(kind) > maxKind {
		return fmt.Errorf("%w: kind of %d bytes, want 1 to %d", ErrInvalid, len(kind), maxKind)
	}
	for i := range len(kind) {
		if c := kind[i]; c != '_' && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w: kind %q has characters other than [a-z_]", ErrInvalid, kind)
		}
	}
	return nil
}

// Valid returns ErrInvalid for what no store may accept: an invalid key, two partitions, a key twice in Puts or in Wakes,
// a key both deleted and written, a negative TTL or version, an empty term or one that is too long, an unknown priority. A
// batch that writes nothing is valid.
func (b *Batch) Valid() error {
	var c batchCheck
	for i := range b.Puts {
		p := &b.Puts[i]
		c.key(p.Key, usePut)
		if p.Version < AnyVersion || p.TTL < 0 {
			c.fail("put of %q has version %d and TTL %v", p.Key, p.Version, p.TTL)
		}
		for _, t := range p.Terms {
			if len(t) == 0 || len(t) > MaxTerm {
				c.fail("put of %q has a term of %d bytes, want 1 to %d", p.Key, len(t), MaxTerm)
			}
		}
	}
	for _, k := range b.Deletes {
		c.key(k, useDelete)
	}
	for i := range b.Appends {
		c.key(b.Appends[i].Key, useAppend)
	}
	for i := range b.Wakes {
		w := &b.Wakes[i]
		c.key(w.Key, useWake)
		if w.Priority < 0 || w.Priority > Priorities {
			c.fail("wake of %q has priority %d, want 1 to %d or 0", w.Key, w.Priority, Priorities)
		}
	}
	if b.Claim != nil {
		c.key(b.Claim.Key, 0)
		if b.Claim.Owner == "" || b.Claim.TTL <= 0 {
			c.fail("claim of %q by %q for %v", b.Claim.Key, b.Claim.Owner, b.Claim.TTL)
		}
	}
	if b.Release != nil {
		c.key(b.Release.Key, 0)
	}
	return c.err
}

// use is the set of what a batch does with a key.
type use uint8

const (
	usePut use = 1 << iota
	useAppend
	useWake
	useDelete
)

// batchCheck holds the first error of a batch and what the batch does with each key: the first few in an array, which
// costs no allocation, more in a map.
type batchCheck struct {
	few       [8]keyUse // the first n
	n         int
	many      map[Key]use
	first     Key
	partition string
	err       error
}

type keyUse struct {
	key Key
	use use
}

func (c *batchCheck) key(k Key, u use) {
	if err := k.Valid(); err != nil && c.err == nil {
		c.err = err
	}
	if c.first == (Key{}) {
		c.first, c.partition = k, k.Partition()
	} else if k.ID != c.first.ID && k.Partition() != c.partition {
		c.fail("%q and %q are in different partitions", c.first, k)
	}
	if u == 0 {
		return
	}
	old := c.add(k, u)
	switch {
	case u != useAppend && old&u != 0:
		c.fail("%q occurs twice in one batch", k)
	case old != 0 && (old|u)&useDelete != 0:
		c.fail("%q is both deleted and written", k)
	}
}

// add adds a use of the key and returns the earlier ones.
func (c *batchCheck) add(k Key, u use) use {
	for i := range c.few[:c.n] {
		if c.few[i].key == k {
			old := c.few[i].use
			c.few[i].use |= u
			return old
		}
	}
	if c.n < len(c.few) {
		c.few[c.n] = keyUse{k, u}
		c.n++
		return 0
	}
	if c.many == nil {
		c.many = map[Key]use{}
	}
	old := c.many[k]
	c.many[k] = old | u
	return old
}

func (c *batchCheck) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
}

// Filled returns the query with its default limit set, or ErrInvalid for an invalid kind or a term that is too long.
func (q Query) Filled() (Query, error) {
	if q.Limit <= 0 {
		q.Limit = defaultRecords
	}
	if len(q.Term) > MaxTerm {
		return q, fmt.Errorf("%w: term of %d bytes, want at most %d", ErrInvalid, len(q.Term), MaxTerm)
	}
	return q, ValidKind(q.Kind)
}

// Valid returns ErrInvalid without a valid kind, an owner and a positive TTL.
func (r ClaimRequest) Valid() error {
	if err := ValidKind(r.Kind); err != nil {
		return err
	}
	if r.Owner == "" || r.TTL <= 0 {
		return fmt.Errorf("%w: claim of %s by %q for %v", ErrInvalid, r.Kind, r.Owner, r.TTL)
	}
	return nil
}

// Filled returns the limit with its defaults set, or ErrInvalid without a key or a rate, or for more tokens than Burst.
func (l Limit) Filled() (Limit, error) {
	if l.Tokens == 0 {
		l.Tokens = 1
	}
	if l.Period == 0 {
		l.Period = time.Second
	}
	if l.Burst == 0 {
		l.Burst = l.Rate
	}
	if l.Key == "" || l.Rate <= 0 || l.Period < 0 || l.Tokens < 0 || l.Tokens > l.Burst {
		return l, fmt.Errorf("%w: limit %q takes %d of a burst of %d at %d each %v", ErrInvalid, l.Key, l.Tokens, l.Burst, l.Rate, l.Period)
	}
	return l, nil
}

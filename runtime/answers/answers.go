// Package answers keeps what an answer to a client had no room for and what is stored nowhere else, such as the large output of a direct
// call, for a while, so that its caller can read it in parts. It knows nothing of what it keeps.
//
// The answers of a principal are in one partition of the store: a record for each, and one that lists them, by which they are bounded. Both
// expire. An ID cannot be guessed, and the key holds a digest of the principal, so nobody else reads an answer.
package answers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const (
	// MaxBytes is how much is kept for one principal; the oldest answers make room for new ones. One answer may be larger, alone.
	MaxBytes = 64 << 20
	// Life is how long an answer is kept at most.
	Life = time.Hour

	maxAnswers = 1000
	kind       = "answer"
)

// Answers is safe for concurrent use.
type Answers struct {
	store *records.Store
	newID func() string
}

// New returns Answers in a store.
func New(s *records.Store, newID func() string) *Answers { return &Answers{store: s, newID: newID} }

// kept is one answer in the list of a principal.
type kept struct {
	ID      string    `json:"id"`
	Bytes   int       `json:"bytes"`
	Expires time.Time `json:"expires"`
}

// Keep stores an answer of the caller and returns by which ID, and until when, [Answers.Read] returns it.
func (a *Answers) Keep(ctx context.Context, answer json.RawMessage) (id string, until time.Time, err error) {
	id = a.newID()
	own := records.Private(caller.From(ctx).Principal, kind)
	list := store.Key{Kind: kind, ID: own}
	err = a.store.RetryOnConflict(func() error {
		now := a.store.Now()
		until = now.Add(Life)
		var left []kept
		rec, err := a.store.Get(ctx, list)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return records.StoreError(err)
		default:
			if err := json.Unmarshal(rec.Value, &left); err != nil {
				return fmt.Errorf("read the list of answers: %w", err)
			}
		}
		left = append(left, kept{ID: id, Bytes: len(answer), Expires: until})
		total := 0
		for _, k := range left {
			total += k.Bytes
		}
		var batch store.Batch
		for len(left) > 1 && (total > MaxBytes || len(left) > maxAnswers || left[0].Expires.Before(now)) {
			batch.Deletes = append(batch.Deletes, store.Key{Kind: kind, ID: own + "/" + left[0].ID})
			total -= left[0].Bytes
			left = left[1:]
		}
		value, err := json.Marshal(left)
		if err != nil {
			return fmt.Errorf("encode the list of answers: %w", err)
		}
		batch.Puts = []store.Put{
			{Key: list, Value: value, Version: rec.Version, TTL: Life},
			{Key: store.Key{Kind: kind, ID: own + "/" + id}, Value: answer, TTL: Life},
		}
		_, err = a.store.Commit(ctx, batch)
		return err
	})
	if err != nil && !errors.As(err, new(*schemas.Error)) {
		err = records.StoreError(err)
	}
	return id, until, err
}

// Read returns an answer of the caller. The error has code not_found after it has expired, or made room for others.
func (a *Answers) Read(ctx context.Context, id string) (json.RawMessage, error) {
	rec, err := a.store.Get(ctx, store.Key{Kind: kind, ID: records.Private(caller.From(ctx).Principal, kind) + "/" + id})
	if errors.Is(err, store.ErrNotFound) {
		return nil, schemas.Errorf(schemas.CodeNotFound, "no answer %s", schemas.Quote(id, 100)).
			WithHint("large answers are kept for %s, and newer ones take the place of older ones; call again", schemas.Duration(Life))
	}
	if err != nil {
		return nil, records.StoreError(err)
	}
	return rec.Value, nil
}

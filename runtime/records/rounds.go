package records

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// Rounds is work that goes through many records again and again, one page at a time, such as the reconciler's. All replicas share the
// passes: who takes one writes its time and place into one record, by its version. A pass is bounded; the next one goes on
// where it ended, on whichever replica.
type Rounds struct {
	Name   string                                                                     // of the record
	Every  time.Duration                                                              // between two passes of all replicas together
	Resume time.Duration                                                              // behind a pass that did not come to the end; 0: every
	Parts  int                                                                        // of what there is to look at, one behind the other
	Page   func(ctx context.Context, part int, after string) (next string, err error) // looks at one page; next: where the following one begins, empty: there is none
}

const KindReconcile = "reconcile"

const RoundPages = 50 // of one pass

// place is the record that the replicas share: when the last pass began, and where the next one goes on.
type progress struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Part  int       `json:"status"`
	After string    `json:"after"`
	More  bool      `json:"more,omitempty"` // the last pass did not come to the end
}

func (w *Rounds) key() store.Key { return store.Key{Kind: KindReconcile, ID: w.Name} }

// wait is how long after the start of a pass the next one is due.
func (w *Rounds) interval(more bool) time.Duration {
	if more && w.Resume > 0 {
		return w.Resume
	}
	return w.Every
}

// MakeRounds makes passes until ctx ends. doing is what the log says of one that fails.
func (s *Store) RunRounds(ctx context.Context, w *Rounds, task string) {
	for more := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration((0.75 + s.random()/2) * float64(w.interval(more)))):
		}
		var err error
		if more, err = s.Round(ctx, w); err != nil && ctx.Err() == nil {
			s.log.Warn(task+": trying again", "error", err)
		}
	}
}

// Round makes one pass, unless another replica has just done it. more: it did not come to the end.
func (s *Store) Round(ctx context.Context, w *Rounds) (more bool, err error) {
	var p progress
	rec, err := s.Get(ctx, w.key())
	if err == nil {
		err = json.Unmarshal(rec.Value, &p)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	now := Now()
	if since := now.Sub(p.At); since >= 0 && since < w.interval(p.More)*3/4 {
		return false, nil
	}
	p.At, p.By, p.More = now, s.worker, false // nobody takes the next one meanwhile
	version, err := s.saveProgress(ctx, w, p, rec.Version)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.More = true
	for n := 0; p.More && n < RoundPages && time.Since(now) < w.Every/3; n++ {
		if p.Part < w.Parts {
			began := time.Now()
			if p.After, err = w.Page(ctx, p.Part, p.After); err != nil {
				return false, err
			}
			if w.Resume > 0 { // much to do: half of the time is left to whoever else needs the store
				select {
				case <-ctx.Done():
				case <-time.After(time.Since(began)):
				}
			}
		}
		if p.After == "" {
			p.Part++
		}
		if p.Part >= w.Parts {
			p.Part, p.After, p.More = 0, "", false
		}
	}
	if _, err = s.saveProgress(ctx, w, p, version); errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return p.More, err
}

func (s *Store) saveProgress(ctx context.Context, w *Rounds, p progress, version int64) (int64, error) {
	value, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	done, err := s.Commit(ctx, store.Batch{Puts: []store.Put{{Key: w.key(), Value: value, Version: version}}})
	if err != nil {
		return 0, err
	}
	return done.Versions[0], nil
}

package records

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runplane/runplane/store"
)

// Rounds is work that goes through many records again and again, page by page, such as the reconciler's. All replicas share the rounds: a
// replica that begins one writes the time into a record, by its version. A round is bounded; the next one continues where it
// ended, on any replica.
type Rounds struct {
	Name   string        // ID of the record
	Every  time.Duration // between the starts of two rounds, of all replicas together
	Resume time.Duration // between the start of a round that did not come to the end and the next one; 0: Every
	Parts  int           // of the work; they are numbered from 0, and done one after the other
	// Page handles one page of a part. after is where the page begins, empty at the beginning of the part; next is where the following
	// page begins, empty after the last one.
	Page func(ctx context.Context, part int, after string) (next string, err error)
	// Begun is called when a round begins, with the time that is believed; nil: it is not.
	Begun func(believed time.Time)
}

// Times between two rounds that are believed: up to usual at once, and up to plausible after a round that is begun doubted later, since a
// machine whose clock is ahead at its start has it set right soon.
const (
	usual     = 2 * time.Hour
	plausible = 24 * time.Hour
	doubted   = time.Hour
)

// believe returns the time by which a round may delete something for good, and at which a round begins at now. The time since the round
// before is believed if it is plausible. A longer one may be a replica's clock that is ahead, or a time in which nothing ran: it is made up
// for at the pace at which time passes from round to round. The time that is believed never runs back.
func (p *progress) believe(now time.Time) time.Time {
	if p.At.IsZero() { // the first round
		return now
	}
	believed := p.Believed
	if believed.IsZero() { // an earlier version has not written it
		believed = p.At
	}
	since := now.Sub(p.At)
	switch {
	case since <= 0:
		p.Doubt = time.Time{}
		return believed
	case since > plausible:
		p.Doubt = time.Time{}
		return believed
	case since > usual && !believed.Before(p.At): // not while a longer time is made up for
		p.Doubt = now
		return believed
	case !p.Doubt.IsZero() && since > usual: // again: it takes another hour of ordinary rounds
		p.Doubt = now
		return believed
	case !p.Doubt.IsZero() && now.Sub(p.Doubt) >= doubted:
		p.Doubt = time.Time{}
		return now
	}
	if next := believed.Add(2 * since); next.Before(now) {
		return next
	}
	if now.After(believed) {
		return now
	}
	return believed
}

// KindReconcile of the records of rounds.
const KindReconcile = "reconcile"

// RoundPages is how many pages one round handles at most.
const RoundPages = 50

// progress is the record that the replicas share: when the last round began, and where the next one continues.
type progress struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Part  int       `json:"status"`
	After string    `json:"after"`
	More  bool      `json:"more,omitempty"` // the last round did not come to the end

	Believed time.Time `json:"believed,omitzero"` // see believe
	Doubt    time.Time `json:"doubt,omitzero"`    // when a round was begun after a time that is still to be believed
}

func (w *Rounds) key() store.Key { return store.Key{Kind: KindReconcile, ID: w.Name} }

// interval is how long after the start of a round the next one is due.
func (w *Rounds) interval(more bool) time.Duration {
	if more && w.Resume > 0 {
		return w.Resume
	}
	return w.Every
}

// RunRounds does rounds until ctx ends. task names them in the log when one fails.
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

// Round does one round, unless another replica has just begun one; more reports whether it did not come to the end.
func (s *Store) Round(ctx context.Context, w *Rounds) (more bool, err error) {
	p, version, err := Read[progress](ctx, s, w.key())
	if err != nil {
		return false, err
	}
	now := s.Now()
	if since := now.Sub(p.At); since >= 0 && since < w.interval(p.More)*3/4 {
		return false, nil
	}
	p.Believed = p.believe(now)
	p.At, p.By, p.More = now, s.worker, false // the next one is due after Every, whatever becomes of this one
	version, err = s.saveProgress(ctx, w, p, version)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if w.Begun != nil {
		w.Begun(p.Believed)
	}
	p.More = true
	began := time.Now()
	for n := 0; p.More && n < RoundPages && time.Since(began) < w.Every/3; n++ {
		if p.Part < w.Parts {
			pageBegan := time.Now()
			if p.After, err = w.Page(ctx, p.Part, p.After); err != nil {
				return false, err
			}
			if w.Resume > 0 { // there is much to do: leave half of the time to other users of the store
				select {
				case <-ctx.Done():
				case <-time.After(time.Since(pageBegan)):
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

package upkeep

import (
	"testing"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
)

// An execution has to be in a queue where its last commit says when it is due, or where something of it can run.
func TestWhichExecutionsNeedAnOwner(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  schemas.Status
		waiting bool
		due     bool
		want    bool
	}{
		{"pending", schemas.StatusPending, false, false, true},
		{"pending, and held by a pause", schemas.StatusPending, true, false, false},
		{"runs", schemas.StatusRunning, false, false, true},
		{"waits for a person", schemas.StatusRunning, true, false, false},
		{"waits for a timer", schemas.StatusRunning, true, true, true},
		{"suspending", schemas.StatusSuspending, false, false, true},
		{"suspended", schemas.StatusSuspended, false, false, false},
		{"cancelling", schemas.StatusCancelling, false, false, true},
		{"compensating", schemas.StatusCompensating, false, false, true},
		{"succeeded", schemas.StatusSucceeded, false, false, false},
		{"timed out", schemas.StatusTimedOut, false, false, false},
	} {
		h := journal.Head{Execution: schemas.Execution{Status: tt.status, Waiting: tt.waiting}}
		if tt.due {
			h.Due = time.Now()
		}
		if got := needsOwner(&h); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestIDsHaveTheTimeOfTheirCreation(t *testing.T) {
	id, now := records.NewID(), time.Now()
	for _, tt := range []struct {
		id   string
		at   time.Time
		want bool
	}{
		{id, now.Add(-time.Minute), true}, {id, now.Add(time.Minute), false}, {"not a ULID", now.Add(-time.Hour), false}, {"", now.Add(-time.Hour), false},
	} {
		if got := createdAfter(tt.id, tt.at); got != tt.want {
			t.Errorf("%q was created after %s: %v", tt.id, tt.at, got)
		}
	}
}

package units

import (
	"time"

	"github.com/runplane/runplane/schemas"
)

// Signal is an event that was sent to the execution.
type Signal struct {
	Name  string        `json:"name"`
	At    time.Time     `json:"at"`
	Data  schemas.Value `json:"data,omitempty"`
	Taken bool          `json:"taken,omitempty"` // by a node that waited for it
}

// MaxSignals is the most signals that an execution keeps.
const MaxSignals = 1000

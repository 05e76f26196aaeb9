package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/store"
)

// The kinds of the records of an execution; the tour of package runtime says what each one holds.
const (
	KindExecution   = "execution"
	KindPlan        = "plan"
	KindSnapshot    = "snapshot"
	KindOutput      = "output"
	KindIdempotency = "idempotency"
	KindNudge       = "nudge"
	KindOverdue     = "overdue"
	KindAlarm       = "alarm"
)

// ExecutionKey returns the key of an execution: of its head, its log, its wake and its lease.
func ExecutionKey(id string) store.Key { return store.Key{Kind: KindExecution, ID: id} }

// PlanKey returns the key of an execution's [Definition].
func PlanKey(id string) store.Key { return store.Key{Kind: KindPlan, ID: id} }

// SnapshotKey returns the key of the snapshot of an execution's state.
func SnapshotKey(id string) store.Key { return store.Key{Kind: KindSnapshot, ID: id} }

// NudgeKey returns the key by which the owner of an execution learns that another process changed it.
func NudgeKey(id string) store.Key { return store.Key{Kind: KindNudge, ID: id} }

// OutputKey returns the key of an output that is too large for the log; name is that of a unit, perhaps with TextPart.
func OutputKey(id, name string) store.Key {
	return store.Key{Kind: KindOutput, ID: id + "/" + name}
}

// OverdueKey returns the second key of an execution that waits in the queue and may not wait forever, as the plan has a queue_timeout
// or a timeout. It has a wake at that time. The replica that claims it ends the execution if it still waits, however full the queue is
// and also while it is paused. The replica that starts the execution removes the wake.
func OverdueKey(id string) store.Key { return store.Key{Kind: KindOverdue, ID: id} }

// AlarmKey returns the key of a wake that is due by the time of day: a unit of an execution waits until then.
func AlarmKey(id string, unit int, due time.Time) store.Key {
	return store.Key{Kind: KindAlarm, ID: fmt.Sprintf("%s/%d/%d", id, unit, due.UnixMicro())}
}

// ParseAlarm is the inverse of AlarmKey.
func ParseAlarm(key store.Key) (id string, unit int, due time.Time, ok bool) {
	parts := strings.Split(key.ID, "/")
	if len(parts) != 3 {
		return "", 0, time.Time{}, false
	}
	unit, err := strconv.Atoi(parts[1])
	micros, err2 := strconv.ParseInt(parts[2], 10, 64)
	return parts[0], unit, time.UnixMicro(micros).UTC(), err == nil && err2 == nil && unit >= 0
}

// Reservation is the record of an idempotency key: the execution that it was used for.
type Reservation struct {
	ExecutionID string `json:"execution_id"`
	Digest      string `json:"digest"`
}

// IdempotencyKey returns the key of the Reservation of a principal's idempotency key.
func IdempotencyKey(principal, key string) store.Key {
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	return store.Key{Kind: KindIdempotency, ID: hex.EncodeToString(sum[:])}
}

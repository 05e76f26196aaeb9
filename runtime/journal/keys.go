package journal

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/runplane/runplane/store"
)

// The kinds of records of an execution; doc.go tells what each one holds.
const (
	KindExecution   = "execution"
	KindPlan        = "plan"
	KindSnapshot    = "snapshot"
	KindOutput      = "output"
	KindIdempotency = "idempotency"
	KindNudge       = "nudge"
	KindOverdue     = "overdue"
)

func ExecutionKey(id string) store.Key { return store.Key{Kind: KindExecution, ID: id} }

func PlanKey(id string) store.Key { return store.Key{Kind: KindPlan, ID: id} }

func SnapshotKey(id string) store.Key { return store.Key{Kind: KindSnapshot, ID: id} }

func NudgeKey(id string) store.Key { return store.Key{Kind: KindNudge, ID: id} }

func OutputKey(id, node string) store.Key {
	return store.Key{Kind: KindOutput, ID: id + "/" + node}
}

// Reservation says which execution an idempotency key stands for.
type Reservation struct {
	ExecutionID string `json:"execution_id"`
	Digest      string `json:"digest"`
}

// IdempotencyKey is where a principal's key is reserved.
func IdempotencyKey(principal, key string) store.Key {
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	return store.Key{Kind: KindIdempotency, ID: hex.EncodeToString(sum[:])}
}

// An execution that waits in the queue and may not wait for ever (the plan has a queue_timeout or a timeout) has a second
// key with a wake at that time. Whoever claims it ends the execution if it waits still, however full the queue is and though it
// is paused. Who starts the execution takes the wake away.

func OverdueKey(id string) store.Key { return store.Key{Kind: KindOverdue, ID: id} }

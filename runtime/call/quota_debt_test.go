package call

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A debt is kept for the period of its own quota, however short that of the one whose debt makes it necessary to drop some.
func TestDebtsAreDroppedByTheirOwnPeriod(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		q := NewQuotas(NewTokens(nil, nil))
		q.addAmount(&charge{key: "day", per: 24 * time.Hour}, 1)
		for i := range maxDebts - 1 {
			q.addAmount(&charge{key: fmt.Sprint("hour", i), per: time.Hour}, 1)
		}
		time.Sleep(2 * time.Hour)
		q.addAmount(&charge{key: "another hour", per: time.Hour}, 1)
		if len(q.debts) != 2 || q.debts["day"] == nil {
			t.Errorf("%d debts are left, the one of a day is %v", len(q.debts), q.debts["day"])
		}
	})
}

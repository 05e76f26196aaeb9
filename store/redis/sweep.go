package redis

import (
	"math/rand/v2"
	"time"
)

// sweepAtOnce is how many expired records one script removes.
const sweepAtOnce = 200

// runSweeper removes expired records until the store closes. Every process does so, at random times.
func (s *Store) runSweeper(every time.Duration) {
	for s.sleep(every/2 + rand.N(every)) {
		for _, sh := range s.shards {
			for s.sweep(sh) {
			}
		}
	}
}

// sweep removes up to sweepAtOnce records; true: there may be more. After an error the next run tries again.
func (s *Store) sweep(sh *shard) bool {
	c := run(sweepScript, []string{sh.base}, sweepAtOnce).again()
	if s.do(s.life, sh, &sh.requests, c) != nil {
		return false
	}
	n, _ := c.reply.(int64)
	return n == sweepAtOnce
}

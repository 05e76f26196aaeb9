package redis

import (
	"math/rand/v2"
	"time"
)

// sweepAtOnce is how many expired records one script removes.
const sweepAtOnce = 200

// runSweeper removes expired records until the store closes. Every process does so; what one removed the others do not find.
func (s *Store) runSweeper(every time.Duration) {
	for s.sleep(every/2 + rand.N(every)) {
		for _, sh := range s.shards {
			for s.sweep(sh) {
			}
		}
	}
}

// sweep removes a portion; true: there may be more. A failure is left to the next time.
func (s *Store) sweep(sh *shard) bool {
	c := run(sweepScript, []string{sh.base}, sweepAtOnce).again()
	if s.do(s.life, sh, &sh.requests, c) != nil {
		return false
	}
	n, _ := c.reply.(int64)
	return n == sweepAtOnce
}

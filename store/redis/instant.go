package redis

import (
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/store"
)

// micros is a duration as scripts take it: in microseconds, rounded up, at least one.
func micros(d time.Duration) int64 { return max(int64((d+time.Microsecond-1)/time.Microsecond), 1) }

// parseMicros reads a time in microseconds from the answer of a script; "" is the zero time.
func parseMicros(reply any) (time.Time, error) {
	switch v := reply.(type) {
	case int64:
		return time.UnixMicro(v), nil
	case string:
		if v == "" {
			return time.Time{}, nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		return time.UnixMicro(n), err
	}
	return time.Time{}, errReply
}

// parseWake is the inverse of wakeText; "" is the zero Wake.
func parseWake(sh *shard, key store.Key, text string) (*store.Wake, error) {
	if text == "" {
		return nil, nil
	}
	at, fairness, found := strings.Cut(text[1:], ":")
	ns, err := strconv.ParseInt(at, 10, 64)
	if !found || err != nil || text[0] < '1' || text[0] > '0'+store.Priorities {
		return nil, damaged(sh.wakes(key.Kind), "the wake of "+key.ID+" cannot be decoded")
	}
	return &store.Wake{Key: key, At: time.Unix(0, ns), Priority: int(text[0] - '0'), Fairness: fairness}, nil
}

// parseHolder splits "token:owner".
func parseHolder(text string) (token int64, owner string, err error) {
	number, owner, found := strings.Cut(text, ":")
	token, err = strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return 0, "", errReply
	}
	return token, owner, nil
}

package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// serverInfo is what INFO and CONFIG GET of a server return.
type serverInfo struct {
	version  string
	mode     string // standalone, cluster, sentinel
	role     string // master, slave
	replicas int
	aof      bool
	policy   string            // maxmemory-policy; "" where it is unknown
	config   map[string]string // from CONFIG GET; empty where that is forbidden
	blind    bool              // INFO is forbidden: version, mode and role are those of HELLO, if that is not forbidden too
}

// atLeast reports whether the version is major.minor or later.
func (f *serverInfo) atLeast(major, minor int) bool {
	a, rest, _ := strings.Cut(f.version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x > major || x == major && y >= minor
}

// inspect asks a server for its serverInfo. INFO and CONFIG may be forbidden or taken away, and a Sentinel omits a part of INFO.
func inspect(ctx context.Context, c *goredis.Client) (info serverInfo, err error) {
	text, err := c.Info(ctx).Result()
	if err != nil && isTakenAway(err) {
		info, err = greeted(ctx, c)
	} else if err == nil {
		info = told(text)
	}
	if err != nil {
		return info, classify(err)
	}
	for _, name := range []string{"maxmemory-policy", "appendonly", "appendfsync"} {
		got, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			break // use what INFO has
		}
		for k, v := range got {
			info.config[k] = v
		}
	}
	if p := info.config["maxmemory-policy"]; p != "" {
		info.policy = p
	}
	info.aof = info.aof || info.config["appendonly"] == "yes"
	return info, nil
}

// isTakenAway reports whether a command is not there or not permitted.
func isTakenAway(err error) bool {
	return isForbidden(err.Error()) || strings.HasPrefix(err.Error(), "ERR unknown command")
}

// greeted is the serverInfo without INFO.
func greeted(ctx context.Context, c *goredis.Client) (serverInfo, error) {
	info := serverInfo{blind: true, config: map[string]string{}}
	reply, err := c.Do(ctx, "HELLO").Slice()
	if err != nil {
		if isTakenAway(err) {
			err = nil
		}
		return info, err
	}
	for i := 0; i+1 < len(reply); i += 2 {
		value, _ := reply[i+1].(string)
		switch reply[i] {
		case "version":
			info.version = value
		case "mode":
			info.mode = value
		case "role":
			info.role = strings.Replace(value, "replica", "slave", 1)
		}
	}
	return info, nil
}

// told is the serverInfo of an answer to INFO.
func told(text string) serverInfo {
	said := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			said[name] = value
		}
	}
	info := serverInfo{version: said["redis_version"], mode: said["redis_mode"], role: said["role"], aof: said["aof_enabled"] == "1",
		policy: said["maxmemory_policy"], config: map[string]string{}}
	info.replicas, _ = strconv.Atoi(said["connected_slaves"])
	return info
}

// requireUsable returns a *Fault for a server that cannot be used as a store.
func (f *serverInfo) requireUsable(want mode) error {
	unsuitable := func(cure, format string, args ...any) error {
		return &Fault{Kind: Unsuitable, Detail: fmt.Sprintf(format, args...), Cure: cure}
	}
	switch {
	case f.mode == "sentinel":
		return unsuitable("write redis+sentinel://host:port,…/master-name instead of redis://",
			"this is a Redis Sentinel, not a Redis that holds data")
	case f.mode == "cluster" && want != cluster:
		return unsuitable("write redis+cluster://host:port,… instead of redis://", "this Redis is a node of a Cluster")
	case f.mode == "standalone" && want == cluster:
		return unsuitable("write redis://host:port instead of redis+cluster://", "this Redis is not a Cluster")
	case !f.atLeast(7, 0) && (!f.blind || f.version != ""):
		return unsuitable("use Redis 7.0 or later, or Valkey", "this Redis has version %q", f.version)
	case f.role == "slave":
		return &Fault{Kind: ReadOnly}
	case f.policy != "" && f.policy != "noeviction":
		return unsuitable("set maxmemory-policy noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf)",
			"this Redis drops data when memory is full: its maxmemory-policy is %s", f.policy)
	}
	return nil
}

// warnings are the properties of the server that an operator should know of and may have chosen.
func (f *serverInfo) warnings(a *address) []string {
	var out []string
	if f.policy == "" {
		out = append(out, "the maxmemory-policy of Redis cannot be read: make sure that it is noeviction")
	}
	switch {
	case f.blind && f.config["appendonly"] == "":
		out = append(out, "Redis does not permit INFO and CONFIG GET: make sure that it has an append-only file (appendonly yes)")
	case !f.aof:
		out = append(out, "Redis has no append-only file (appendonly no): what was written since its last snapshot is lost when it stops")
	}
	for _, h := range a.hosts {
		if isLoopback(h) {
			continue
		}
		if a.password == "" {
			out = append(out, "Redis at "+h+" is used without a password, and is not on this machine")
		}
		if !a.tls {
			out = append(out, "the connection to Redis at "+h+" is not encrypted: use rediss://")
		}
		break // the first remote host is enough
	}
	return out
}

func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// check checks every master, and determines how durable writes are confirmed.
func (s *Store) check(ctx context.Context, a *address, warn func(string)) error {
	warned := map[string]bool{}
	look := func(ctx context.Context, c *goredis.Client) error {
		info, err := inspect(ctx, c)
		if err != nil {
			return err
		}
		if err := info.requireUsable(a.mode); err != nil {
			return err
		}
		if a.durability == Strict {
			g, err := guaranteeFor(info, a.mode)
			if err != nil {
				return err
			}
			s.durability |= g
		}
		for _, w := range info.warnings(a) {
			if !warned[w] {
				warned[w] = true
				warn(w)
			}
		}
		return nil
	}
	if s.cluster == nil {
		return look(ctx, s.single)
	}
	return s.checkCluster(ctx, look)
}

// checkCluster calls look for each master, one at a time.
func (s *Store) checkCluster(ctx context.Context, look func(context.Context, *goredis.Client) error) error {
	one := make(chan struct{}, 1) // ForEachMaster calls from several goroutines
	err := s.cluster.ForEachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
		one <- struct{}{}
		defer func() { <-one }()
		return look(ctx, c)
	})
	if err != nil && strings.Contains(err.Error(), "cluster support disabled") {
		return (&serverInfo{mode: "standalone"}).requireUsable(cluster)
	}
	return classify(err)
}

// readLayout stores the format and the number of shards at first use, and returns a *Fault where they differ.
func (s *Store) readLayout(ctx context.Context, a *address) error {
	n := a.shards
	if n == 0 {
		n = 1
		if a.mode == cluster {
			n = 16
		}
	}
	sh := &shard{base: aboutKey(a.prefix)}
	c := run(aboutScript, []string{sh.base}, format, n).again()
	if err := s.do(ctx, sh, &sh.requests, c); err != nil {
		return err
	}
	reply, _ := c.reply.([]any)
	if len(reply) != 2 {
		return errReply
	}
	if reply[0] != format {
		return &Fault{Kind: Unsuitable,
			Detail: fmt.Sprintf("the prefix %s holds format %q, this version of runplane supports %q", a.prefix, reply[0], format),
			Cure:   "use the version that wrote it, or another prefix with ?prefix="}
	}
	text, _ := reply[1].(string)
	have, err := strconv.Atoi(text)
	if err != nil || have < 1 || have > maxShards {
		return errReply
	}
	if a.shards != 0 && a.shards != have {
		return &Fault{Kind: Unsuitable, Detail: fmt.Sprintf("the prefix %s has %d shards, not %d", a.prefix, have, a.shards),
			Cure: fmt.Sprintf("omit ?shards= or use shards=%d; the number is fixed at first use", have)}
	}
	for i := range have {
		s.shards = append(s.shards, newShard(a.prefix, i))
	}
	return nil
}

// isFault reports whether the error is a *Fault of the kind.
func isFault(err error, k Kind) bool {
	f, ok := errors.AsType[*Fault](err)
	return ok && f.Kind == k
}

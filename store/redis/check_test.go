package redis

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

func TestUnusableServers(t *testing.T) {
	good := serverInfo{version: "7.0.15", mode: "standalone", role: "master", policy: "noeviction"}
	for _, tt := range []struct {
		name  string
		mode  mode
		spoil func(f *serverInfo)
		want  string // "": it can be used
	}{
		{"good", standalone, func(*serverInfo) {}, ""},
		{"newer", standalone, func(f *serverInfo) { f.version = "10.1" }, ""},
		{"unknown policy", standalone, func(f *serverInfo) { f.policy = "" }, ""},
		{"node of a cluster", cluster, func(f *serverInfo) { f.mode = "cluster" }, ""},
		{"old", standalone, func(f *serverInfo) { f.version = "6.2.14" }, `version "6.2.14"`},
		{"unknown version", standalone, func(f *serverInfo) { f.version = "" }, "version"},
		{"replica", standalone, func(f *serverInfo) { f.role = "slave" }, "read-only replica"},
		{"evicts", standalone, func(f *serverInfo) { f.policy = "allkeys-lru" }, "maxmemory-policy is allkeys-lru"},
		{"cluster by redis://", standalone, func(f *serverInfo) { f.mode = "cluster" }, "a node of a Cluster"},
		{"cluster by redis+sentinel://", sentinel, func(f *serverInfo) { f.mode = "cluster" }, "a node of a Cluster"},
		{"sentinel", standalone, func(f *serverInfo) { f.mode = "sentinel" }, "a Redis Sentinel"},
		{"no cluster", cluster, func(*serverInfo) {}, "is not a Cluster"},
	} {
		f := good
		tt.spoil(&f)
		err := f.requireUsable(tt.mode)
		switch fault, ok := errors.AsType[*Fault](err); {
		case tt.want == "" && err != nil, tt.want != "" && (!ok || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		case ok && fault.Hint() == "":
			t.Errorf("%s: no hint", tt.name)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		url  string
		info serverInfo
		want []string // the beginnings, in order
	}{
		{"redis://localhost", serverInfo{policy: "noeviction", aof: true}, nil},
		{"redis://[::1]:7", serverInfo{policy: "noeviction", aof: true}, nil},
		{"redis://127.0.0.9", serverInfo{policy: "noeviction"}, []string{"Redis has no append-only file"}},
		{"redis://localhost", serverInfo{aof: true}, []string{"the maxmemory-policy of Redis cannot be read"}},
		{"redis://10.0.0.1", serverInfo{policy: "noeviction", aof: true},
			[]string{"Redis at 10.0.0.1:6379 is used without a password", "the connection to Redis at 10.0.0.1:6379 is not encrypted"}},
		{"redis://:hunter2@redis.example", serverInfo{policy: "noeviction", aof: true},
			[]string{"the connection to Redis at redis.example:6379"}},
		{"rediss://redis.example", serverInfo{policy: "noeviction", aof: true}, []string{"Redis at redis.example:6379 is used without"}},
		{"rediss://:hunter2@redis.example", serverInfo{policy: "noeviction", aof: true}, nil},
		{"redis+cluster://127.0.0.1,a,b", serverInfo{policy: "noeviction", aof: true},
			[]string{"Redis at a:6379", "the connection to Redis at a:6379"}},
	} {
		a, err := parseURL(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		got := tt.info.warnings(&a)
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) || strings.Contains(strings.Join(got, ""), "hunter2") {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestGuaranteesOfStrict(t *testing.T) {
	config := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	everysec, always := config("appendonly", "yes", "appendfsync", "everysec"), config("appendonly", "yes", "appendfsync", "always")
	for _, tt := range []struct {
		name string
		info serverInfo
		want guarantee
		ok   bool
		mode mode
	}{
		{"nothing", serverInfo{version: "7.0.0"}, 0, false, standalone},
		{"append-only file, each second", serverInfo{version: "7.0.0", aof: true, config: everysec}, 0, false, standalone},
		{"each write", serverInfo{version: "7.0.0", aof: true, config: always}, asConfigured, true, standalone},
		{"each write, but no file", serverInfo{version: "7.2.0", config: config("appendonly", "no", "appendfsync", "always")}, 0, false, standalone},
		{"WAITAOF", serverInfo{version: "7.2.0", aof: true}, onDisk, true, standalone},
		{"WAITAOF before WAIT", serverInfo{version: "8.0.0", aof: true, replicas: 2}, onDisk, true, standalone},
		{"WAIT", serverInfo{version: "7.0.0", aof: true, replicas: 1}, onReplica, true, standalone},
		{"each write, and sentinels", serverInfo{version: "7.0.0", aof: true, replicas: 1, config: always}, onReplica, true, sentinel},
		{"each write, and sentinels without a replica", serverInfo{version: "7.0.0", aof: true, config: always}, onReplica, true, sentinel},
		{"WAITAOF in a cluster", serverInfo{version: "7.2.0", aof: true, replicas: 1}, onDisk | onReplica, true, cluster},
		{"WAITAOF in a cluster without replicas", serverInfo{version: "7.2.0", aof: true}, onDisk, true, cluster},
	} {
		if got, err := guaranteeFor(tt.info, tt.mode); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// TestOpenRefuses opens stores on real servers.
func TestOpenRefuses(t *testing.T) {
	plain := redistest.Standalone(t, "requirepass hunter2")
	lru := redistest.Standalone(t, "maxmemory-policy allkeys-lru")
	mute := redistest.Standalone(t, `rename-command CONFIG ""`, "maxmemory-policy volatile-lru")
	replica := redistest.Standalone(t, "replicaof 127.0.0.1 1")
	gone := redistest.Standalone(t)
	gone.Stop()
	node := redistest.Cluster(t).Masters[0]
	used := openURL(t, plain.URL()+"?prefix=used&shards=3")
	old := openURL(t, plain.URL()+"?prefix=old")
	plain.Do("HSET", aboutKey("old"), "format", "0")
	_ = old
	for _, tt := range []struct {
		name, url string
		kind      Kind
		want      string
	}{
		{"not running", gone.URL(), Unreachable, "cannot be reached"},
		{"no such host", "redis://missing.invalid", Unreachable, "cannot be reached"},
		{"wrong password", "redis://:hunter3@" + plain.Addr, Denied, "WRONGPASS"},
		{"no password", "redis://" + plain.Addr, Denied, "NOAUTH"},
		{"evicting", lru.URL(), Unsuitable, "allkeys-lru"},
		{"evicting, without CONFIG", mute.URL(), Unsuitable, "volatile-lru"},
		{"replica", replica.URL(), ReadOnly, "read-only replica"},
		{"node of a cluster", node.URL(), Unsuitable, "node of a Cluster"},
		{"no cluster", "redis+cluster://" + lru.Addr, Unsuitable, "is not a Cluster"},
		{"other shards", plain.URL() + "?prefix=used&shards=4", Unsuitable, "has 3 shards, not 4"},
		{"other format", plain.URL() + "?prefix=old", Unsuitable, `holds format "0"`},
		{"unsupported durability", plain.URL() + "?durability=strict", Unsuitable, "durability=strict"},
	} {
		s, err := Open(t.Context(), Options{URL: tt.url})
		if err == nil {
			s.Close()
		}
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Kind != tt.kind || !strings.Contains(err.Error(), tt.want) || f.Hint() == "" ||
			strings.Contains(err.Error()+f.Hint(), "hunter") {
			t.Errorf("%s: got %v, want %s: %q", tt.name, err, tt.kind, tt.want)
		}
	}
	again := openURL(t, plain.URL()+"?prefix=used")
	if len(again.shards) != 3 || len(used.shards) != 3 {
		t.Errorf("%d shards, want the 3 that are stored", len(again.shards))
	}
	if _, err := Open(t.Context(), Options{URL: plain.URL(), Shards: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestOpenWarns(t *testing.T) {
	var got []string
	url := redistest.Standalone(t, "appendonly no").URL()
	s, err := Open(t.Context(), Options{URL: url, Warn: func(w string) { got = append(got, w) }})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if len(got) != 1 || !strings.Contains(got[0], "appendonly no") {
		t.Errorf("got %q, want a warning about the append-only file", got)
	}
}

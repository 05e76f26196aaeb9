package redis

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURLs(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want address
	}{
		{"redis://h", address{hosts: []string{"h:6379"}, prefix: "rp"}},
		{"redis://h:7/2?prefix=a.b-c_D&shards=4&durability=strict",
			address{hosts: []string{"h:7"}, db: 2, prefix: "a.b-c_D", shards: 4, durability: Strict}},
		{"rediss://ada:p%40ss%2F%3F%25@h:7/", address{tls: true, user: "ada", password: "p@ss/?%", hosts: []string{"h:7"}, prefix: "rp"}},
		{"redis://:p:w@[::1]:7", address{password: "p:w", hosts: []string{"[::1]:7"}, prefix: "rp"}},
		{"redis://:p@w@h", address{password: "p@w", hosts: []string{"h:6379"}, prefix: "rp"}},
		{"redis://[::1]", address{hosts: []string{"[::1]:6379"}, prefix: "rp"}},
		{"redis+sentinel://a,b:7/main/3", address{mode: sentinel, hosts: []string{"a:26379", "b:7"}, master: "main", db: 3, prefix: "rp"}},
		{"rediss+sentinel://:pw@a/main", address{mode: sentinel, tls: true, password: "pw", hosts: []string{"a:26379"}, master: "main", prefix: "rp"}},
		{"redis+cluster://a:1,b:2,c:3/0?durability=fast",
			address{mode: cluster, hosts: []string{"a:1", "b:2", "c:3"}, prefix: "rp", durability: Fast}},
	} {
		got, err := parseURL(tt.url)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(address{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.url, err, diff)
		}
	}
}

func TestInvalidURLsNameTheErrorAndNoPassword(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"http://h", "begins with redis://"},
		{"redis:h", "begins with redis://"},
		{"redis://", "host:port"},
		{"redis://:hunter2@", "host:port"},
		{"redis://:hunter2@h:port", "host:port"},
		{"redis://:hunter2@h:0", "host:port"},
		{"redis://:hunter2@h:65536", "host:port"},
		{"redis://hunter2@h", ":password@"},
		{"redis://:hunter2%zz@h", "invalid escape"},
		{"redis://u:12?hunter2@h:1/0", "%3F"},
		{"redis://:hunter2/x@h:1/0", "host:port"},
		{"redis://:hunter2@a,b", "redis+sentinel://"},
		{"redis://:hunter2@h/one", "the database"},
		{"redis://:hunter2@h/-1", "the database"},
		{"redis+cluster://:hunter2@h/1", "only database 0"},
		{"redis+sentinel://:hunter2@h", "the master's name"},
		{"redis://:hunter2@h?prefxi=a", `no parameter "prefxi": did you mean "prefix"?`},
		{"redis://:hunter2@h?shard=4", `did you mean "shards"?`},
		{"redis://:hunter2@h?durable=4", `did you mean "durability"?`},
		{"redis://:hunter2@h?prefix=a&prefix=b", "occurs twice"},
		{"redis://:hunter2@h?prefix=", "the prefix must"},
		{"redis://:hunter2@h?prefix=a:b", "the prefix must"},
		{"redis://:hunter2@h?prefix={a}", "the prefix must"},
		{"redis://:hunter2@h?shards=0", "from 1 to 1024"},
		{"redis://:hunter2@h?shards=many", "from 1 to 1024"},
		{"redis://:hunter2@h?shards=1025", "from 1 to 1024"},
		{"redis://:hunter2@h?durability=slow", "fast or strict"},
	} {
		err := CheckURL(tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", tt.url, err, tt.want)
		}
		if Redacted(tt.url) != tt.url && strings.Contains(Redacted(tt.url), "hunter2") {
			t.Errorf("%s is named %s", tt.url, Redacted(tt.url))
		}
	}
	if got := Redacted("rediss://ada:hunter2@h:7/2?prefix=a"); got != "rediss://h:7/2?prefix=a" {
		t.Errorf("named %s", got)
	}
}

// TestShardNumbersNeverChange checks the hash that decides where a partition is stored: a change would lose data.
func TestShardNumbersNeverChange(t *testing.T) {
	var got []int
	for _, p := range []string{"", "a", "01JCZ0K9W8AAAAAAAAAAAAAAAA", "01JCZ0K9W8AAAAAAAAAAAAAAAB", "\x00\xff"} {
		got = append(got, shardNumber(p, 16))
	}
	if diff := cmp.Diff([]int{1, 0, 10, 3, 7}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var count [16]int
	for i := range 16_000 {
		count[shardNumber(strings.Repeat("x", i%7)+string(rune('a'+i%26))+string(rune(i)), 16)]++
	}
	for i, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("shard %d has %d of 16,000 partitions", i, n)
		}
	}
}

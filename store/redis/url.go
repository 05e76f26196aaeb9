package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// mode is how the servers are deployed.
type mode int

const (
	standalone mode = iota
	sentinel
	cluster
)

// schemes are the schemes of a URL.
var schemes = map[string]struct {
	mode mode
	tls  bool
}{
	"redis": {standalone, false}, "rediss": {standalone, true},
	"redis+sentinel": {sentinel, false}, "rediss+sentinel": {sentinel, true},
	"redis+cluster": {cluster, false}, "rediss+cluster": {cluster, true},
}

// HasScheme reports whether the URL's scheme is one of schemes; the rest may still be invalid.
func HasScheme(text string) bool {
	scheme, _, found := strings.Cut(text, "://")
	_, known := schemes[scheme]
	return found && known
}

// address is a parsed URL. Zero values mean the defaults.
type address struct {
	mode       mode
	tls        bool
	hosts      []string
	user       string
	password   string
	master     string // of sentinels
	db         int
	prefix     string
	shards     int
	durability Durability
}

const (
	maxShards     = 1024
	maxPrefix     = 32
	defaultPrefix = "rp"
	prefixChars   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
)

// parameters are the query parameters of a URL.
var parameters = []string{"prefix", "shards", "durability"}

// CheckURL checks a URL without connecting. The error never quotes the URL, which may contain a password.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// Redacted is the URL without user and password.
func Redacted(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// parseURL parses redis://[user:password@]host[:port][/db], redis+sentinel://…hosts/master[/db] and redis+cluster://…hosts, the
// same with rediss for TLS, each with parameters.
func parseURL(text string) (a address, err error) {
	scheme, rest, found := strings.Cut(text, "://")
	known, ok := schemes[scheme]
	if !found || !ok {
		return a, errors.New("a Redis URL begins with redis://, rediss://, redis+sentinel:// or redis+cluster://")
	}
	a = address{mode: known.mode, tls: known.tls, prefix: defaultPrefix}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := a.parseUser(authority[:at]); err != nil {
			return a, err
		}
		authority = authority[at+1:]
	}
	if err := a.parseHosts(authority); err != nil {
		return a, err
	}
	if err := a.parsePath(path); err != nil {
		return a, err
	}
	return a, a.parseQuery(query)
}

func (a *address) parseUser(text string) (err error) {
	user, password, both := strings.Cut(text, ":")
	if a.user, err = url.PathUnescape(user); err == nil {
		a.password, err = url.PathUnescape(password)
	}
	if err != nil {
		return errors.New("the user or password of the URL has an invalid escape: write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F")
	}
	if !both {
		return errors.New("write a password without a user as :password@, and with one as user:password@")
	}
	return nil
}

// parseHosts parses host[:port],…; an IPv6 address is in brackets.
func (a *address) parseHosts(text string) error {
	port := "6379"
	if a.mode == sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(text, ",") {
		host, p, err := net.SplitHostPort(h)
		if err != nil {
			host, p = strings.Trim(h, "[]"), port
		}
		n, err := strconv.Atoi(p)
		if host == "" || strings.ContainsAny(host, " []") || err != nil || n < 1 || n > 65535 {
			several := map[bool]string{true: ", several separated by commas"}[a.mode != standalone]
			return errors.New("the URL needs host, host:port or [address]:port" + several)
		}
		a.hosts = append(a.hosts, net.JoinHostPort(host, p))
	}
	if a.mode == standalone && len(a.hosts) > 1 {
		return errors.New("redis:// names one server: for several use redis+sentinel:// or redis+cluster://")
	}
	return nil
}

func (a *address) parsePath(path string) error {
	if a.mode == sentinel {
		master, db, _ := strings.Cut(path, "/")
		if master == "" {
			return errors.New("redis+sentinel:// needs the master's name after the hosts: redis+sentinel://host:26379/mymaster")
		}
		a.master, path = master, db
	}
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return errors.New("the database of the URL must be a number from 0")
	}
	if a.mode == cluster && db != 0 {
		return errors.New("a Redis Cluster has only database 0")
	}
	a.db = db
	return nil
}

func (a *address) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil || strings.ContainsRune(query, '@') { // the latter is what follows a ? in a password
		return errors.New("invalid parameters of the URL: they look like ?prefix=rp&shards=4, and a ? in a password is written %3F")
	}
	for name := range values {
		if !slices.Contains(parameters, name) {
			return fmt.Errorf("the URL has no parameter %q: did you mean %q? Parameters are %s", name, nearest(name), strings.Join(parameters, ", "))
		}
		if len(values[name]) > 1 {
			return fmt.Errorf("parameter %s occurs twice", name)
		}
	}
	if v, ok := values["prefix"]; ok {
		a.prefix = v[0]
	}
	if v, ok := values["shards"]; ok {
		if a.shards, err = strconv.Atoi(v[0]); err != nil || a.shards == 0 {
			a.shards = -1 // checked below
		}
	}
	if v, ok := values["durability"]; ok {
		a.durability = Durability(v[0])
	}
	return a.check()
}

// check checks what may also come from Options.
func (a *address) check() error {
	if a.prefix == "" || len(a.prefix) > maxPrefix || strings.Trim(a.prefix, prefixChars) != "" {
		return fmt.Errorf("the prefix must be 1 to %d letters, digits, _ . and -", maxPrefix)
	}
	if a.shards < 0 || a.shards > maxShards {
		return fmt.Errorf("shards must be a number from 1 to %d", maxShards)
	}
	switch a.durability {
	case "", Fast, Strict:
		return nil
	}
	return fmt.Errorf("durability must be %s or %s", Fast, Strict)
}

// nearest is the parameter with the smallest edit distance.
func nearest(name string) string {
	return slices.MinFunc(parameters, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}

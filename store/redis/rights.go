package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed scripts/rights.lua
var rightsText string

var rightsScript = newScript(writes, rightsText)

// rightsOf returns the rights that the user of a prefix needs, as ACL SETUSER takes them in a shell. INFO and CONFIG GET are good to have.
func rightsOf(prefix string) string {
	return fmt.Sprintf("'~{%s*' '&{%s*' +@read +@write +@scripting +@pubsub +@connection +time +info '+config|get'", prefix, prefix)
}

// rightsCure is what to do about a user that has not what the store needs.
func rightsCure(prefix string) string {
	return "redis-cli ACL SETUSER NAME on '>PASSWORD' " + rightsOf(prefix) + " gives all that is needed (INFO and CONFIG GET may be missing, and then " +
		"warnings say what is not known; +wait +waitaof for durability=strict, +cluster for a Cluster)"
}

// forbidden begins the errors by which Redis tells that the ACL of the user does not permit a command, a key or a channel.
var forbidden = []string{"NOPERM", "ERR The user executing the script can't"}

// isForbidden reports whether the ACL of the user does not permit what was asked.
func isForbidden(text string) bool {
	for _, begins := range forbidden {
		if strings.Contains(text, begins) {
			return true
		}
	}
	return false
}

// notPermitted is the fault of a user whose ACL does not permit something.
func notPermitted(what, prefix string, err error) *Fault {
	return &Fault{Kind: Denied, Detail: kinds[Denied].message + ": the ACL of the user does not permit " + what, Cure: rightsCure(prefix), Err: err}
}

// withRights names the rights that the user of the prefix needs in an error that tells of missing ones.
func withRights(err error, prefix string) error {
	f, ok := errors.AsType[*Fault](err)
	if !ok || f.Err == nil || !isForbidden(f.Err.Error()) {
		return err
	}
	return notPermitted("what the store needs", prefix, f.Err)
}

// checkRights returns a *Fault that names all that the ACL of the user does not permit and the store needs.
func (s *Store) checkRights(ctx context.Context, a *address) error {
	sh := &shard{base: "{" + a.prefix + "}:rights"}
	c := run(rightsScript, []string{sh.base}).again()
	if err := s.do(ctx, sh, &sh.requests, c); err != nil {
		return err
	}
	reply, _ := c.reply.([]any)
	var lacks []string
	for i := 0; i+1 < len(reply); i += 2 {
		name, _ := reply[i].(string)
		if said, _ := reply[i+1].(string); isForbidden(said) {
			lacks = append(lacks, name)
		}
	}
	if err := s.subscribable(ctx, sh.base+":c"); err != nil {
		if !isForbidden(err.Error()) {
			return classify(err)
		}
		lacks = append(lacks, "SSUBSCRIBE")
	}
	if len(lacks) > 0 {
		return notPermitted(strings.Join(lacks, ", "), a.prefix, nil)
	}
	return nil
}

// subscribable subscribes to a channel and leaves it.
func (s *Store) subscribable(ctx context.Context, channel string) error {
	var sub *goredis.PubSub
	if s.cluster != nil {
		sub = s.cluster.SSubscribe(ctx, channel)
	} else {
		sub = s.single.SSubscribe(ctx, channel)
	}
	defer sub.Close()
	_, err := sub.ReceiveTimeout(ctx, replyTimeout)
	return err
}

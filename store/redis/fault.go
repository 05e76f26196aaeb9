package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"

	"github.com/runplane/runplane/store"
)

// Kind is what is wrong with the server.
type Kind string

// Kinds.
const (
	Unreachable Kind = "unreachable" // no connection: nothing was sent
	Interrupted Kind = "interrupted" // the connection broke before the answer
	Silent      Kind = "silent"      // connected, but no answer in time
	Denied      Kind = "denied"      // wrong user or password, or not permitted
	ReadOnly    Kind = "read_only"   // a replica, or a former master
	Full        Kind = "full"        // maxmemory is reached
	Unsaved     Kind = "unsaved"     // writes are refused because the server cannot save its data
	Loading     Kind = "loading"     // the server is loading its data after a start
	Foreign     Kind = "foreign"     // a key of this store has the wrong type
	Damaged     Kind = "damaged"     // a value is not what was written
	Moving      Kind = "moving"      // the cluster has no master for the slot
	Undurable   Kind = "undurable"   // written, but not confirmed as durable in time
	Unsuitable  Kind = "unsuitable"  // a server or configuration that cannot be used
	Other       Kind = "other"       // any other error of the server
)

// kinds is the message and the hint of each kind.
var kinds = map[Kind]struct{ message, hint string }{
	Unreachable: {"Redis cannot be reached", "start it, or correct the address; what runs already continues by itself once it answers"},
	Interrupted: {"the connection to Redis broke", "this continues by itself once Redis answers again"},
	Silent:      {"Redis does not answer in time", "check its load and the network; this continues by itself once it answers"},
	Denied:      {"Redis denies access", "correct user and password in the URL"},
	ReadOnly:    {"this Redis is a read-only replica", "connect to the master, or through redis+sentinel:// or redis+cluster:// so that a failover is followed"},
	Full:        {"Redis has reached its maxmemory", "raise maxmemory, or delete what is not needed; no data was lost"},
	Unsaved:     {"Redis refuses writes because it cannot save its data", "check the server's log for a full or broken disk"},
	Loading:     {"Redis is still loading its data", "wait: this continues by itself"},
	Foreign:     {"a key of this store holds something else", "another program uses the same keys: give one of them another prefix with ?prefix="},
	Damaged: {"a value of this store is not what was written",
		"another program wrote to the keys of this store, or a part of them was restored or cut off: give the store a prefix and a Redis user " +
			"of its own (ACL), and put a whole backup back (RDB or AOF); " +
			"lists with the record fail until it is deleted or put back, all other records are not affected"},
	Moving:     {"the Redis Cluster serves no master for this slot", "check CLUSTER INFO; this continues by itself once all slots are served"},
	Undurable:  {"written, but Redis did not confirm it as durable", "check the disk (WAITAOF) or the replicas (WAIT) of the server"},
	Unsuitable: {"this Redis cannot be used", ""},
	Other:      {"Redis answered with an error", ""},
}

// Fault is an error of the server or of the connection to it. A commit that ends with one may have happened, unless the Kind
// is Unreachable, Denied, ReadOnly, Full, Unsaved, Loading or Moving.
type Fault struct {
	Kind   Kind
	Detail string // replaces the message of the kind
	Cure   string // replaces the hint of the kind
	Err    error  // of the server or the network
}

// Message is the message without Err.
func (f *Fault) Message() string {
	if f.Detail != "" {
		return f.Detail
	}
	return kinds[f.Kind].message
}

// Error is the message with Err. It contains no secrets.
func (f *Fault) Error() string {
	text := f.Message()
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Hint is what to do about it.
func (f *Fault) Hint() string {
	if f.Cure != "" {
		return f.Cure
	}
	return kinds[f.Kind].hint
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Lasting reports whether the store does not work again by itself.
func (f *Fault) Lasting() bool { return f.Kind == Damaged }

// damaged is the fault of a key of Redis.
func damaged(key, what string) *Fault {
	return &Fault{Kind: Damaged, Detail: fmt.Sprintf("key %q of Redis is not what was written: %s", key, what)}
}

// named names the key of Redis in the error of one that another program has written.
func named(err error, key string) error {
	if f, ok := errors.AsType[*Fault](err); ok && f.Kind == Foreign && f.Detail == "" {
		return &Fault{Kind: Foreign, Detail: fmt.Sprintf("key %q of Redis holds something else", key), Err: f.Err}
	}
	return err
}

// errReply: the answer of a script has an unexpected form.
var errReply = errors.New("unexpected answer of a script")

// prefixes are how error messages of the server begin, and their kinds.
var prefixes = []struct {
	begins string
	kind   Kind
}{
	{"WRONGPASS", Denied}, {"NOAUTH", Denied}, {"NOPERM", Denied}, {"ERR invalid password", Denied}, {"ERR AUTH", Denied},
	{"ERR Client sent AUTH", Denied}, {"ERR The user executing the script can't", Denied}, {"READONLY", ReadOnly}, {"OOM", Full}, {"MISCONF", Unsaved}, {"LOADING", Loading},
	{"WRONGTYPE", Foreign}, {"MOVED", Moving}, {"ASK ", Moving}, {"TRYAGAIN", Moving}, {"CLUSTERDOWN", Moving}, {"MASTERDOWN", Moving},
	{"NOREPLICAS", Undurable}, {"ERR max number of clients", Unreachable}, {"BUSY", Silent},
}

// classify turns an error of go-redis into a *Fault; errors of this package are returned as they are.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrClosed), errors.As(err, new(*Fault)):
		return err
	case errors.Is(err, goredis.ErrClosed):
		return store.ErrClosed
	}
	if isForbidden(err.Error()) {
		return notPermitted("it", "PREFIX", err)
	}
	return &Fault{Kind: kindOf(err), Err: err}
}

func kindOf(err error) Kind {
	text := err.Error()
	for _, p := range prefixes {
		if strings.HasPrefix(text, p.begins) {
			return p.kind
		}
	}
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial", errors.As(err, new(*net.DNSError)):
		return Unreachable
	case strings.Contains(text, "all sentinels specified in configuration are unreachable"), strings.Contains(text, "cluster has no nodes"):
		return Unreachable
	case isTimeout(err), strings.Contains(text, "connection pool timeout"):
		return Silent
	case isLost(err):
		return Interrupted
	case errors.As(err, new(goredis.Error)):
		return serverKind(err)
	}
	return Other
}

// serverKind returns the kind of the error of a command in a script, which Redis quotes within its message.
func serverKind(err error) Kind {
	text := err.Error()
	for _, p := range prefixes {
		if strings.Contains(text, " "+p.begins) || strings.Contains(text, "-"+p.begins) {
			return p.kind
		}
	}
	return Other
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// isLost reports whether the connection broke; what was sent on it may have happened.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

func isUnknownScript(err error) bool { return strings.HasPrefix(err.Error(), "NOSCRIPT") }

// isMoving reports whether the node does not serve the slot or cannot be reached: the call did not happen, and another node
// may serve the slot soon.
func isMoving(err error) bool {
	switch kindOf(err) {
	case Moving, Unreachable, ReadOnly:
		return true
	}
	return false
}

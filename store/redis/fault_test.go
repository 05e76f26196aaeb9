package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/redis/redistest"
)

// serverError is an error of a server.
type serverError string

func (s serverError) Error() string { return string(s) }
func (serverError) RedisError()     {}

func TestErrorsAreClassified(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, Unreachable},
		{&net.DNSError{Err: "no such host"}, Unreachable},
		{serverError("ERR max number of clients reached"), Unreachable},
		{fmt.Errorf("read: %w", io.EOF), Interrupted},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, Interrupted},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, Interrupted},
		{context.DeadlineExceeded, Silent},
		{serverError("BUSY Redis is busy running a script."), Silent},
		{serverError("WRONGPASS invalid username-password pair"), Denied},
		{serverError("NOAUTH Authentication required."), Denied},
		{serverError("NOPERM this user has no permissions"), Denied},
		{serverError("ERR The user executing the script can't run this command or subcommand script: 0a, on @user_script:1."), Denied},
		{serverError("ERR AUTH <password> called without any password configured"), Denied},
		{serverError("READONLY You can't write against a read only replica."), ReadOnly},
		{serverError("OOM command not allowed when used memory > 'maxmemory'."), Full},
		{serverError("MISCONF Errors writing to the AOF file: No space left on device"), Unsaved},
		{serverError("LOADING Redis is loading the dataset in memory"), Loading},
		{serverError("WRONGTYPE Operation against a key holding the wrong kind of value"), Foreign},
		{serverError("ERR Error running script: -WRONGTYPE Operation against a key"), Foreign},
		{serverError("CLUSTERDOWN The cluster is down"), Moving},
		{serverError("TRYAGAIN Multiple keys request during rehashing of slot"), Moving},
		{serverError("MOVED 1 127.0.0.1:7"), Moving},
		{serverError("ERR unknown command 'EVALSHA'"), Other},
		{errors.New("odd"), Other},
	} {
		err := classify(tt.err)
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Kind != tt.want || !errors.Is(err, tt.err) || !strings.HasPrefix(err.Error(), kinds[tt.want].message) {
			t.Errorf("%v: got %v, want %s", tt.err, err, tt.want)
		}
	}
	seen := map[string]Kind{}
	for k, what := range kinds {
		if other, ok := seen[what.message]; ok {
			t.Errorf("%s and %s have the same message", k, other)
		}
		seen[what.message] = k
	}
}

func put(s *Store, id string, value string) error {
	_, err := s.Commit(context.Background(), store.Batch{
		Puts:    []store.Put{{Key: store.Key{Kind: "x", ID: id}, Version: store.AnyVersion, Value: []byte(value)}},
		Appends: []store.Append{{Key: store.Key{Kind: "x", ID: id}, Value: []byte("e")}},
	})
	return err
}

// wantKind checks the kind of a fault.
func wantKind(t *testing.T, what string, err error, kinds ...Kind) {
	t.Helper()
	f, ok := errors.AsType[*Fault](err)
	for _, k := range kinds {
		if ok && f.Kind == k {
			return
		}
	}
	t.Fatalf("%s: got %v, want %v", what, err, kinds)
}

// eventually retries until do succeeds.
func eventually(t *testing.T, what string, do func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	t.Fatalf("%s: still %v", what, err)
}

func TestFullMemoryLosesNothing(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	if err := put(s, "a", "kept"); err != nil {
		t.Fatal(err)
	}
	k := store.Key{Kind: "x", ID: "due"}
	if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	server.Config("maxmemory", "1")
	wantKind(t, "commit", put(s, "a", "lost"), Full)
	if r, err := s.Get(t.Context(), store.Key{Kind: "x", ID: "a"}); err != nil || string(r.Value) != "kept" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if ls, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour}); err != nil || len(ls) != 1 {
		t.Fatalf("claim of what was accepted: %v, %v", ls, err)
	}
	if _, err := s.Commit(t.Context(), store.Batch{Deletes: []store.Key{{Kind: "x", ID: "a"}}}); err != nil {
		t.Fatalf("a delete with full memory: %v", err)
	}
	server.Config("maxmemory", "0")
	if err := put(s, "a", "new"); err != nil {
		t.Fatal(err)
	}
}

func TestKeyOfAnotherTypeFailsTheCommit(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	sh := s.shards[0]
	server.Do("SET", sh.log(store.Key{Kind: "x", ID: "a"}), "not ours")
	err := put(s, "a", "v")
	wantKind(t, "commit", err, Foreign)
	if _, err := s.Get(t.Context(), store.Key{Kind: "x", ID: "a"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want nothing written", err)
	}
	server.Do("SET", sh.record(store.Key{Kind: "x", ID: "b"}), "not ours")
	wantKind(t, "commit", put(s, "b", "v"), Foreign)
	if es, err := s.Log(t.Context(), store.Key{Kind: "x", ID: "b"}, 0, 0); err != nil || len(es) != 0 {
		t.Errorf("got %v, %v, want nothing written", es, err)
	}
	_, err = s.Get(t.Context(), store.Key{Kind: "x", ID: "b"})
	wantKind(t, "get", err, Foreign)
}

// TestIndexOfAnotherTypeLeavesLogAndLease checks that a batch that fails in the middle can be written later, once, by the same
// owner.
func TestIndexOfAnotherTypeLeavesLogAndLease(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	k := store.Key{Kind: "x", ID: "a"}
	if _, err := s.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: k, At: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	leases, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
	if err != nil || len(leases) != 1 {
		t.Fatal(leases, err)
	}
	b := store.Batch{Puts: []store.Put{{Key: k, Terms: []string{"end"}}}, Appends: []store.Append{{Key: k, Value: []byte("e")}}, Release: &leases[0]}
	server.Do("SET", "{rp:00}:t:x:end", "not ours")
	for range 2 {
		_, err = s.Commit(t.Context(), b)
		wantKind(t, "commit", err, Foreign)
	}
	if lost, err := s.Renew(t.Context(), leases, time.Hour); err != nil || len(lost) != 0 {
		t.Errorf("lost the lease: %v, %v", lost, err)
	}
	server.Do("DEL", "{rp:00}:t:x:end")
	done, err := s.Commit(t.Context(), b)
	if err != nil || done.Versions[0] != 1 || done.Seqs[0] != 1 {
		t.Errorf("got %+v, %v, want the first version and the first entry", done, err)
	}
	if lost, err := s.Renew(t.Context(), leases, time.Hour); err != nil || len(lost) != 1 {
		t.Errorf("still leased: %v, %v", lost, err)
	}
}

func TestMasterThatBecomesAReplica(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	server.Do("REPLICAOF", "127.0.0.1", "1")
	wantKind(t, "commit", put(s, "a", "v"), ReadOnly)
	server.Do("REPLICAOF", "NO", "ONE")
	if err := put(s, "a", "v"); err != nil {
		t.Fatal(err)
	}
}

func TestRestartDuringCalls(t *testing.T) {
	server := redistest.Standalone(t)
	s, other := openURL(t, server.URL()), openURL(t, server.URL())
	keys, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claimed := make(chan error, 1)
	server.Stop()
	wantKind(t, "commit", put(s, "a", "v"), Unreachable, Interrupted)
	_, err = s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: time.Hour})
	wantKind(t, "claim", err, Unreachable, Interrupted)
	_, err = s.Take(t.Context(), store.Limit{Key: "k", Rate: 1})
	wantKind(t, "take", err, Unreachable, Interrupted)
	server.Restart()
	eventually(t, "commit", func() error { return put(s, "a", "v") })
	eventually(t, "the other", func() error { return put(other, "a", "v") })
	go func() {
		_, err := s.Claim(context.Background(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour, Wait: 20 * time.Second})
		claimed <- err
	}()
	eventually(t, "a wake", func() error {
		_, err := other.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: store.Key{Kind: "x", ID: "w"}, At: time.Now()}}})
		return err
	})
	if err := <-claimed; err != nil {
		t.Error(err)
	}
	eventually(t, "the watch", func() error {
		if err := put(other, "seen", "v"); err != nil {
			return err
		}
		for {
			select {
			case k, ok := <-keys:
				if !ok {
					t.Fatal("the channel closed with the connection")
				}
				if k.ID == "seen" {
					return nil
				}
			case <-time.After(50 * time.Millisecond):
				return errors.New("nothing received")
			}
		}
	})
}

func TestCallsReturnWhenTheirContextEnds(t *testing.T) {
	server := redistest.Standalone(t)
	s := openURL(t, server.URL())
	if err := put(s, "a", "v"); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Continue()
	k := store.Key{Kind: "x", ID: "a"}
	why := errors.New("the caller left")
	for name, call := range map[string]func(context.Context) error{
		"get":  func(ctx context.Context) error { _, err := s.Get(ctx, k); return err },
		"list": func(ctx context.Context) error { _, err := s.List(ctx, store.Query{Kind: "x"}); return err },
		"log":  func(ctx context.Context) error { _, err := s.Log(ctx, k, 0, 0); return err },
		"commit": func(ctx context.Context) error {
			_, err := s.Commit(ctx, store.Batch{Deletes: []store.Key{k}})
			return err
		},
		"claim": func(ctx context.Context) error {
			_, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
			return err
		},
		"renew": func(ctx context.Context) error {
			_, err := s.Renew(ctx, []store.Lease{{Key: k}}, time.Hour)
			return err
		},
		"queue":  func(ctx context.Context) error { _, err := s.Queue(ctx, "x"); return err },
		"places": func(ctx context.Context) error { _, err := s.Places(ctx, []store.Key{k}); return err },
		"take":   func(ctx context.Context) error { _, err := s.Take(ctx, store.Limit{Key: "k", Rate: 1}); return err },
		"open":   func(ctx context.Context) error { _, err := Open(ctx, Options{URL: server.URL()}); return err },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
		select {
		case err := <-done:
			if !errors.Is(err, why) {
				t.Errorf("%s: got %v, want the cause", name, err)
			}
		case <-time.After(3 * time.Second):
			t.Errorf("%s did not return", name)
		}
	}
}

// TestRefusedConnectionIsAnError checks that a refused connection is an error of the calls, not an empty answer.
func TestRefusedConnectionIsAnError(t *testing.T) {
	server := redistest.Standalone(t, "user app on >first ~* &* +@all")
	s := openURL(t, "redis://app:first@"+server.Addr)
	if err := put(s, "a", "v"); err != nil {
		t.Fatal(err)
	}
	k := store.Key{Kind: "x", ID: "a"}
	server.Do("ACL", "SETUSER", "app", "resetpass", ">second")
	for name, ask := range map[string]func() error{
		"get":    func() error { _, err := s.Get(t.Context(), k); return err },
		"log":    func() error { _, err := s.Log(t.Context(), k, 0, 0); return err },
		"list":   func() error { _, err := s.List(t.Context(), store.Query{Kind: "x"}); return err },
		"renew":  func() error { _, err := s.Renew(t.Context(), []store.Lease{{Key: k}}, time.Hour); return err },
		"places": func() error { _, err := s.Places(t.Context(), []store.Key{k}); return err },
		"commit": func() error { return put(s, "a", "w") },
		"claim": func() error {
			_, err := s.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "o", TTL: time.Hour})
			return err
		},
	} {
		server.Do("CLIENT", "KILL", "USER", "app")
		eventually(t, name, func() error {
			err := ask()
			if isFault(err, Interrupted) { // calls on the old connection come first
				return err
			}
			wantKind(t, name, err, Denied)
			return nil
		})
	}
	server.Do("ACL", "SETUSER", "app", "resetpass", ">first")
	eventually(t, "log", func() error {
		es, err := s.Log(t.Context(), k, 0, 0)
		if err == nil && len(es) != 1 {
			t.Fatalf("%d entries, want 1", len(es))
		}
		return err
	})
}

// TestLeaseOfACancelledClaimIsReleased checks that a claim that was in flight when its caller left and the store closed leaves
// no lease.
func TestLeaseOfACancelledClaimIsReleased(t *testing.T) {
	server := redistest.Standalone(t)
	s, other := openURL(t, server.URL()), openURL(t, server.URL())
	if _, err := other.Commit(t.Context(), store.Batch{Wakes: []store.Wake{{Key: store.Key{Kind: "x", ID: "due"}, At: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	before := s.Trips()
	ctx, cancel := context.WithCancel(t.Context())
	claimed := make(chan error, 1)
	go func() {
		_, err := s.Claim(ctx, store.ClaimRequest{Kind: "x", Owner: "gone", TTL: time.Hour})
		claimed <- err
	}()
	for s.Trips() == before {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-claimed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { _ = s.Close(); close(over) }()
	for !s.closed() {
		time.Sleep(time.Millisecond)
	}
	server.Continue()
	<-over
	leases, err := other.Claim(t.Context(), store.ClaimRequest{Kind: "x", Owner: "next", TTL: time.Hour})
	if err != nil || len(leases) != 1 {
		t.Errorf("got %d leases, %v; want the one of the cancelled claim", len(leases), err)
	}
}

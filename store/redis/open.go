package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/runplane/runplane/store"
)

// Options says which Redis to use and how. URL is enough; the other fields override its parameters.
type Options struct {
	URL        string
	Prefix     string        // separates deployments on one Redis; "": rp
	Shards     int           // fixed at first use; 0: the stored number, or at first use 1, on a Cluster 16
	Durability Durability    // "": Fast
	Warn       func(string)  // receives what an operator should know of the server, during Open; nil: ignored
	Sweep      time.Duration // how often expired records are removed; 0: 30 s
}

// format is the version of the layout in doc.go.
const format = "1"

// How long connecting and one command may take. After that the waiting calls fail.
const (
	dialTimeout  = 3 * time.Second
	replyTimeout = 5 * time.Second
)

// Store is a store.Store on Redis. Create it with Open.
type Store struct {
	single     *goredis.Client        // standalone, or the master that Sentinels name; nil for a Cluster
	cluster    *goredis.ClusterClient // nil: not a Cluster
	shards     []*shard
	durability guarantee
	origin     string // identifies this Store in messages
	limiter    limiter
	claims     claims
	watchers   store.Watchers
	listen     listening

	trips    atomic.Int64
	life     context.Context // of everything that is sent; Close ends it
	kill     context.CancelFunc
	stop     chan struct{} // closed by Close
	running  sync.WaitGroup
	starting sync.Mutex // guards running: nothing is added once Close waits for it
	close    func() error
}

var _ store.Store = (*Store)(nil)

// Open connects, checks that the server can be used and starts the store's goroutines, which Close ends. An invalid URL or
// option is store.ErrInvalid, anything wrong with the server a *Fault. Neither error contains a password.
func Open(ctx context.Context, o Options) (*Store, error) {
	a, err := parseURL(o.URL)
	if err == nil {
		err = o.override(&a)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Sweep <= 0 {
		o.Sweep = 30 * time.Second
	}
	disableLog()
	s := &Store{stop: make(chan struct{}), origin: rand.Text()[:8]}
	s.life, s.kill = context.WithCancel(context.WithoutCancel(ctx))
	s.connect(&a)
	s.claims.init()
	s.close = sync.OnceValue(s.shutdown)
	if err := s.prepare(ctx, &a, o.Warn); err != nil {
		_ = s.close() // nothing was written: its error does not matter
		return nil, err
	}
	s.limiter.init(s)
	s.listen.init(len(s.shards))
	s.running.Go(func() { s.runSweeper(o.Sweep) })
	return s, nil
}

func (o *Options) override(a *address) error {
	if o.Prefix != "" {
		a.prefix = o.Prefix
	}
	if o.Shards != 0 {
		a.shards = o.Shards
	}
	if o.Durability != "" {
		a.durability = o.Durability
	}
	return a.check()
}

// prepare checks the server and reads the layout. It returns when ctx ends: go-redis checks a context only between its steps.
func (s *Store) prepare(ctx context.Context, a *address, warn func(string)) error {
	done := make(chan error, 1)
	var warnings []string // told where the store opens
	s.running.Go(func() {
		err := s.check(s.life, a, func(text string) { warnings = append(warnings, text) })
		if err == nil {
			err = s.checkRights(s.life, a)
		}
		if err == nil {
			err = s.readLayout(s.life, a)
		}
		done <- withRights(err, a.prefix)
	})
	select {
	case err := <-done:
		if err == nil {
			for _, text := range warnings {
				warn(text)
			}
		}
		return err
	case <-ctx.Done():
		s.kill()
		return store.Ended(ctx)
	}
}

// noLog is go-redis's logger. It drops everything: each call returns its error, which is logged once.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

var disableLog = sync.OnceFunc(func() { goredis.SetLogger(noLog{}) })

// connect creates the client. The client retries nothing by itself: only exchange knows which calls may be repeated.
func (s *Store) connect(a *address) {
	var secure *tls.Config
	if a.tls {
		host, _, _ := net.SplitHostPort(a.hosts[0])
		secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
		if a.mode != standalone {
			secure.ServerName = "" // each node has its own
		}
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch a.mode {
	case cluster:
		s.cluster = goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: a.hosts, Username: a.user, Password: a.password, TLSConfig: secure, Protocol: 2,
			MaxRetries: -1, DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
			ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: quiet,
		})
	case sentinel:
		s.single = goredis.NewFailoverClient(&goredis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, Username: a.user, Password: a.password, DB: a.db, TLSConfig: secure, Protocol: 2,
			MaxRetries: -1, DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
			ContextTimeoutEnabled: true, DisableIdentity: true,
		})
	default:
		s.single = goredis.NewClient(&goredis.Options{
			Addr: a.hosts[0], Username: a.user, Password: a.password, DB: a.db, TLSConfig: secure, Protocol: 2,
			MaxRetries: -1, DialTimeout: dialTimeout, DialerRetries: 1, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
			ContextTimeoutEnabled: true, DisableIdentity: true, MaintNotificationsConfig: quiet,
		})
	}
}

// closeWait is how long Close waits for calls in flight.
const closeWait = time.Second

// Close ends every waiting call with ErrClosed, waits up to a second for calls in flight, and returns when no goroutine of the
// store is left. A second Close returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutdown() error {
	s.starting.Lock()
	close(s.stop)
	s.starting.Unlock()
	for _, sh := range s.shards {
		sh.commits.close()
		sh.strict.close()
		sh.requests.close()
	}
	s.watchers.Close()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		s.running.Wait()
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	s.kill()
	err := s.disconnect()
	<-idle
	return err
}

func (s *Store) disconnect() error {
	if s.cluster != nil {
		return s.cluster.Close()
	}
	return s.single.Close()
}

func (s *Store) closed() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// ready returns the error of a call whose context ended or whose store is closed.
func (s *Store) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return store.Ended(ctx)
	}
	if s.closed() {
		return store.ErrClosed
	}
	return nil
}

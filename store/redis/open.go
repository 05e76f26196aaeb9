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

// Options says which Redis, and what of it. URL is enough; the fields behind it override its parameters.
type Options struct {
	URL        string
	Prefix     string       // keeps deployments on one Redis apart; "": rp
	Shards     int          // fixed at first use; 0: whatever is there, else 1, on a Cluster 16
	Durability Durability   // "": Fast
	Warn       func(string) // gets what an operator should know of the server, at Open; nil: nobody
	Sweep      time.Duration
}

// format is the version of the layout in doc.go.
const format = "1"

// How long one command may take. A server that is silent for longer fails the calls that wait for it.
const (
	dialTimeout  = 3 * time.Second
	replyTimeout = 5 * time.Second
)

// Store is a store.Store on Redis. Make it with Open, end it with Close.
type Store struct {
	single     *goredis.Client        // standalone, or the master behind Sentinels
	cluster    *goredis.ClusterClient // or this
	shards     []*shard
	durability guarantee
	origin     string // names this Store in messages
	limiter    limiter
	claims     claims
	watchers   store.Watchers
	listen     listening

	trips    atomic.Int64
	life     context.Context // of everything that is sent; ends when Close loses patience
	kill     context.CancelFunc
	stop     chan struct{} // closed by Close
	running  sync.WaitGroup
	starting sync.Mutex // so that nothing joins running once Close waits for it
	close    func() error
}

var _ store.Store = (*Store)(nil)

// Open connects, checks that the server is fit for the purpose and starts the store's goroutines; Close ends them. A wrong
// URL or option is store.ErrInvalid, anything that is wrong with the server a *Fault. Neither holds a password.
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
	quieten()
	s := &Store{stop: make(chan struct{}), origin: rand.Text()[:8]}
	s.life, s.kill = context.WithCancel(context.WithoutCancel(ctx))
	s.connect(&a)
	s.claims.init()
	s.close = sync.OnceValue(s.shut)
	if err := s.prepare(ctx, &a, o.Warn); err != nil {
		_ = s.close() // nothing was written that it could lose
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

// prepare gives up when ctx ends: go-redis looks at a context only between its steps.
func (s *Store) prepare(ctx context.Context, a *address, warn func(string)) error {
	done := make(chan error, 1)
	s.running.Go(func() {
		err := s.check(s.life, a, warn)
		if err == nil {
			err = s.agree(s.life, a)
		}
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		s.kill()
		return store.Ended(ctx)
	}
}

// silence is go-redis's logger: what goes wrong comes back as an error of the call, and is said once.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

var quieten = sync.OnceFunc(func() { goredis.SetLogger(silence{}) })

// connect makes the client. It never sends anything twice by itself: what that would do, only exchange can tell.
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

// patience is how long Close lets what is under way finish.
const patience = time.Second

// Close ends every waiting call with ErrClosed, gives what is under way a second to be answered, and returns when no
// goroutine of the store is left. Closing again returns what the first did.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
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
	timer := time.NewTimer(patience)
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

// ready is what every call looks at first.
func (s *Store) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return store.Ended(ctx)
	}
	if s.closed() {
		return store.ErrClosed
	}
	return nil
}

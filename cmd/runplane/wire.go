package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/upkeep"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
	"github.com/runplane/runplane/store/bolt"
	"github.com/runplane/runplane/store/redis"
)

// plane is everything that one process runs, made from a configuration. This file is the only wiring.
type plane struct {
	config  Config
	log     hclog.Logger
	store   store.Store
	pool    *realm.Pool
	runtime *runtime.Runtime
}

// firstWait is how long a plan that is submitted to a server waits for a realm that was never seen, well within the patience of clients. A
// command that runs one plan and ends waits as long as the start may take.
const firstWait = 8 * time.Second

// maxDepth is how many runtimes may stand above one: a second may serve another configuration.
const maxDepth = 2

// open makes a plane; nothing runs before start, whose stop also closes what open has opened. An eager plane starts every realm
// at once, any other starts each realm when it is first needed.
func open(ctx context.Context, c Config, stderr io.Writer, eager bool) (*plane, error) {
	if c.Redact == nil {
		c.Redact = redact.New()
		c.Redact.Add(c.secrets())
	}
	if depth := realm.Depth(); depth > maxDepth {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "this runtime was started by %d others, each as a realm of the one before", depth).
			WithHint("an entry of mcpServers starts Runplane again: remove it")
	}
	p := &plane{config: c, log: logger(c.Log, stderr, c.Redact)}
	for _, w := range c.Warnings {
		p.log.Warn(w)
	}
	for _, n := range c.Notes {
		p.log.Debug(n)
	}
	var err error
	if p.store, err = openStore(ctx, c.Store, c.Shards, func(w string) { p.log.Warn(w) }); err != nil {
		return nil, err
	}
	var patience time.Duration
	if eager {
		patience = firstWait
	}
	p.pool, err = realm.New(realm.Config{
		Realms: c.MCPServers, Policies: c.Policies, Logger: p.log, Version: version(), Lazy: !eager,
		Limits: realm.Limits{
			StartTimeout: c.Limits.StartTimeout.Std(), LeaveGrace: c.Drain.Std(), ProbeEvery: c.Limits.ProbeEvery.Std(), MaxDepth: c.Limits.MaxDepth,
			MaxMessage: c.Limits.MaxMessageBytes, FirstWait: patience,
		},
		Inherit:  slices.Concat([]string{}, c.InheritEnv), // not nil
		StateDir: c.StateDir,
		Redact:   c.Redact,
		Cache:    capability.NewCatalogs(p.store),
	})
	if err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	expr.LimitMemory(int64(c.Limits.MaxEvaluation))
	p.runtime = runtime.New(runtime.Config{
		Store: p.store, Realms: realms{p.pool}, Policies: c.Policies, Quotas: c.quotas(), Secrets: c.Secrets,
		Log: p.log.Named("runtime"),
		Limits: engine.Limits{
			Plan: plan.Limits{
				MaxNodes: c.Limits.MaxNodes, MaxBytes: c.Limits.MaxPlanBytes, Limits: expr.Limits{MaxLevels: c.Limits.MaxDepth, MaxPassed: c.Limits.MaxMessageBytes},
			},
			MaxOutput:        c.Limits.MaxOutputBytes,
			MaxList:          c.Limits.MaxListBytes,
			MaxCached:        int64(c.Limits.MaxEvaluation) / 2,
			MaxExecutions:    c.Limits.MaxExecutions,
			MaxParallel:      c.Limits.MaxParallel,
			MaxWait:          time.Duration(c.Limits.MaxWaitSeconds) * time.Second,
			Grace:            c.Drain.Std(),
			Lease:            c.Limits.Lease.Std(),
			MaxChildren:      c.Limits.MaxTreeExecutions,
			MaxOpen:          c.Limits.MaxTreeOpen,
			MaxCalls:         c.Limits.MaxTreeCalls,
			MaxItems:         c.Limits.MaxTreeItems,
			MaxItemsInMemory: c.Limits.MaxItemsInMemory,
			MaxEvents:        c.Limits.MaxTreeEvents,
			MaxBytes:         int64(c.Limits.MaxTreeBytes),
			MaxEvaluation:    c.Limits.MaxTreeEvaluation.Std(),
			MaxAge:           c.Limits.MaxTreeTime.Std(),
		},
		MaxQueued: c.Limits.MaxQueued, MaxCache: c.Limits.MaxCacheBytes, Patience: c.Limits.DirectTimeout.Std(),
		Sessions: session.Rules{
			TTL: c.Sessions.TTL.Std(), IdleAfter: c.Sessions.IdleAfter.Std(), Keep: c.Sessions.Keep.Std(),
			OnDelete: c.Sessions.OnDelete, OnExpire: c.Sessions.OnExpire, MaxBytes: c.Limits.MaxSessionBytes, Max: c.Limits.MaxSessions,
		},
		States:    state.Rules{MaxBytes: c.Limits.MaxStateBytes, Max: c.Limits.MaxStates},
		Retention: upkeep.Retention{Executions: c.Retention.Executions.Std(), States: c.Retention.States.Std()},
	})
	return p, nil
}

// realms adapts the pool to the runtime.
type realms struct{ *realm.Pool }

// Catalog returns the pool's catalog as the interface of the runtime.
func (r realms) Catalog(ctx context.Context, names []string) plan.Catalog {
	return r.Pool.Catalog(ctx, names)
}

// Discover passes the fields of the query to the pool.
func (r realms) Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error) {
	return r.Pool.Discover(ctx, q.Realm, q.Query, string(q.Detail), q.Limit, q.Cursor)
}

// start runs the plane until the returned function is called: that stops calls first, then realms, then the store, and returns
// when everything has ended. Calls in flight may take until by; if it is zero, as long as the setting drain. The end of ctx does not stop
// the plane: calls in flight would be cut off before they are recorded.
func (p *plane) start(ctx context.Context) (stop func(by time.Time) error) {
	poolCtx, endPool := context.WithCancel(context.WithoutCancel(ctx))
	runtimeCtx, endRuntime := context.WithCancel(context.WithoutCancel(ctx))
	var pool, rt sync.WaitGroup
	var poolErr, rtErr error
	pool.Go(func() { poolErr = p.pool.Run(poolCtx) })
	rt.Go(func() { rtErr = p.runtime.Run(runtimeCtx) })
	return func(by time.Time) error {
		if !by.IsZero() {
			p.runtime.Executions.StopBy(by)
		}
		endRuntime()
		rt.Wait()
		endPool()
		pool.Wait()
		if errors.Is(poolErr, context.Canceled) {
			poolErr = nil // endPool caused it
		}
		return errors.Join(rtErr, poolErr, p.store.Close())
	}
}

// openStore opens the store that a setting names: file:DIR, mem: or the URL of a Redis. shards is the number of shards of a
// Redis; 0 leaves it to the store. Warnings for the operator are passed to warn.
func openStore(ctx context.Context, setting string, shards int, warn func(string)) (store.Store, error) {
	if redis.HasScheme(setting) {
		return openRedis(ctx, setting, shards, warn)
	}
	if shards != 0 {
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "shards is %d, but the store %s has no shards", shards, setting).
			WithHint("leave shards out, or name a Redis with --store redis://host:port")
	}
	kind, rest, _ := strings.Cut(setting, ":")
	var options bolt.Options
	switch kind {
	case "file":
		options.Dir = rest
	case "mem":
		options.Mem = true
	default:
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "unknown store %q", setting).WithHint("use file:DIR, mem: or redis://host:port")
	}
	options.Warn = warn
	s, err := bolt.Open(options)
	fault, faulty := errors.AsType[*bolt.Fault](err)
	switch {
	case errors.Is(err, store.ErrInUse):
		return nil, schemas.Errorf(schemas.CodeUnavailable, "%s", err).
			WithHint("stop that process, or use another store with --store file:DIR (or --store mem: to keep nothing); several processes share one " +
				"Redis: --store redis://HOST:6379")
	case faulty:
		return nil, schemas.Errorf(schemas.CodeUnavailable, "%s", fault).WithHint("%s", fault.Hint())
	case err != nil:
		reason := err
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			reason = path // without the text around it
		}
		return nil, schemas.Errorf(schemas.CodeInvalidArgument, "the store %s cannot be opened: %v", setting, reason).
			WithHint("name a writable folder with --store file:DIR, or keep nothing with --store mem:")
	}
	return s, nil
}

func openRedis(ctx context.Context, url string, shards int, warn func(string)) (store.Store, error) {
	s, err := redis.Open(ctx, redis.Options{URL: url, Shards: shards, Warn: warn})
	if err == nil {
		return s, nil
	}
	if f, ok := errors.AsType[*redis.Fault](err); ok {
		return nil, schemas.Errorf(schemas.CodeUnavailable, "the store %s: %v", storeName(url), err).WithHint("%s", f.Hint())
	}
	return nil, schemas.Errorf(schemas.CodeInvalidArgument, "the store %s: %v", storeName(url), err).
		WithHint("for example redis://host:6379, redis+sentinel://host:26379/master or redis+cluster://host:6379")
}

// storeName is the setting as it may be shown, without a password.
func storeName(setting string) string {
	if redis.HasScheme(setting) {
		return redis.Redacted(setting)
	}
	return setting
}

// logger writes only to stderr: stdout carries MCP, or the result. Secrets are replaced.
func logger(l Log, stderr io.Writer, secrets *redact.Redactor) hclog.Logger {
	o := &hclog.LoggerOptions{
		Name: "runplane", Level: hclog.LevelFromString(l.Level), JSONFormat: l.JSON, Output: secrets.Writer(stderr),
		TimeFn: func() time.Time { return time.Now().UTC() },
	}
	if f, ok := stderr.(*os.File); ok && !l.JSON {
		if _, _, terminal := windowSize(f); terminal {
			o.Color = hclog.ForceColor // the library sees no terminal through a writer
		}
	}
	return hclog.New(o)
}

// quotas returns the limits of what principals and sessions may use.
func (c *Config) quotas() call.QuotaRules {
	return call.QuotaRules{Principal: c.Limits.Principal, Session: c.Limits.Session}
}

package realm

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// Pool is all realms of a runtime. Its methods are safe for concurrent use. Those that need a connection wait until Run
// makes one, so Run must be on its way; what is read from memory (Health) answers at any time.
type Pool struct {
	realms         map[string]*realm
	names          []string // sorted
	policies       schemas.Policies
	defaultTimeout time.Duration
	limits         Limits
	lazy           bool
	log            hclog.Logger
	spawner        *spawner
}

// New checks the configuration; it starts nothing. Its error is a *schemas.Error that names the realm and the field.
func New(config Config) (*Pool, error) {
	log := config.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	p := &Pool{
		realms: map[string]*realm{}, policies: config.Policies, defaultTimeout: config.DefaultTimeout,
		limits: config.Limits.withDefaults(), lazy: config.Lazy, log: log.Named("realm"), spawner: newSpawner(),
	}
	if p.defaultTimeout == 0 {
		p.defaultTimeout = 60 * time.Second
	}
	for _, name := range slices.Sorted(maps.Keys(config.Realms)) {
		spec := config.Realms[name]
		if spec.Disabled {
			continue
		}
		kind, err := transportOf(name, spec)
		if err != nil {
			return nil, err
		}
		protocol := config.Policies.For(name, "").Protocol
		if err := checkProtocol(name, protocol); err != nil {
			return nil, err
		}
		p.realms[name] = p.newRealm(name, kind, protocol, spec, config)
		p.names = append(p.names, name)
	}
	return p, nil
}

func (p *Pool) newRealm(name, kind, protocol string, spec schemas.Realm, config Config) *realm {
	log := p.log.With("realm", name)
	return &realm{
		name: name, kind: kind, spec: spec, limits: p.limits, cache: config.Cache, log: log,
		policy:  func(capability string) schemas.Policy { return p.policies.For(name, capability) },
		redact:  redactor(spec.Env, spec.Headers, queryOf(spec.URL)),
		state:   schemas.RealmIdle,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		dialer: dialer{
			name: name, kind: kind, protocol: protocol, version: config.Version,
			spec: spec, limits: p.limits, start: p.spawner.start, log: log,
		},
	}
}

// Run owns every connection and child process until ctx ends. It starts the realms in parallel, unless the pool is lazy,
// and returns after all of them are gone: children with their process groups, within about twice Limits.CloseGrace. Call it
// once.
func (p *Pool) Run(ctx context.Context) error {
	var guard *guardian
	if slices.ContainsFunc(p.names, func(name string) bool { return p.realms[name].kind == transportStdio }) {
		guard = startGuardian(p.log)
	}
	defer guard.close()

	spawning, stop := context.WithCancel(context.WithoutCancel(ctx)) // its thread outlives the children
	var spawners, realms sync.WaitGroup
	defer spawners.Wait()
	defer stop()
	spawners.Go(func() { p.spawner.run(spawning) })

	for _, name := range p.names {
		r := p.realms[name]
		r.dialer.guard = guard
		realms.Go(func() { r.run(ctx, !p.lazy) })
	}
	realms.Wait()
	<-ctx.Done() // also without any realm
	return context.Cause(ctx)
}

// realm finds a realm by its name.
func (p *Pool) realm(name string) (*realm, error) {
	if r, ok := p.realms[name]; ok {
		return r, nil
	}
	err := schemas.Errorf(schemas.CodeNotFound, "no realm %q", name).WithField("realm").WithOutcome(schemas.NotRun)
	if len(p.names) == 0 {
		return nil, err.WithHint("no realm is configured; add mcpServers to the configuration")
	}
	return nil, err.WithHint("discover_capabilities lists the realms").WithCandidates(schemas.Nearest(name, p.names, maxCandidates))
}

// Health tells what is known of each realm, in the order of their names. It asks nobody.
func (p *Pool) Health() []schemas.RealmHealth {
	all := make([]schemas.RealmHealth, len(p.names))
	for i, name := range p.names {
		all[i] = p.realms[name].health()
	}
	return all
}

package realm

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// Pool is all realms of a runtime. Its methods are safe for concurrent use. Those that need a connection wait until Run
// makes one, so Run must be on its way; what is read from memory (Health) answers at any time.
type Pool struct {
	config         Config
	defaultTimeout time.Duration
	limits         Limits
	log            hclog.Logger
	spawner        *spawner
	members        atomic.Pointer[members]

	mu     sync.Mutex // guards what Run and Reload do to the members
	root   context.Context
	groups *groups
	realms sync.WaitGroup // of realms that run
}

// members is who belongs to the pool at one time. It never changes.
type members struct {
	realms map[string]*realm
	names  []string // sorted
}

// New checks the configuration; it starts nothing. Its error is a *schemas.Error that names the realm and the field.
func New(config Config) (*Pool, error) {
	log := config.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	p := &Pool{
		config: config, defaultTimeout: cmp.Or(config.DefaultTimeout, 60*time.Second),
		limits: config.Limits.withDefaults(), log: log.Named("realm"), spawner: newSpawner(),
	}
	m, _, err := p.plan(config.Realms, config.Policies)
	if err != nil {
		return nil, err
	}
	p.members.Store(m)
	return p, nil
}

func (p *Pool) newRealm(name, kind string, spec schemas.Realm, policies *schemas.Policies) *realm {
	log := p.log.With("realm", name)
	r := &realm{
		name: name, kind: kind, spec: spec, limits: p.limits, cache: p.config.Cache, log: log,
		redact:  redactor(spec.Env, spec.Headers, queryOf(spec.URL)),
		state:   schemas.RealmIdle,
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		gone:    make(chan struct{}),
		dialer: dialer{
			name: name, kind: kind, protocol: policies.For(name, "").Protocol, version: p.config.Version,
			spec: spec, limits: p.limits, start: p.spawner.start, log: log,
		},
	}
	r.policies.Store(policies)
	return r
}

// Run owns every connection and child process until ctx ends. It starts the realms in parallel, unless the pool is lazy,
// and returns after all of them are gone: children with their process groups, within about twice Limits.CloseGrace. What an
// earlier run left behind, if it could not do that, is ended too. Call it once.
func (p *Pool) Run(ctx context.Context) error {
	spawning, stop := context.WithCancel(context.WithoutCancel(ctx)) // its thread outlives the children
	var spawners, sweepers sync.WaitGroup
	defer spawners.Wait()
	defer stop()
	spawners.Go(func() { p.spawner.run(spawning) })
	defer sweepers.Wait()
	sweepers.Go(func() { sweep(p.config.StateDir, p.log) })

	p.mu.Lock()
	p.root = ctx
	for _, name := range p.members.Load().names {
		p.launch(p.members.Load().realms[name])
	}
	p.mu.Unlock()

	<-ctx.Done() // also without any realm
	p.mu.Lock()  // after which nothing is launched any more
	groups := p.groups
	p.mu.Unlock()
	p.realms.Wait()
	if groups != nil {
		groups.close()
	}
	return context.Cause(ctx)
}

// launch has a realm run until the pool or the realm ends; p.mu is held. Before Run, and after its end, it does nothing.
func (p *Pool) launch(r *realm) {
	if p.root == nil || p.root.Err() != nil {
		return
	}
	if r.kind == transportStdio && p.groups == nil {
		p.groups = &groups{guard: startGuardian(p.log), log: p.log}
		var err error
		if p.groups.record, err = newRecord(p.config.StateDir); err != nil {
			p.log.Debug("process groups are not recorded: what a crash leaves behind is ended by the guardian alone", "error", err)
		}
	}
	r.dialer.groups = p.groups
	p.realms.Go(func() { r.run(p.root, !p.config.Lazy) })
}

// realm finds a realm by its name.
func (p *Pool) realm(name string) (*realm, error) {
	m := p.members.Load()
	if r, ok := m.realms[name]; ok {
		return r, nil
	}
	err := schemas.Errorf(schemas.CodeNotFound, "no realm %q", name).WithField("realm").WithOutcome(schemas.NotRun)
	if len(m.names) == 0 {
		return nil, err.WithHint("no realm is configured; add mcpServers to the configuration")
	}
	return nil, err.WithHint("discover_capabilities lists the realms").WithCandidates(schemas.Nearest(name, m.names, maxCandidates))
}

// Health tells what is known of each realm, in the order of their names. It asks nobody.
func (p *Pool) Health() []schemas.RealmHealth {
	m := p.members.Load()
	all := make([]schemas.RealmHealth, len(m.names))
	for i, name := range m.names {
		all[i] = m.realms[name].health()
	}
	return all
}

// plan makes the members that a configuration asks for: realms that stay as they are, new ones for the rest. Nothing is
// started or ended. Its error names the first realm that is wrong, and its field.
func (p *Pool) plan(specs map[string]schemas.Realm, policies schemas.Policies) (*members, Change, error) {
	var change Change
	before, after := p.members.Load(), &members{realms: map[string]*realm{}}
	if before == nil {
		before = &members{}
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[name]
		if spec.Disabled {
			continue
		}
		kind, err := transportOf(name, spec)
		if err != nil {
			return nil, change, err
		}
		protocol := policies.For(name, "").Protocol
		if err := checkProtocol(name, protocol); err != nil {
			return nil, change, err
		}
		r, there := before.realms[name]
		switch {
		case !there:
			change.Added = append(change.Added, name)
		case !sameSpec(r.spec, spec) || r.dialer.protocol != protocol:
			change.Restarted = append(change.Restarted, name)
			there = false
		case !samePolicies(r.policies.Load(), &policies, name):
			change.Policies = append(change.Policies, name)
		}
		if !there {
			r = p.newRealm(name, kind, spec, &policies)
		}
		after.realms[name] = r
		after.names = append(after.names, name)
	}
	for _, name := range before.names {
		if after.realms[name] == nil {
			change.Removed = append(change.Removed, name)
		}
	}
	return after, change, nil
}

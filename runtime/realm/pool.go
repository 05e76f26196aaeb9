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

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// Pool is all realms of a runtime. Its methods are safe for concurrent use. Those that need a connection wait until Run has made
// one, so Run must be running; those that read memory, such as Health, work at any time.
type Pool struct {
	config         Config
	defaultTimeout time.Duration
	limits         Limits
	log            hclog.Logger
	spawner        *spawner
	members        atomic.Pointer[members]

	mu     sync.Mutex // serialises changes of members by Run and Reload
	root   context.Context
	groups *groups
	realms sync.WaitGroup // of realms that run
}

// members is the realms of the pool at one time. It is immutable.
type members struct {
	realms map[string]*realm
	names  []string // sorted
}

// New validates the configuration and starts nothing. The error is a *schemas.Error that names the realm and the field.
func New(config Config) (*Pool, error) {
	log := config.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	if config.Redact == nil {
		config.Redact = redact.New()
	}
	if config.Inherit == nil {
		config.Inherit = InheritedByDefault
	}
	p := &Pool{
		config: config, defaultTimeout: cmp.Or(config.DefaultTimeout, 60*time.Second),
		limits: config.Limits.withDefaults(), log: log.Named("realm"), spawner: newSpawner(),
	}
	config.Redact.Add(secretsOfEnvironment(config.Inherit))
	m, _, err := p.membersFor(config.Realms, config.Policies)
	if err != nil {
		return nil, err
	}
	p.members.Store(m)
	return p, nil
}

func (p *Pool) newRealm(name, kind string, spec schemas.Realm, policies *schemas.Policies) *realm {
	log := p.log.With("realm", name)
	p.config.Redact.Add(secretsOf(spec))
	r := &realm{
		name: name, kind: kind, spec: spec, limits: p.limits, cache: p.config.Cache, log: log,
		redact:  p.config.Redact,
		state:   schemas.RealmIdle,
		wake:    make(chan struct{}, 1),
		doubted: make(chan struct{}, 1),
		changed: make(chan struct{}),
		drained: make(chan struct{}),
		dialer: dialer{
			name: name, kind: kind, protocol: policies.For(name, "").Protocol, version: p.config.Version,
			spec: spec, inherit: p.config.Inherit, limits: p.limits, start: p.spawner.start, log: log, redact: p.config.Redact,
		},
	}
	if spec.Broken != nil {
		r.setBroken(spec.Broken.WithOutcome(schemas.NotRun))
	}
	r.policies.Store(policies)
	return r
}

// Run owns every connection and child process until ctx ends. It starts the realms concurrently, unless the pool is lazy, and
// returns after all of them have ended: children with their process groups, within about twice Limits.CloseGrace. It also ends
// processes that an earlier run left. Call it once.
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
		p.startRealm(p.members.Load().realms[name])
	}
	p.mu.Unlock()

	<-ctx.Done() // also without realms
	p.mu.Lock()  // after this no realm is started
	groups := p.groups
	p.mu.Unlock()
	p.realms.Wait()
	if groups != nil {
		groups.close()
	}
	return context.Cause(ctx)
}

// startRealm runs a realm until the pool or the realm ends. Before Run, and after its end, it does nothing. The caller holds p.mu.
func (p *Pool) startRealm(r *realm) {
	if p.root == nil || p.root.Err() != nil {
		return
	}
	if r.kind == transportStdio && p.groups == nil {
		p.groups = newGroups(p.config.StateDir, p.log)
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

// Health is what is known of each realm, in the order of their names. It reads memory only.
func (p *Pool) Health() []schemas.RealmHealth {
	m := p.members.Load()
	all := make([]schemas.RealmHealth, len(m.names))
	for i, name := range m.names {
		all[i] = m.realms[name].health()
	}
	return all
}

// membersFor returns the members of a configuration: existing realms that do not change, and new ones. It starts and ends nothing.
// The error names the first invalid realm and its field.
func (p *Pool) membersFor(specs map[string]schemas.Realm, policies schemas.Policies) (*members, Change, error) {
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
		if err != nil && spec.Broken == nil {
			return nil, change, err
		}
		protocol := policies.For(name, "").Protocol
		if err := checkProtocol(name, protocol); err != nil {
			return nil, change, err
		}
		r, unchanged := before.realms[name]
		switch {
		case !unchanged:
			change.Added = append(change.Added, name)
		case !sameSpec(r.spec, spec) || r.dialer.protocol != protocol:
			change.Restarted = append(change.Restarted, name)
			unchanged = false
		case !samePolicies(r.policies.Load(), &policies, name):
			change.Policies = append(change.Policies, name)
		}
		if !unchanged {
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

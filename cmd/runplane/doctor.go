package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Start every realm and print its problems",
		Long: "Starts every configured realm, lists its tools and prints what it found and how to repair what is broken. " +
			"Exit code 0: every realm works; 1: one does not; 2: the configuration is invalid.",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd) },
	}
	addConfigFlags(cmd.Flags(), "store", "operator", "toolsets", "tools", "exclude_tools", "read_only", "log.level", "log.json")
	return cmd
}

// diagnosis is what doctor found about one realm.
type diagnosis struct {
	health schemas.RealmHealth
	took   time.Duration
	tools  []schemas.Capability
	limits string            // of its calls
	own    map[string]string // of the calls of capabilities with their own policies
}

func (c *cli) doctor(cmd *cobra.Command) (err error) {
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	c.out = cfg.Redact.Writer(c.out)
	fmt.Fprintf(forPeople{c.out}, "config  %s\n", orNone(cfg.File))
	if cfg.PoliciesFile != "" {
		fmt.Fprintf(forPeople{c.out}, "        and of its own settings %s\n", cfg.PoliciesFile)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintf(forPeople{c.out}, "        warning: %s\n", w)
	}
	cfg.Warnings = nil
	fmt.Fprintf(forPeople{c.out}, "tools   %s\n", cfg.describeTools())
	broken := c.checkStore(cmd.Context(), cfg.Store, cfg.Shards)
	cfg.Store = "mem:"
	if cfg.Log.Level == "info" {
		cfg.Log.Level = "error"
	}
	p, err := open(cmd.Context(), cfg, c.err, true)
	if err != nil {
		return err
	}
	stop := p.start(cmd.Context())
	defer func() { err = errors.Join(err, stop(time.Time{})) }()

	names := slices.Sorted(maps.Keys(cfg.MCPServers))
	if len(names) == 0 {
		fmt.Fprintln(forPeople{c.out}, "realms  none: add mcpServers to the configuration, or pass the file of your MCP client with --config")
	}
	found := make([]diagnosis, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		if !cfg.MCPServers[name].Disabled {
			wg.Go(func() { found[i] = p.diagnose(cmd.Context(), name) })
		}
	}
	wg.Wait()
	for i := range found {
		if cfg.MCPServers[names[i]].Disabled {
			fmt.Fprintf(forPeople{c.out}, "realm   %s  disabled\n", names[i])
		} else if !c.report(&found[i], &cfg) {
			broken = true
		}
		if pkg := unpinned(cfg.MCPServers[names[i]]); pkg != "" {
			fmt.Fprintf(forPeople{c.out}, "        unpinned: %s runs the newest version at each start; name the version that you reviewed\n", pkg)
		}
	}
	for _, q := range []struct {
		scope string
		quota schemas.Quota
	}{{"principal", cfg.Limits.Principal}, {"session", cfg.Limits.Session}} {
		if words := describeQuota(q.quota); words != "" {
			fmt.Fprintf(forPeople{c.out}, "limits  each %s: %s\n", q.scope, words)
		}
	}
	if broken {
		return exit(exitFailed)
	}
	return nil
}

// describeTools says how many tools clients see and how much a model reads for them.
func (c *Config) describeTools() string {
	may, choice := tools.For(c.Operator), c.choice()
	list := choice.Of(may)
	text := fmt.Sprintf("%d of %d for clients, %.1f KB of names, descriptions and input schemas", len(list), len(may), float64(tools.ReadBytes(list))/1000)
	if choice.Publishes() {
		text += ", and published workflows"
	}
	return text
}

// checkStore opens and closes the configured store, prints the result and reports whether it is broken.
func (c *cli) checkStore(ctx context.Context, setting string, shards int) (broken bool) {
	name := storeName(setting)
	s, err := openStore(ctx, setting, shards, func(w string) { fmt.Fprintf(forPeople{c.out}, "store   %s  warning: %s\n", name, w) })
	if err == nil {
		err = s.Close()
	}
	if err == nil {
		fmt.Fprintf(forPeople{c.out}, "store   %s  ok\n", name)
		return false
	}
	fmt.Fprintf(forPeople{c.out}, "store   %s  broken: %s\n", name, schemas.AsError(err).Message)
	if e, ok := errors.AsType[*schemas.Error](err); ok {
		fmt.Fprintf(forPeople{c.out}, "        cure: %s\n", e.Hint)
	} else {
		fmt.Fprintf(forPeople{c.out}, "        %v\n", err)
	}
	return true
}

func (p *plane) diagnose(ctx context.Context, name string) diagnosis {
	began := time.Now()
	q := schemas.DiscoverQuery{Realm: name, Detail: schemas.DetailSchema, Limit: 200}
	d, err := p.runtime.Capabilities.Discover(ctx, q)
	found := diagnosis{took: time.Since(began), tools: d.Capabilities}
	for q.Cursor = d.NextCursor; err == nil && q.Cursor != ""; q.Cursor = d.NextCursor {
		d, err = p.runtime.Capabilities.Discover(ctx, q)
		found.tools = append(found.tools, d.Capabilities...)
	}
	found.limits, found.own = describeLimits(p.config.Policies, name, ""), map[string]string{}
	for capability := range p.config.Policies.Realms[name].Capabilities {
		found.own[capability] = describeLimits(p.config.Policies, name, capability)
	}
	for _, h := range p.pool.Health() {
		if h.Realm == name {
			found.health = h
		}
	}
	if err != nil && found.health.Error == nil {
		found.health.Error = schemas.AsError(err)
	}
	return found
}

// report prints one realm and reports whether it works.
func (c *cli) report(d *diagnosis, cfg *Config) bool {
	h := &d.health
	if h.Error != nil || h.State != schemas.RealmReady {
		fmt.Fprintf(forPeople{c.out}, "realm   %s  %s", h.Realm, h.State)
		if h.Error != nil {
			fmt.Fprintf(forPeople{c.out}, ": %s\n        cure: %s", h.Error.Message, h.Error.Hint)
		}
		fmt.Fprintln(c.out)
		return false
	}
	fmt.Fprintf(forPeople{c.out}, "realm   %s  ok  %s  MCP %s over %s  %d capabilities  started in %s\n",
		h.Realm, h.Server, h.Protocol, h.Transport, h.Capabilities, d.took.Round(time.Millisecond))
	fmt.Fprintf(forPeople{c.out}, "limits  %s: %s\n", h.Realm, d.limits)
	names := make([]string, len(d.tools))
	for i := range d.tools {
		names[i] = d.tools[i].CapabilityName
	}
	for _, name := range slices.Sorted(maps.Keys(d.own)) {
		fmt.Fprintf(forPeople{c.out}, "limits  %s.%s: %s\n", h.Realm, name, d.own[name])
		if !slices.Contains(names, name) {
			fmt.Fprintf(forPeople{c.out}, "        the realm has no such capability, so these policies have no effect%s\n", suggestion(name, names))
		}
	}
	var unannotated []string
	for _, t := range d.tools {
		if t.EffectFrom == "default" {
			unannotated = append(unannotated, t.CapabilityName)
		}
	}
	if len(unannotated) > 0 {
		fmt.Fprintf(forPeople{c.out}, "        %d without annotations count as once, never repeated without a decision: %s\n",
			len(unannotated), strings.Join(unannotated, ", "))
		fmt.Fprintf(forPeople{c.out}, "        configure what repeating each would do, %s; read changes nothing, idempotent has the same effect once or twice\n%s",
			cfg.placeOfPolicies(), indent(effectSnippet(cfg, h.Realm, unannotated), "          "))
	}
	for _, t := range d.tools {
		for _, w := range t.Warnings {
			fmt.Fprintf(forPeople{c.out}, "        suspicious: %s: %s\n", t.CapabilityName, w)
		}
	}
	return true
}

// suggestion asks whether another name was meant.
func suggestion(name string, names []string) string {
	near := schemas.Nearest(name, names, 1)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", near[0])
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}

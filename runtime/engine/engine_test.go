package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/queue"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/bolt"
)

// noRealms is a world without downstream servers.
type noRealms struct{ capability.Realms }

func (noRealms) Catalog(context.Context, []string) plan.Catalog { return noTools{} }

type noTools struct{}

func (noTools) Realms() []string                      { return nil }
func (noTools) Tools(string) ([]string, error)        { return nil, errors.New("no such realm") }
func (noTools) Tool(string, string) (plan.Tool, bool) { return plan.Tool{}, false }

// noWorkflows is a library of which no plan names a workflow.
type noWorkflows struct{}

func (noWorkflows) Resolve(context.Context, *schemas.Plan, []string) ([]schemas.Finding, error) {
	return nil, nil
}

// start runs an engine on a store of its own until the test ends.
func start(t *testing.T) *Engine {
	t.Helper()
	b, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		t.Fatal(err)
	}
	log, limits := hclog.NewNullLogger(), Limits{}.WithDefaults()
	s := records.New(records.Config{Store: b, Log: log, Worker: "w", Lease: limits.Lease, Random: rand.Float64})
	sessions := session.New(session.Config{Store: s, Log: log})
	c := Config{
		Store: s, Log: log, Sessions: sessions, States: state.New(state.Config{Store: s, Log: log, Sessions: sessions}),
		Capabilities: capability.New(capability.Config{
			Store: s, Log: log, Sessions: sessions, Realms: noRealms{}, NewID: records.NewID, Random: rand.Float64,
		}),
		Queue: queue.New(queue.Config{Store: s, Log: log, Capacity: limits.MaxExecutions, InFlight: func() int { return 0 }}),
		Feed:  new(telemetry.Feed), Limits: limits, NewID: records.NewID, Random: rand.Float64,
	}
	c.Journal = journal.Open(journal.Config{
		Store: s, Sessions: sessions, Limits: journal.Limits{Plan: limits.Plan, MaxOutput: limits.MaxOutput, Tree: limits.Budget(), MaxOpen: limits.MaxOpen}, UnknownRules: c.Capabilities.UnknownRules,
	})
	r := New(c)
	r.Connect(noWorkflows{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, b.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestListsOfItemsLeaveMemoryWithTheirItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		e, err := r.Execute(t.Context(), Submit{Plan: []byte(`{"plan":"v1","nodes":[
			{"id":"m","set":"${item}","for_each":"${lists.range(500)}"},{"id":"n","wait":"900ms","depends_on":["m"]}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		o := r.owner(e.ExecutionID)
		if o == nil {
			t.Fatal("the execution has no owner though its timer is near")
		}
		if o.x.State.Units[0].Status != schemas.NodeSucceeded {
			t.Fatal("the items have not run")
		}
		if n := o.x.CachedLists(); n != 0 {
			t.Errorf("%d lists are kept that nothing reads any more", n)
		}
	})
}

// A parent that does not exist any more refuses: otherwise it would be asked for ever.
func TestParentThatIsGoneGrantsNothing(t *testing.T) {
	_, err := start(t).askFor(t.Context(), "gone", "child", schemas.Budget{Calls: 9}, schemas.Budget{Calls: 1})
	if !errors.Is(err, &schemas.Error{Code: schemas.CodeQuotaExceeded}) {
		t.Errorf("got %v", err)
	}
}

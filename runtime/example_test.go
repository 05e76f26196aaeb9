package runtime_test

import (
	"context"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime"
	"github.com/runplane/runplane/runtime/capability"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/store/bolt"
)

// noRealms are no downstream servers: the plan calls none. A deployment has those of package realm here.
type noRealms struct{ capability.Realms }

func (noRealms) Catalog(context.Context, []string) plan.Catalog { return nil }

func ExampleRuntime() {
	store, err := bolt.Open(bolt.Options{Mem: true})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	r := runtime.New(runtime.Config{Store: store, Realms: noRealms{}})
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- r.Run(ctx) }()

	e, err := r.Executions.Execute(ctx, engine.Submit{Plan: []byte(`
plan: v1
inputs: {who: world}
nodes:
  - {id: words, set: ["hello", "${inputs.who}"]}
  - {id: greeting, set: "${nodes.words.output[0]}, ${nodes.words.output[1]}"}
output: "${nodes.greeting.output}"`)})
	for err == nil && !e.Status.Terminal() {
		e, err = r.Executions.Status(ctx, e.ExecutionID, "", 10*time.Second, nil) // waits for the end
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(e.Status, string(e.Output))

	stop()
	<-stopped
	// Output: succeeded "hello, world"
}

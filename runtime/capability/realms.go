package capability

import (
	"context"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Realms is the hook to the downstream servers; package realm implements it.
type Realms interface {
	call.Invoker
	// Catalog returns a snapshot of the tools of realms; it starts those that are not running, and may wait less for them than Resolve.
	Catalog(ctx context.Context, realms []string) plan.Catalog
	// Definition returns a tool as its realm lists it now; it asks the realm if the tool is not known. false: it is unknown.
	Definition(ctx context.Context, realm, capability string) (plan.Tool, bool)
	// Resolve describes a capability. Its error has code not_found, with candidates, or unavailable, with a hint.
	Resolve(ctx context.Context, realm, capability string) (schemas.Capability, error)
	// Discover lists capabilities in a stable order.
	Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error)
	// Health returns what is known of each realm; it does not ask the realms.
	Health() []schemas.RealmHealth
}

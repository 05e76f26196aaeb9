package capability

import (
	"context"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
)

// Realms is what the runtime needs of the downstream servers; package realm has it.
type Realms interface {
	call.Invoker
	// Catalog is a snapshot of the tools of these realms, started where needed.
	Catalog(ctx context.Context, realms []string) plan.Catalog
	// Definition is the tool as its realm lists it now, asked of the realm where it is not known; false: it cannot be told.
	Definition(ctx context.Context, realm, capability string) (plan.Tool, bool)
	// Resolve describes one capability: not_found with candidates, unavailable with the cure.
	Resolve(ctx context.Context, realm, capability string) (schemas.Capability, error)
	// Discover lists capabilities in a stable order.
	Discover(ctx context.Context, q schemas.DiscoverQuery) (schemas.Discovery, error)
	// Health tells what is known of each realm without asking it.
	Health() []schemas.RealmHealth
}

// Package capability is the contract Capability and the call chain, which every call of a downstream tool passes (dispatch.go). It owns the
// records catalog/<realm>, the breakers, limits, quotas and cached answers of this process, and the policies resolved for each capability.
// Every room above may call [Capabilities.Attempt], one attempt of a node, and read the limits of a capability; the tools make direct calls
// by [Capabilities.Invoke]. It calls the downstream servers through the hook [Realms], which package realm implements.
package capability

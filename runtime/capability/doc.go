// Package capability is the contract Capability and the call chain: what every call of a downstream tool passes, in one place
// (dispatch.go). It owns the records catalog/<realm>, the breakers, limits, quotas and cached answers of this process, and the policies
// resolved for each capability. Every room above may call [Capabilities.Attempt], one attempt of a node, and ask what a capability is
// held to; direct calls are [Capabilities.Invoke]. It calls the downstream servers through [Realms], which package realm has.
package capability

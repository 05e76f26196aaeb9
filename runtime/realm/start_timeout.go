package realm

import (
	"cmp"
	"net/url"
	"time"

	"github.com/runplane/runplane/schemas"
)

// startTimeout is how long a start may take.
func (r *realm) startTimeout() time.Duration {
	return cmp.Or(r.policies.Load().Realms[r.name].StartTimeout.Std(), r.limits.StartTimeout)
}

// tooSlow is the error of a start that takes longer than it may.
func (r *realm) tooSlow() *schemas.Error {
	const advice = "policies.realms.%s.start_timeout, or limits.start_timeout for all realms, is how long it may take (now %s)"
	within := r.startTimeout()
	if r.kind != transportStdio {
		return schemas.Errorf(schemas.CodeUnavailable, "realm %q did not finish its start within %s: %s did not answer", r.name, schemas.Duration(within), placeOf(r.spec.URL)).
			WithHint("check mcpServers.%s.url and whether its server runs; "+advice, r.name, r.name, schemas.Duration(within))
	}
	return schemas.Errorf(schemas.CodeUnavailable, "realm %q did not finish its start within %s", r.name, schemas.Duration(within)).
		WithHint("it may still be installing, or wait for something: run its command by hand once; "+advice+"; behind a proxy set HTTPS_PROXY, "+
			"or NODE_EXTRA_CA_CERTS, for this program, which hands them on", r.name, schemas.Duration(within))
}

// placeOf is a URL without what may be a secret in it.
func placeOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "its url"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

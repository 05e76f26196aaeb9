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

// stillStarting is the error of a realm whose tools were not known after a wait. The caller holds r.mu.
func (r *realm) stillStarting() *schemas.Error {
	e := schemas.Errorf(schemas.CodeUnavailable, "realm %q is still starting", r.name).WithOutcome(schemas.NotRun).
		WithHint("try again shortly; check_health shows its state")
	place := placeOf(r.spec.URL)
	if r.kind == transportStdio {
		place = "its program " + r.spec.Command
	}
	switch {
	case r.state == schemas.RealmReady:
		e.Message = schemas.Format("realm %q is connected and has not listed its tools yet", r.name)
	case r.failure != nil:
		e = r.failure.With(func(e *schemas.Error) { e.Message += "; it is being started again" })
	default:
		e.Message += schemas.Format(": %s has not answered yet, and may take %s", place, schemas.Duration(r.startTimeout()))
	}
	return r.withoutSecrets(e)
}

// placeOf is a URL without what may be a secret in it.
func placeOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "its url"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

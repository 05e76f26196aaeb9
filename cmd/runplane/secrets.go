package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// secretName is a name that follows the dot in ${secret.name}.
var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// secrets checks the secrets that plans may read.
func (r *reader) secrets(secrets map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		field := schemas.PointerTo("/secrets", name)
		switch value := secrets[name]; {
		case !secretName.MatchString(name):
			r.failAt(r.doc.Locate(field), "/secrets", "name %.80q: use up to 63 of A-Z a-z 0-9 and _, not beginning with a digit", name)
		case r.failed(field):
		case len(value) < redact.MinLength:
			r.fail(field, "the secret has %d bytes (at least %d): a shorter one could not be found again in what tools answer",
				len(value), redact.MinLength)
		}
	}
}

// allowed checks the names of secrets in one level of the policies.
func (r *reader) allowed(field string, p *schemas.Policy, secrets []string) {
	for i, name := range p.Secrets {
		if slices.Contains(secrets, name) {
			continue
		}
		at := schemas.PointerToItem(field+"/secrets", i)
		shown, near := strconv.Quote(name), schemas.Nearest(name, secrets, 1)
		if text, hidden := r.hidden(at); hidden { // a value stands where a name belongs
			shown, near = text, nil
		} else if !secretName.MatchString(name) {
			shown, near = "with the name that stands there", nil
		}
		message := fmt.Sprintf("%s: no secret %s in secrets", schemas.Dotted(at), shown)
		if len(near) > 0 {
			message += fmt.Sprintf(": did you mean %q?", near[0])
		}
		r.problems = append(r.problems, problem{r.position(at), at, message, near})
	}
}

// secrets is what the configuration has besides the realms, whose secrets the pool adds.
func (c *Config) secrets() *redact.Secrets {
	var s redact.Secrets
	s.Named(c.Used)
	s.Declared(c.Secrets)
	s.URL(c.Store)
	for _, proxy := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} { // as realms are reached
		s.URL(os.Getenv(proxy))
	}
	return &s
}

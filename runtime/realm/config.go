package realm

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// Config configures a Pool.
type Config struct {
	Realms   map[string]schemas.Realm // by name; without ${env:…}, which the caller has resolved
	Policies schemas.Policies
	Logger   hclog.Logger // nil: no logging
	Cache    CatalogCache // nil: catalogs are not kept across restarts
	Limits   Limits       // zero fields: the defaults

	// Redact learns the secrets of the realms, and replaces them in what comes from a realm; nil: one of this pool alone.
	Redact *redact.Redactor

	// DefaultTimeout is what Resolve reports as the timeout of an attempt if no policy has one; 0: 60 s. The pool itself
	// has no timeout for calls: it obeys ctx.
	DefaultTimeout time.Duration

	// StateDir is a folder, accessible only to this user, where process groups are recorded, so that the next start can end
	// processes that a crash left; empty: only the guardian process does. Several pools may share it.
	StateDir string

	// Lazy starts a realm at its first use; otherwise Run starts all of them, concurrently.
	Lazy bool

	// Inherit names variables of this process that every child gets beside PATH, HOME, LANG, TMPDIR and USER; nil: InheritedByDefault.
	Inherit []string

	// Version is the version of the client in the handshake; empty: "dev".
	Version string
}

// CatalogCache keeps the last known catalog of each realm across restarts, so that discovery and validation work before a
// realm has started. The data is opaque. Load of an unknown realm returns nil and no error.
type CatalogCache interface {
	Load(ctx context.Context, realm string) ([]byte, error)
	Save(ctx context.Context, realm string, catalog []byte) error
}

// Limits are the limits of realms and their connections.
type Limits struct {
	StartTimeout  time.Duration // starting or connecting, and the handshake
	ProbeTimeout  time.Duration // the server/discover request, which some old servers never answer
	ListTimeout   time.Duration // tools/list with all its pages
	CatalogTTL    time.Duration // age at which a catalog is read again
	Debounce      time.Duration // how long after list_changed the tools are read, so that several cause one reading
	CachedWait    time.Duration // how long Catalog and Discover wait for a realm whose last catalog is known
	FirstWait     time.Duration // how long Catalog waits for a realm that was never seen; 0: as long as a start may take
	BackoffMin    time.Duration // wait after the first failed start; doubled with each further one
	BackoffMax    time.Duration
	CloseGrace    time.Duration // between the end of stdin and TERM, and between TERM and KILL
	LeaveGrace    time.Duration // how long calls in flight may take on a realm that was removed or changed
	ProbeEvery    time.Duration // after so long without an answer a realm is probed
	ProbeWait     time.Duration // for the answer to a probe; at most ProbeEvery
	ProbeFailures int           // unanswered probes in a row that make its health bad
	MaxMessage    int           // bytes of one message of a realm: a line, an event, a response body
	MaxDepth      int           // levels of nesting in an answer or a tool's definition
	MaxTools      int           // tools of one realm
	MaxDefinition int           // bytes of one tool's definition
	MaxText       int           // bytes of a tool's error text or description that are passed on
	StderrRate    int           // lines of stderr logged each second
}

// DefaultLimits are the defaults of Limits.
var DefaultLimits = Limits{
	StartTimeout:  30 * time.Second,
	ProbeTimeout:  1500 * time.Millisecond,
	ListTimeout:   30 * time.Second,
	CatalogTTL:    10 * time.Minute,
	Debounce:      200 * time.Millisecond,
	CachedWait:    2 * time.Second,
	BackoffMin:    200 * time.Millisecond,
	BackoffMax:    time.Minute,
	CloseGrace:    1 * time.Second,
	LeaveGrace:    10 * time.Second,
	ProbeEvery:    30 * time.Second,
	ProbeWait:     10 * time.Second,
	ProbeFailures: 3,
	MaxMessage:    64 << 20,
	MaxDepth:      schemas.DefaultMaxDepth,
	MaxTools:      5000,
	MaxDefinition: 256 << 10,
	MaxText:       8 << 10,
	StderrRate:    50,
}

// withDefaults sets zero fields to their defaults.
func (l Limits) withDefaults() Limits {
	for _, d := range []struct{ field, value *time.Duration }{
		{&l.StartTimeout, &DefaultLimits.StartTimeout}, {&l.ProbeTimeout, &DefaultLimits.ProbeTimeout},
		{&l.ListTimeout, &DefaultLimits.ListTimeout}, {&l.CatalogTTL, &DefaultLimits.CatalogTTL},
		{&l.Debounce, &DefaultLimits.Debounce}, {&l.CachedWait, &DefaultLimits.CachedWait},
		{&l.BackoffMin, &DefaultLimits.BackoffMin}, {&l.BackoffMax, &DefaultLimits.BackoffMax},
		{&l.CloseGrace, &DefaultLimits.CloseGrace}, {&l.LeaveGrace, &DefaultLimits.LeaveGrace},
		{&l.ProbeEvery, &DefaultLimits.ProbeEvery}, {&l.ProbeWait, &DefaultLimits.ProbeWait},
	} {
		if *d.field == 0 {
			*d.field = *d.value
		}
	}
	l.ProbeWait = min(l.ProbeWait, l.ProbeEvery)
	for _, d := range []struct{ field, value *int }{
		{&l.MaxMessage, &DefaultLimits.MaxMessage}, {&l.MaxTools, &DefaultLimits.MaxTools},
		{&l.MaxDefinition, &DefaultLimits.MaxDefinition}, {&l.MaxDepth, &DefaultLimits.MaxDepth}, {&l.MaxText, &DefaultLimits.MaxText},
		{&l.StderrRate, &DefaultLimits.StderrRate}, {&l.ProbeFailures, &DefaultLimits.ProbeFailures},
	} {
		if *d.field == 0 {
			*d.field = *d.value
		}
	}
	return l
}

// The transports.
const (
	transportStdio = "stdio"
	transportHTTP  = "http"
	transportSSE   = "sse"
)

// realmName matches valid realm names. A capability is "realm.name", split at the first dot.
var realmName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// transportOf validates a spec and returns its transport.
func transportOf(name string, spec schemas.Realm) (string, error) {
	field := "/mcpServers/" + name
	bad := func(part, format string, args ...any) *schemas.Error {
		return schemas.Errorf(schemas.CodeInvalidArgument, "realm %q: %s", name, fmt.Sprintf(format, args...)).WithField(field + part)
	}
	if !realmName.MatchString(name) {
		err := schemas.Errorf(schemas.CodeInvalidArgument, "invalid realm name %q: use letters, digits, - and _, at most 64", name).
			WithField(field)
		if better := strings.Trim(notInName.ReplaceAllString(name, "-"), "-_"); better != "" && len(better) <= 64 {
			err = err.WithHint("use %q", better)
		}
		return "", err
	}
	kind := spec.Type
	switch {
	case kind == "streamable-http":
		kind = transportHTTP
	case kind == "" && spec.Command != "":
		kind = transportStdio
	case kind == "" && spec.URL != "":
		kind = transportHTTP
	}
	switch kind {
	case transportStdio:
		switch {
		case spec.Command == "":
			return "", bad("/command", "type stdio needs a command")
		case spec.URL != "":
			return "", bad("/url", "has a command and a url; use only one of them")
		}
	case transportHTTP, transportSSE:
		if spec.Command != "" {
			return "", bad("/command", "has a command and a url; use only one of them")
		}
		u, err := url.Parse(spec.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", bad("/url", "needs a url such as https://host/mcp")
		}
		if u.User != nil {
			return "", bad("/url", "has a user or password in its url; put them in headers")
		}
	case "":
		return "", bad("", "has neither a command nor a url")
	default:
		return "", bad("/type", "has the unknown type %q", spec.Type).
			WithCandidates(schemas.Nearest(spec.Type, []string{transportStdio, transportHTTP, "streamable-http", transportSSE}, 3))
	}
	return kind, nil
}

// secretsOf is the secrets of a spec. Its envFile is read again when the realm starts.
func secretsOf(spec schemas.Realm) *redact.Secrets {
	var s redact.Secrets
	s.Named(spec.Env)
	s.Named(spec.Headers)
	s.Args(spec.Args)
	s.URL(spec.URL)
	if spec.EnvFile != "" {
		if file, err := envFile(spec); err == nil { // else its start has the error
			s.Named(file)
		}
	}
	return &s
}

// secretsOfEnvironment is the secrets in variables that are handed on, such as the password of a proxy.
func secretsOfEnvironment(names []string) *redact.Secrets {
	var s redact.Secrets
	for _, name := range names {
		if v := os.Getenv(name); strings.Contains(v, "://") {
			s.URL(v)
		}
	}
	return &s
}

// protocols are the versions that a policy may pin.
var protocols = []string{"auto", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

func checkProtocol(name, version string) error {
	if version == "" || slices.Contains(protocols, version) {
		return nil
	}
	return schemas.Errorf(schemas.CodeInvalidArgument, "realm %q: unknown protocol %q", name, version).
		WithHint("one of %s", strings.Join(protocols, ", ")).WithField("/policies/realms/" + name + "/protocol")
}

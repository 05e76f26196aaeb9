package realm

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/runplane/runplane/schemas"
)

// Config is what a Pool is made of.
type Config struct {
	Realms   map[string]schemas.Realm // by name; values are resolved: no ${env:…} is left in them
	Policies schemas.Policies
	Logger   hclog.Logger // nil: silent
	Cache    CatalogCache // nil: catalogs are forgotten when the process ends
	Limits   Limits       // zero fields take their defaults

	// DefaultTimeout is what Resolve reports as the limit of an attempt for which no policy has one; 0 means 60 s. The
	// pool itself enforces no timeout of a call: it obeys ctx.
	DefaultTimeout time.Duration

	// StateDir is a folder of this user alone where process groups are recorded, so that the next start can end what a crash
	// left behind; empty: that is left to the guardian process. Any number of pools may share it.
	StateDir string

	// Lazy starts a realm at its first use; otherwise Run starts all of them, in parallel.
	Lazy bool

	// Version is what we call ourselves in the handshake; empty means "dev".
	Version string
}

// CatalogCache keeps the last known catalog of a realm over restarts, so that discovery and validation work before a
// realm is up. What is saved is opaque. Load of an unknown realm returns nothing and no error.
type CatalogCache interface {
	Load(ctx context.Context, realm string) ([]byte, error)
	Save(ctx context.Context, realm string, catalog []byte) error
}

// Limits are the numbers of the realm edge.
type Limits struct {
	StartTimeout  time.Duration // spawn or connect, and the handshake
	ProbeTimeout  time.Duration // the server/discover probe, which a silent old server never answers
	ListTimeout   time.Duration // tools/list with all its pages
	CatalogTTL    time.Duration // a catalog older than this is read again
	Debounce      time.Duration // how long list_changed notifications may gather
	CachedWait    time.Duration // how long Catalog and Discover wait for a realm whose last catalog is known
	BackoffMin    time.Duration // wait after the first failed start; doubles
	BackoffMax    time.Duration
	CloseGrace    time.Duration // between the end of stdin and TERM, and between TERM and KILL
	LeaveGrace    time.Duration // what calls under way get on a realm that leaves the configuration
	ProbeEvery    time.Duration // a realm that was silent so long is asked whether it lives
	ProbeWait     time.Duration // for the answer to that; at most ProbeEvery
	ProbeFailures int           // so many in a row make its health bad
	MaxMessage    int           // bytes of one message of a realm: a line, an event, a response body
	MaxTools      int           // tools of one realm
	MaxDefinition int           // bytes of one tool's definition
	MaxText       int           // bytes of a tool's error text or description that we pass on
	StderrRate    int           // lines of stderr logged each second
}

// DefaultLimits are the limits where the configuration says nothing.
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
	MaxMessage:    16 << 20,
	MaxTools:      5000,
	MaxDefinition: 256 << 10,
	MaxText:       8 << 10,
	StderrRate:    50,
}

// withDefaults fills the zero fields.
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
		{&l.MaxDefinition, &DefaultLimits.MaxDefinition}, {&l.MaxText, &DefaultLimits.MaxText},
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

// realmName is what a realm may be called: a capability is "realm.name", split at the first dot.
var realmName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// transportOf checks a spec and says which transport it asks for.
func transportOf(name string, spec schemas.Realm) (string, error) {
	field := "/mcpServers/" + name
	bad := func(part, format string, args ...any) *schemas.Error {
		return schemas.Errorf(schemas.CodeInvalidArgument, "realm %q: %s", name, fmt.Sprintf(format, args...)).WithField(field + part)
	}
	if !realmName.MatchString(name) {
		err := schemas.Errorf(schemas.CodeInvalidArgument, "a realm cannot be called %q: letters, digits, - and _ only, and at most 64 of them", name).WithField(field)
		if better := strings.Trim(notInName.ReplaceAllString(name, "-"), "-_"); better != "" && len(better) <= 64 {
			err = err.WithHint("call it %q", better)
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
			return "", bad("/url", "has a command and a url; it can be only one of them")
		}
	case transportHTTP, transportSSE:
		if spec.Command != "" {
			return "", bad("/command", "has a command and a url; it can be only one of them")
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

// queryOf is what stands behind the ? of a URL, where keys are sometimes put.
func queryOf(raw string) map[string]string {
	out := map[string]string{}
	if u, err := url.Parse(raw); err == nil {
		for name, values := range u.Query() {
			out[name] = strings.Join(values, " ")
		}
	}
	return out
}

// The versions a policy may pin.
var protocols = []string{"auto", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

func checkProtocol(name, version string) error {
	if version == "" || slices.Contains(protocols, version) {
		return nil
	}
	return schemas.Errorf(schemas.CodeInvalidArgument, "realm %q: unknown protocol %q", name, version).
		WithHint("one of %s", strings.Join(protocols, ", ")).WithField("/policies/realms/" + name + "/protocol")
}

package schemas

import "time"

// Capability is one tool of one realm.
type Capability struct {
	Realm          string            `json:"realm"`
	CapabilityName string            `json:"capability_name"`
	Title          string            `json:"title,omitempty"`
	Description    string            `json:"description,omitempty"`
	InputSchema    Object            `json:"input_schema,omitempty"`
	OutputSchema   Object            `json:"output_schema,omitempty"`
	Annotations    Object            `json:"annotations,omitempty"`
	Effect         Effect            `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once"`
	EffectFrom     string            `json:"effect_from,omitempty" jsonschema:"enum=config,enum=annotations,enum=default,description=what decided the effect"`
	Warnings       []string          `json:"warnings,omitempty" jsonschema:"description=what was suspicious in the realm's definition and was taken out of it"`
	DefinitionHash string            `json:"definition_hash,omitempty" jsonschema:"description=changes with name\\, description\\, schemas and annotations"`
	Health         *RealmHealth      `json:"health,omitempty"`
	Breaker        *BreakerState     `json:"breaker,omitempty" jsonschema:"description=absent where the policy switches it off"`
	Limits         *CapabilityLimits `json:"limits,omitempty"`
}

// CapabilityLimits are the bounds that apply to one attempt of a capability.
type CapabilityLimits struct {
	Timeout         Duration           `json:"timeout" jsonschema:"description=0s is none"`
	TimeoutFrom     string             `json:"timeout_from,omitempty" jsonschema:"description=which level of the policies says so"`
	Retry           *Retry             `json:"retry,omitempty"`
	Breaker         *Breaker           `json:"breaker,omitempty"`
	RateLimits      []RateBound        `json:"rate_limits,omitempty"`
	Concurrency     []ConcurrencyBound `json:"concurrency,omitempty"`
	ConcurrencyWait Duration           `json:"concurrency_wait,omitempty"`
	CacheTTL        Duration           `json:"cache_ttl,omitempty"`
	StaleIfError    Duration           `json:"stale_if_error,omitempty"`
	Fallback        []PolicyFallback   `json:"fallback,omitempty"`
	Drift           Drift              `json:"drift,omitempty" jsonschema:"enum=hold,enum=allow_compatible"`
	RetryUnknown    *bool              `json:"retry_unknown,omitempty" jsonschema:"description=false: on_unknown: retry is refused"`
}

// CircuitState of a breaker.
type CircuitState string

const (
	// CircuitClosed: calls pass.
	CircuitClosed CircuitState = "closed"
	// CircuitOpen: calls are refused until the time is over.
	CircuitOpen CircuitState = "open"
	// CircuitHalfOpen: one call at a time may try.
	CircuitHalfOpen CircuitState = "half_open"
)

// BreakerState is how the breaker of one capability stands.
type BreakerState struct {
	Capability        string       `json:"capability" jsonschema:"description=realm.name"`
	State             CircuitState `json:"state" jsonschema:"enum=closed,enum=open,enum=half_open"`
	Failures          int          `json:"failures" jsonschema:"description=faults in a row"`
	Opened            int          `json:"opened" jsonschema:"description=how often since this process started"`
	RetryAfterSeconds float64      `json:"retry_after_seconds,omitempty"`
	LastError         *Error       `json:"last_error,omitempty"`
}

// RealmState says whether a realm can be called now.
type RealmState string

const (
	// RealmIdle: configured and not started yet; the first use starts it.
	RealmIdle RealmState = "idle"
	// RealmStarting: being connected.
	RealmStarting RealmState = "starting"
	// RealmReady: connected.
	RealmReady RealmState = "ready"
	// RealmBroken: the last start or connection failed; the next use tries again after a backoff.
	RealmBroken RealmState = "broken"
)

// RealmHealth is what is known of one realm.
type RealmHealth struct {
	Realm               string     `json:"realm"`
	State               RealmState `json:"state" jsonschema:"enum=idle,enum=starting,enum=ready,enum=broken"`
	Transport           string     `json:"transport" jsonschema:"enum=stdio,enum=http,enum=sse"`
	Server              string     `json:"server,omitempty" jsonschema:"description=name and version the realm gave of itself"`
	Protocol            string     `json:"protocol,omitempty" jsonschema:"description=negotiated MCP version"`
	Capabilities        int        `json:"capabilities" jsonschema:"description=number of tools in the catalog"`
	CatalogAt           *time.Time `json:"catalog_at,omitempty" jsonschema:"description=when the catalog was read"`
	LastSuccess         *time.Time `json:"last_success,omitempty"`
	ConsecutiveFailures int        `json:"consecutive_failures,omitempty"`
	UnansweredProbes    int        `json:"unanswered_probes,omitempty" jsonschema:"description=health probes in a row that got no answer"`
	Latency             *Latency   `json:"latency,omitempty"`
	Required            bool       `json:"required,omitempty" jsonschema:"description=readiness waits for it"`
	Error               *Error     `json:"error,omitempty" jsonschema:"description=why it is broken and the cure"`
}

// Latency is how long the last calls took, failed ones too.
type Latency struct {
	Calls int     `json:"calls" jsonschema:"description=how many calls these numbers are of"`
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
}

// Discovery is one page of the capabilities that exist.
type Discovery struct {
	Realms       []RealmHealth `json:"realms"`
	Capabilities []Capability  `json:"capabilities"`
	NextCursor   string        `json:"next_cursor,omitempty"`
}

// Invocation is the result of one direct call.
type Invocation struct {
	Output     Value   `json:"output"`
	Attempts   int     `json:"attempts"`
	DurationMS float64 `json:"duration_ms"`
	Degraded   bool    `json:"degraded"`
	ServedBy   string  `json:"served_by" jsonschema:"description=realm.name that answered"`
	AgeSeconds float64 `json:"age_seconds,omitempty" jsonschema:"description=of an answer that was kept from an earlier call"`
}

// Detail says how much discovery tells of each capability.
type Detail string

const (
	// DetailNames gives realm and capability_name alone.
	DetailNames Detail = "names"
	// DetailSummary adds title, description and effect.
	DetailSummary Detail = "summary"
	// DetailSchema adds the schemas and annotations.
	DetailSchema Detail = "schema"
)

// DiscoverQuery selects capabilities.
type DiscoverQuery struct {
	Realm  string // empty: all
	Query  string // words to search names and descriptions for; empty: all
	Detail Detail // empty: summary
	Limit  int    // 0: a page of the default size
	Cursor string // next_cursor of the page before
}

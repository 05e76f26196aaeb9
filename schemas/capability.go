package schemas

import "time"

// Capability is one tool of one realm.
type Capability struct {
	Realm          string            `json:"realm"`
	CapabilityName string            `json:"capability_name"`
	Capability     string            `json:"capability,omitempty" jsonschema:"description=realm.name\\, as a plan names it"`
	Arguments      string            `json:"arguments,omitempty" jsonschema:"description=in short; a star marks the required ones"`
	Title          string            `json:"title,omitempty"`
	Description    string            `json:"description,omitempty"`
	InputSchema    Object            `json:"input_schema,omitempty"`
	OutputSchema   Object            `json:"output_schema,omitempty"`
	Annotations    Object            `json:"annotations,omitempty"`
	Effect         Effect            `json:"effect,omitempty" jsonschema:"enum=read,enum=idempotent,enum=once"`
	EffectFrom     string            `json:"effect_from,omitempty" jsonschema:"enum=config,enum=annotations,enum=default,description=what decided the effect"`
	Warnings       []string          `json:"warnings,omitempty" jsonschema:"description=suspicious content that was removed from the realm's definition"`
	DefinitionHash string            `json:"definition_hash,omitempty" jsonschema:"description=changes with name\\, description\\, schemas and annotations"`
	Health         *RealmHealth      `json:"health,omitempty"`
	Breaker        *BreakerState     `json:"breaker,omitempty" jsonschema:"description=absent if the policy switches it off"`
	Limits         *CapabilityLimits `json:"limits,omitempty"`

	More *Ref `json:"more,omitempty" jsonschema:"description=where all of it is read\\, if parts are left out"`
}

// CapabilityLimits are the limits that apply to one attempt of a capability.
type CapabilityLimits struct {
	Timeout         Duration            `json:"timeout" jsonschema:"description=0s: none"`
	TimeoutFrom     string              `json:"timeout_from,omitempty" jsonschema:"description=level of the policies that sets it"`
	Retry           *Retry              `json:"retry,omitempty"`
	Breaker         *Breaker            `json:"breaker,omitempty"`
	RateLimits      []ScopedRateLimit   `json:"rate_limits,omitempty"`
	Concurrency     []ScopedConcurrency `json:"concurrency,omitempty"`
	ConcurrencyWait Duration            `json:"concurrency_wait,omitempty"`
	CacheTTL        Duration            `json:"cache_ttl,omitempty"`
	StaleIfError    Duration            `json:"stale_if_error,omitempty"`
	Fallback        []PolicyFallback    `json:"fallback,omitempty"`
	Drift           Drift               `json:"drift,omitempty" jsonschema:"enum=hold,enum=allow_compatible"`
	Safety          Safety              `json:"safety,omitempty" jsonschema:"enum=approve,enum=review,description=review: a person has to allow each call"`
	RetryUnknown    *bool               `json:"retry_unknown,omitempty" jsonschema:"description=false: on_unknown: retry is refused"`
}

// CircuitState is the state of a breaker.
type CircuitState string

const (
	// CircuitClosed: calls pass.
	CircuitClosed CircuitState = "closed"
	// CircuitOpen: calls are refused until open_for has passed.
	CircuitOpen CircuitState = "open"
	// CircuitHalfOpen: one trial call at a time is let through.
	CircuitHalfOpen CircuitState = "half_open"
)

// BreakerState is the state of one capability's breaker.
type BreakerState struct {
	Capability        string       `json:"capability" jsonschema:"description=realm.name"`
	State             CircuitState `json:"state" jsonschema:"enum=closed,enum=open,enum=half_open"`
	Failures          int          `json:"failures" jsonschema:"description=faults in a row"`
	Opened            int          `json:"opened" jsonschema:"description=times since this process started"`
	RetryAfterSeconds float64      `json:"retry_after_seconds,omitempty"`
	LastError         *Error       `json:"last_error,omitempty"`
}

// RealmState says whether a realm can be called.
type RealmState string

const (
	// RealmIdle: configured and not started yet; the first use starts it.
	RealmIdle RealmState = "idle"
	// RealmStarting: connecting.
	RealmStarting RealmState = "starting"
	// RealmReady: connected.
	RealmReady RealmState = "ready"
	// RealmBroken: the last start or connection failed; the next use tries again after a backoff.
	RealmBroken RealmState = "broken"
)

// RealmHealth is what is known about one realm.
type RealmHealth struct {
	Realm               string     `json:"realm"`
	State               RealmState `json:"state" jsonschema:"enum=idle,enum=starting,enum=ready,enum=broken"`
	Transport           string     `json:"transport" jsonschema:"enum=stdio,enum=http,enum=sse"`
	Server              string     `json:"server,omitempty" jsonschema:"description=name and version that the realm reported"`
	Protocol            string     `json:"protocol,omitempty" jsonschema:"description=negotiated MCP version"`
	Capabilities        int        `json:"capabilities" jsonschema:"description=number of tools in the catalog"`
	CatalogAt           *time.Time `json:"catalog_at,omitempty" jsonschema:"description=when the catalog was read"`
	LastSuccess         *time.Time `json:"last_success,omitempty"`
	ConsecutiveFailures int        `json:"consecutive_failures,omitempty"`
	UnansweredProbes    int        `json:"unanswered_probes,omitempty" jsonschema:"description=consecutive health probes without an answer"`
	Latency             *Latency   `json:"latency,omitempty"`
	Required            bool       `json:"required,omitempty" jsonschema:"description=this process is not ready without it"`
	Error               *Error     `json:"error,omitempty" jsonschema:"description=why it is broken and how to repair it"`
}

// Latency is the duration of the last calls, including failed ones.
type Latency struct {
	Calls int     `json:"calls" jsonschema:"description=number of calls measured"`
	P50MS float64 `json:"p50_ms"`
	P99MS float64 `json:"p99_ms"`
}

// Discovery is one page of capabilities, with the state of the realms that cannot be called now, of the one that was asked for, or of all if
// no capabilities were searched for.
type Discovery struct {
	Realms       []RealmHealth `json:"realms"`
	Capabilities []Capability  `json:"capabilities"`
	NextCursor   string        `json:"next_cursor,omitempty"`
}

// Invocation is the result of one direct call.
type Invocation struct {
	Output     Value   `json:"output,omitempty"`
	Content    Value   `json:"content,omitempty" jsonschema:"description=content blocks of the answer that the output does not have"`
	Attempts   int     `json:"attempts"`
	DurationMS float64 `json:"duration_ms"`
	Degraded   bool    `json:"degraded"`
	ServedBy   string  `json:"served_by" jsonschema:"description=realm.name that answered"`
	AgeSeconds float64 `json:"age_seconds,omitempty" jsonschema:"description=of a cached answer"`

	Notes []string `json:"notes,omitempty" jsonschema:"description=what was repaired in the realm's answer"`

	Text      string `json:"text,omitempty" jsonschema:"description=instead of a large output: the beginning of its JSON"`
	OutputRef *Ref   `json:"output_ref,omitempty" jsonschema:"description=where a large output is read"`

	ContentRef *Ref `json:"content_ref,omitempty" jsonschema:"description=where large content blocks are read"`
}

// Detail says how much discovery shows of each capability.
type Detail string

const (
	// DetailNames gives only realm and capability_name.
	DetailNames Detail = "names"
	// DetailSummary adds title, description and effect.
	DetailSummary Detail = "summary"
	// DetailSchema adds the schemas and annotations.
	DetailSchema Detail = "schema"
)

// DiscoverQuery selects capabilities.
type DiscoverQuery struct {
	Realm  string // empty: all
	Query  string // words to search for in names and descriptions; empty: all
	Detail Detail // empty: summary
	Limit  int    // 0: a page of the default size
	Cursor string // next_cursor of the previous page
}

package main

import (
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// Config is what runplane.yaml holds, after flags, environment and defaults were applied. A zero field means the
// default in the file; in a loaded Config every field has its value.
type Config struct {
	MCPServers map[string]schemas.Realm `json:"mcpServers,omitempty" jsonschema:"description=realm name to MCP server; the same object as in Claude Desktop\\, Cursor and VS Code"`
	Policies   schemas.Policies         `json:"policies,omitzero" jsonschema:"description=what holds for every call\\, for a realm\\, for a capability; the nearest level wins"`
	Secrets    map[string]string        `json:"secrets,omitempty" jsonschema:"description=name to value\\, as in ${env:SHOP_TOKEN}: plans read them as ${secret.name} in the inputs of calls for which a policy names them"`
	Store      string                   `json:"store,omitempty"`
	Shards     int                      `json:"shards,omitempty"`
	HTTP       string                   `json:"http,omitempty"`
	Operator   bool                     `json:"operator,omitempty"`
	Toolsets   []string                 `json:"toolsets,omitempty"`
	Tools      []string                 `json:"tools,omitempty"`
	Exclude    []string                 `json:"exclude_tools,omitempty"`
	ReadOnly   bool                     `json:"read_only,omitempty"`
	InheritEnv []string                 `json:"inherit_env,omitempty"`
	Log        Log                      `json:"log,omitzero"`
	Limits     Limits                   `json:"limits,omitzero"`
	Drain      schemas.Duration         `json:"drain,omitempty"`
	Sessions   Sessions                 `json:"sessions,omitzero"`
	Retention  Retention                `json:"retention,omitzero"`

	PoliciesFile string `json:"-"` // absolute path of the file of --policies; empty: there was none
	Client       bool   `json:"-"` // File belongs to an MCP client

	StateDir  string            `json:"-"` // folder for what belongs to this machine; empty: none
	File      string            `json:"-"` // absolute path of the file that was read; empty: there was none
	Warnings  []string          `json:"-"` // for the operator
	Notes     []string          `json:"-"` // for debugging; neither holds a value from the file
	Redact    *redact.Redactor  `json:"-"` // knows the secrets of this configuration and its realms; nil: one is made
	Used      map[string]string `json:"-"` // the environment variables that the file names
	Empty     bool              `json:"-"` // the file has no content besides comments
	NoServers bool              `json:"-"` // the file has no mcpServers
}

// Log is what is written to stderr.
type Log struct {
	Level string `json:"level,omitempty"`
	JSON  bool   `json:"json,omitempty"`
}

// Limits bound what one plan, one execution and one process may use.
type Limits struct {
	MaxNodes        int `json:"max_nodes,omitempty"`
	MaxPlanBytes    int `json:"max_plan_bytes,omitempty"`
	MaxOutputBytes  int `json:"max_output_bytes,omitempty"`
	MaxMessageBytes int `json:"max_message_bytes,omitempty"`
	MaxListBytes    int `json:"max_list_bytes,omitempty"`
	MaxExecutions   int `json:"max_executions,omitempty"`
	MaxQueued       int `json:"max_queued,omitempty"`
	MaxParallel     int `json:"max_parallel,omitempty"`
	MaxWaitSeconds  int `json:"max_wait_seconds,omitempty"`
	MaxCacheBytes   int `json:"max_cache_bytes,omitempty"`
	MaxEvaluation   int `json:"max_evaluation_bytes,omitempty"`

	MaxSessionBytes int `json:"max_session_bytes,omitempty"`
	MaxStateBytes   int `json:"max_state_bytes,omitempty"`
	MaxDepth        int `json:"max_depth,omitempty"`
	MaxSessions     int `json:"max_sessions,omitempty"`
	MaxStates       int `json:"max_states,omitempty"`

	MaxTreeExecutions int              `json:"max_tree_executions,omitempty"`
	MaxTreeOpen       int              `json:"max_tree_open,omitempty"`
	MaxTreeCalls      int              `json:"max_tree_calls,omitempty"`
	MaxTreeItems      int              `json:"max_tree_items,omitempty"`
	MaxItemsInMemory  int              `json:"max_items_in_memory,omitempty"`
	MaxTreeEvents     int              `json:"max_tree_events,omitempty"`
	MaxTreeBytes      int              `json:"max_tree_bytes,omitempty"`
	MaxTreeEvaluation schemas.Duration `json:"max_tree_evaluation,omitempty"`
	MaxTreeTime       schemas.Duration `json:"max_tree_time,omitempty"`

	MaxConnections    int `json:"max_connections,omitempty"`
	MaxStreams        int `json:"max_streams,omitempty"`
	MaxClientSessions int `json:"max_client_sessions,omitempty"`
	MaxClientBytes    int `json:"max_client_bytes,omitempty"`

	StartTimeout  schemas.Duration `json:"start_timeout,omitempty"`
	DirectTimeout schemas.Duration `json:"direct_timeout,omitempty"`
	ProbeEvery    schemas.Duration `json:"probe_every,omitempty"`
	Lease         schemas.Duration `json:"lease,omitempty"`

	Principal schemas.Quota `json:"principal,omitzero" jsonschema:"description=what one principal may use in a period; calls beyond it are refused with quota_exceeded until enough has come back"`
	Session   schemas.Quota `json:"session,omitzero" jsonschema:"description=what one session may use in a period"`
}

// Sessions are the settings of sessions.
type Sessions struct {
	TTL       schemas.Duration `json:"ttl,omitempty"`
	IdleAfter schemas.Duration `json:"idle_after,omitempty"`
	Keep      schemas.Duration `json:"keep,omitempty"`
	OnDelete  string           `json:"on_delete,omitempty"`
	OnExpire  string           `json:"on_expire,omitempty"`
}

// Retention is how long ended executions and unused states can still be read.
type Retention struct {
	Executions schemas.Duration `json:"executions,omitempty"`
	States     schemas.Duration `json:"states,omitempty"`
}

// setting is one value that a flag, a variable or the file can give, in this order of precedence. The flag's name is
// its own; the variable is RUNPLANE_ and the key in capitals with _ for the dot.
type setting struct {
	key      string // in the file
	flag     string // empty: too rarely changed for one
	standard string // the default, in the notation of the file
	about    string // what it does, and why the default
	words    []string
	min, max int                  // for numbers
	least    schemas.Duration     // for durations
	forever  bool                 // a duration of 0 is allowed and means no limit
	names    func([]string) error // of a list of names: what is wrong with them
	at       func(*Config) any
}

// settings has each setting once. Realms and policies have no flag and no default.
var settings = []setting{
	{
		key: "store", flag: "store", standard: "file:",
		about: "where executions live: file:DIR is durable, file: alone is the user's state folder, mem: forgets at exit, " +
			"redis://HOST:PORT (rediss://, redis+sentinel://, redis+cluster://) is shared by any number of replicas",
		at: func(c *Config) any { return &c.Store },
	}, {
		key: "shards", flag: "shards", standard: "0", min: 0, max: 1024,
		about: "over how many hash tags a Redis store spreads its keys, fixed at first use; 0: the stored number, or at first use 1 " +
			"on a single server and 16 on a Cluster",
		at: func(c *Config) any { return &c.Shards },
	}, {
		key: "http", flag: "http", standard: "",
		about: "loopback address to serve /mcp and /sse on, such as 127.0.0.1:8080; empty serves stdio, which is what MCP clients start",
		at:    func(c *Config) any { return &c.HTTP },
	}, {
		key: "operator", flag: "operator", standard: "false",
		about: "every connected client is an operator and sees the operators' tools, such as pause_queue; do not set it for agents",
		at:    func(c *Config) any { return &c.Operator },
	}, {
		key: "toolsets", flag: "toolsets", standard: "", names: tools.CheckToolsets,
		about: "tools that clients see and may call: " + strings.Join(tools.Toolsets(), ", ") + "; empty: agent, with operator all, or none if tools " +
			"names some; headers such as X-MCP-Toolsets narrow it",
		at: func(c *Config) any { return &c.Toolsets },
	}, {
		key: "tools", flag: "tools", standard: "", names: tools.CheckTools,
		about: "single tools by name, in addition to toolsets, or alone without it; workflow_ and a name: that workflow, once it is published",
		at:    func(c *Config) any { return &c.Tools },
	}, {
		key: "exclude_tools", flag: "exclude-tools", standard: "", names: tools.CheckTools,
		about: "tools by name that no client sees or may call, whatever else is set",
		at:    func(c *Config) any { return &c.Exclude },
	}, {
		key: "read_only", flag: "read-only", standard: "false",
		about: "only tools that are annotated as read-only, and workflows whose plans only read; whatever else is set",
		at:    func(c *Config) any { return &c.ReadOnly },
	}, {
		key: "inherit_env", standard: strings.Join(realm.InheritedByDefault, ","), names: checkVariables,
		about: "variables of this process that every realm's program gets beside PATH, HOME, LANG, TMPDIR and USER; a proxy's URL may hold a password",
		at:    func(c *Config) any { return &c.InheritEnv },
	}, {
		key: "log.level", flag: "log-level", standard: "info", words: []string{"trace", "debug", "info", "warn", "error"},
		about: "lowest level that is logged; info is what an operator needs",
		at:    func(c *Config) any { return &c.Log.Level },
	}, {
		key: "log.json", flag: "log-json", standard: "false",
		about: "log one JSON object a line instead of text for people",
		at:    func(c *Config) any { return &c.Log.JSON },
	}, {
		key: "drain", flag: "drain", standard: "10s",
		about: "how long calls in flight may take to finish after SIGTERM or the end of stdin; those that do not are recovered at the next start",
		at:    func(c *Config) any { return &c.Drain },
	}, {
		key: "limits.max_nodes", standard: "1000", min: 1, max: 100_000,
		about: "most nodes of a plan; a larger plan is nearly always an unrolled loop",
		at:    func(c *Config) any { return &c.Limits.MaxNodes },
	}, {
		key: "limits.max_plan_bytes", standard: "262144", min: 1 << 10, max: 16 << 20,
		about: "largest plan in bytes of JSON; data belongs in inputs and outputs",
		at:    func(c *Config) any { return &c.Limits.MaxPlanBytes },
	}, {
		key: "limits.max_output_bytes", standard: "1048576", min: 1 << 10, max: 64 << 20,
		about: "largest output of a node that an expression reads, and largest value that expressions make, in bytes; they hold it in memory",
		at:    func(c *Config) any { return &c.Limits.MaxOutputBytes },
	}, {
		key: "limits.max_message_bytes", standard: "67108864", min: 1 << 20, max: 512 << 20,
		about: "largest answer of a realm in bytes, and largest value that a path alone passes from node to node",
		at:    func(c *Config) any { return &c.Limits.MaxMessageBytes },
	}, {
		key: "limits.max_list_bytes", standard: "16777216", min: 1 << 10, max: 1 << 30,
		about: "largest list in bytes that a node with for_each makes of its outputs, or one with repeat collects",
		at:    func(c *Config) any { return &c.Limits.MaxListBytes },
	}, {
		key: "limits.max_executions", standard: "256", min: 1, max: 100_000,
		about: "executions that run at once in this process; the others wait in the queue by priority",
		at:    func(c *Config) any { return &c.Limits.MaxExecutions },
	}, {
		key: "limits.max_queued", standard: "10000", min: 1, max: 10_000_000,
		about: "most executions that wait in the queue; further ones are refused as rate_limited",
		at:    func(c *Config) any { return &c.Limits.MaxQueued },
	}, {
		key: "limits.max_parallel", standard: "32", min: 1, max: 1000,
		about: "nodes of one execution in flight at once, unless its plan asks for fewer",
		at:    func(c *Config) any { return &c.Limits.MaxParallel },
	}, {
		key: "limits.max_wait_seconds", standard: "25", min: 1, max: 3600,
		about: "longest time that a tool call waits for an execution; MCP clients give up after 60 s, some sooner",
		at:    func(c *Config) any { return &c.Limits.MaxWaitSeconds },
	}, {
		key: "limits.max_cache_bytes", standard: "33554432", min: 1 << 10, max: 16 << 30,
		about: "memory for the answers that policies with a cache_ttl keep; the least recently used are dropped first",
		at:    func(c *Config) any { return &c.Limits.MaxCacheBytes },
	}, {
		key: "limits.max_tree_executions", standard: "10000", min: 1, max: 10_000_000,
		about: "most executions of workflow nodes below one submitted execution, at every depth; as many as a for_each may have items",
		at:    func(c *Config) any { return &c.Limits.MaxTreeExecutions },
	}, {
		key: "limits.max_tree_open", standard: "1000", min: 1, max: 1_000_000,
		about: "most of them that are open at once; further ones wait for others to end",
		at:    func(c *Config) any { return &c.Limits.MaxTreeOpen },
	}, {
		key: "limits.max_tree_calls", standard: "100000", min: 1, max: 100_000_000,
		about: "most attempts of nodes in a submitted execution and all below it; then nothing of it starts any more (quota_exceeded)",
		at:    func(c *Config) any { return &c.Limits.MaxTreeCalls },
	}, {
		key: "limits.max_tree_items", standard: "100000", min: 1, max: 100_000_000,
		about: "most items of all for_each nodes in them, which are all in memory while their execution runs",
		at:    func(c *Config) any { return &c.Limits.MaxTreeItems },
	}, {
		key: "limits.max_items_in_memory", standard: "100000", min: 100, max: 100_000_000,
		about: "items of for_each nodes of all executions in memory, about 1 kB each; others wait, an execution alone does not",
		at:    func(c *Config) any { return &c.Limits.MaxItemsInMemory },
	}, {
		key: "limits.max_tree_events", standard: "1000000", min: 100, max: 1_000_000_000,
		about: "most events in all of their logs",
		at:    func(c *Config) any { return &c.Limits.MaxTreeEvents },
	}, {
		key: "limits.max_tree_bytes", standard: "1073741824", min: 1 << 10, max: 1 << 40,
		about: "most bytes of all outputs in them, and of the plans and inputs of workflow nodes, which the store keeps",
		at:    func(c *Config) any { return &c.Limits.MaxTreeBytes },
	}, {
		key: "limits.max_tree_evaluation", standard: "10m", least: schemas.Duration(time.Second),
		about: "longest time that all expressions in them may take together",
		at:    func(c *Config) any { return &c.Limits.MaxTreeEvaluation },
	}, {
		key: "limits.max_tree_time", standard: "8784h", least: schemas.Duration(time.Second), forever: true,
		about: "how long after it was submitted anything in them may start, also if it was suspended; 366 days, as the longest wait; 0s: no limit",
		at:    func(c *Config) any { return &c.Limits.MaxTreeTime },
	}, {
		key: "limits.max_evaluation_bytes", standard: "134217728", min: 32 << 20, max: 64 << 30,
		about: "memory that large evaluations of expressions in this process may take together, in bytes; others wait until it is free; " +
			"executions keep half as much to read it again",
		at: func(c *Config) any { return &c.Limits.MaxEvaluation },
	}, {
		key: "limits.start_timeout", standard: "30s",
		about: "how long a realm may take to start or connect; a command that compiles or downloads first is slow once",
		at:    func(c *Config) any { return &c.Limits.StartTimeout },
	}, {
		key: "limits.direct_timeout", standard: "50s", least: schemas.Duration(time.Second),
		about: "how long invoke_capability may take in all, with its attempts and the waits between them; if its policy has fallbacks, a " +
			"fifth is kept for them. A timeout_seconds or a policy's timeout that is longer has its time. MCP clients give up after 60 s",
		at: func(c *Config) any { return &c.Limits.DirectTimeout },
	}, {
		key: "limits.probe_every", standard: "30s",
		about: "a realm that was silent this long is pinged; three pings without an answer make its health bad and have no other effect",
		at:    func(c *Config) any { return &c.Limits.ProbeEvery },
	}, {
		key: "limits.lease", standard: "15s", least: schemas.Duration(time.Second),
		about: "how long the executions of a replica that died stay assigned to it before another takes over; renewed after " +
			"each third, so it must outlast a short loss of the store",
		at: func(c *Config) any { return &c.Limits.Lease },
	}, {
		key: "limits.max_session_bytes", standard: "65536", min: 1 << 10, max: 1 << 20,
		about: "largest data and user_context of a session in bytes of JSON; each execution of the session keeps a copy of the data",
		at:    func(c *Config) any { return &c.Limits.MaxSessionBytes },
	}, {
		key: "limits.max_state_bytes", standard: "262144", min: 1 << 10, max: 16 << 20,
		about: "largest data and context of one state in bytes of JSON",
		at:    func(c *Config) any { return &c.Limits.MaxStateBytes },
	}, {
		key: "limits.max_depth", standard: "100", min: 16, max: 900,
		about: "how deep the JSON of a client's message or a realm's answer may be nested; many clients read no deeper than 64 to 1,000 levels",
		at:    func(c *Config) any { return &c.Limits.MaxDepth },
	}, {
		key: "limits.max_sessions", standard: "10000", min: 1, max: 10_000_000,
		about: "most open sessions of one principal, approximately: other replicas' sessions count after a minute",
		at:    func(c *Config) any { return &c.Limits.MaxSessions },
	}, {
		key: "limits.max_states", standard: "100000", min: 1, max: 100_000_000,
		about: "most states of one principal, approximately: other replicas' states count after a minute",
		at:    func(c *Config) any { return &c.Limits.MaxStates },
	}, {
		key: "limits.max_connections", standard: "512", min: 1, max: 1_000_000,
		about: "HTTP connections with full service, fewer if the process may open too few files; idle and stalled ones give way to " +
			"new ones, health checks, cancellations and pings are served beyond it, and another machine that has half of them, such as a reverse " +
			"proxy, gets none of the last eighth",
		at: func(c *Config) any { return &c.Limits.MaxConnections },
	}, {
		key: "limits.max_streams", standard: "256", min: 1, max: 1_000_000,
		about: "open event streams (/sse, GET /mcp, subscriptions/listen), at most three quarters of the connections; idle ones give way",
		at:    func(c *Config) any { return &c.Limits.MaxStreams },
	}, {
		key: "limits.max_client_sessions", standard: "1000", min: 1, max: 10_000_000,
		about: "sessions of /mcp in memory, about 12 KB each; the least recently used are forgotten, and their clients go on",
		at:    func(c *Config) any { return &c.Limits.MaxClientSessions },
	}, {
		key: "limits.max_client_bytes", standard: "67108864", min: 16 << 20, max: 64 << 30,
		about: "memory for messages of all clients that are being received, handled or sent; beyond it stalled ones are cut off, and large " +
			"ones, over 64 KiB, which leave a quarter of it to others, are refused as rate_limited; on stdio they wait, and hold as much again",
		at: func(c *Config) any { return &c.Limits.MaxClientBytes },
	}, {
		key: "sessions.ttl", standard: "24h", least: schemas.Duration(time.Second),
		about: "how long a session lives after the last call that named it, unless it was created with its own ttl_seconds",
		at:    func(c *Config) any { return &c.Sessions.TTL },
	}, {
		key: "sessions.idle_after", standard: "10m", least: schemas.Duration(time.Second),
		about: "a session without a call for this long is shown as idle",
		at:    func(c *Config) any { return &c.Sessions.IdleAfter },
	}, {
		key: "sessions.keep", standard: "168h", least: schemas.Duration(time.Second),
		about: "how long an ended session can still be read; then it is deleted",
		at:    func(c *Config) any { return &c.Sessions.Keep },
	}, {
		key: "sessions.on_delete", standard: session.Cancel, words: sessionEnds,
		about: "what happens to the executions of a session that is deleted; deleting it means that their results are not wanted",
		at:    func(c *Config) any { return &c.Sessions.OnDelete },
	}, {
		key: "sessions.on_expire", standard: session.Detach, words: sessionEnds,
		about: "what happens to the executions of a session that expires; durable work may outlive its session",
		at:    func(c *Config) any { return &c.Sessions.OnExpire },
	}, {
		key: "retention.executions", standard: "720h", least: schemas.Duration(10 * time.Minute), forever: true,
		about: "how long an execution that ended can still be read; then it is deleted with its outputs and events, unless " +
			"an open one needs it, and its idempotency key is free again; 0s keeps it forever, which fills the disk",
		at: func(c *Config) any { return &c.Retention.Executions },
	}, {
		key: "retention.states", standard: "0s", least: schemas.Duration(time.Hour), forever: true,
		about: "how long a state stays after its last write, unless it was written with its own ttl_seconds; 0s keeps it " +
			"forever, because agents may rely on their memory",
		at: func(c *Config) any { return &c.Retention.States },
	},
}

// sessionEnds is what may happen to the executions of a session that ends: they are cancelled, or continue without it.
var sessionEnds = []string{session.Cancel, session.Detach}

const envPrefix = "RUNPLANE_"

// envConfig names the file as --config does.
const envConfig = envPrefix + "CONFIG"

// envPolicies names the file as --policies does.
const envPolicies = envPrefix + "POLICIES"

// env is the setting's variable.
func (s *setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// field is the JSON pointer to the setting in the file.
func (s *setting) field() string { return "/" + strings.ReplaceAll(s.key, ".", "/") }

// settingAt is the setting at a JSON pointer; nil: there is none.
func settingAt(field string) *setting {
	for i := range settings {
		if settings[i].field() == field {
			return &settings[i]
		}
	}
	return nil
}

package schemas

// Realm is one entry of `mcpServers`, the same object as in Claude Desktop, Cursor and VS Code: either a command to
// run (stdio) or a URL (streamable HTTP, or legacy SSE with type sse).
type Realm struct {
	Type    string            `json:"type,omitempty" jsonschema:"enum=stdio,enum=http,enum=streamable-http,enum=sse,description=transport; default inferred from command or url"`
	Command string            `json:"command,omitempty" jsonschema:"description=program to run; it is looked up in PATH and started without a shell"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty" jsonschema:"description=variables for the program in addition to PATH HOME LANG TMPDIR and USER; ${env:NAME} reads this process's environment"`
	EnvFile string            `json:"envFile,omitempty" jsonschema:"description=file of NAME=value lines for the program"`
	Cwd     string            `json:"cwd,omitempty" jsonschema:"description=working directory of the program; relative to the config file"`
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty" jsonschema:"description=HTTP headers for every request"`

	Disabled bool `json:"disabled,omitempty" jsonschema:"description=do not start this realm"`

	Broken *Error `json:"-"` // why the entry cannot be used, and the cure: the realm is broken and is not started; nil: it can
}

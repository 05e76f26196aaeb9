package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store/redis"
	"github.com/runplane/runplane/tools"
)

// realmName has no dot: a capability is realm.name, split at the first one.
var (
	realmName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	notRealmName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// realms finds what is wrong with the realms of a file: with their names, which is one of the file, and with the realms, which breaks them.
func (r *reader) realms(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.MCPServers)) {
		field := schemas.PointerTo("/mcpServers", name)
		at := r.doc.Locate(field)
		if !realmName.MatchString(name) {
			r.failAt(at, "/mcpServers", "realm name %.80q: use 1 to 64 of A-Z a-z 0-9 _ and -, the first a letter or digit, for example %q", name, suggestRealm(name))
		}
		if wrong := checkRealm(c.MCPServers[name]); wrong != "" && r.broken[name] == nil && !c.MCPServers[name].Disabled {
			r.failAt(at, field, "the realm %s", wrong)
		}
	}
	r.setAside()
	for name, why := range r.broken {
		c.MCPServers[name] = schemas.Realm{Broken: why, Disabled: c.MCPServers[name].Disabled}
	}
}

// check finds what is wrong across the fields of a file; the realms and the secrets may be those of the other file.
func (r *reader) check(c *Config) {
	if r.has("/secrets") {
		r.secrets(c.Secrets)
	}
	if !r.has("/policies") {
		return
	}
	realms := slices.Sorted(maps.Keys(c.MCPServers))
	secrets := slices.Sorted(maps.Keys(c.Secrets))
	r.allowed("/policies/default", &c.Policies.Default, secrets)
	r.policy("/policies/default", &c.Policies.Default, realms)
	for _, name := range slices.Sorted(maps.Keys(c.Policies.Realms)) {
		field := schemas.PointerTo("/policies/realms", name)
		if _, ok := c.MCPServers[name]; !ok {
			near := schemas.Nearest(name, realms, 1)
			message := fmt.Sprintf("%s: no realm %q in mcpServers", schemas.Dotted(field), name)
			if len(near) > 0 {
				message += fmt.Sprintf(": did you mean %q?", near[0])
			}
			r.problems = append(r.problems, problem{r.doc.Locate(field), field, message, near})
		}
		p := c.Policies.Realms[name]
		r.policy(field, &p.Policy, realms)
		r.allowed(field, &p.Policy, secrets)
		if at := field + "/start_timeout"; r.has(at) && p.StartTimeout == 0 && !r.failed(at) {
			r.fail(at, "must be longer than 0s; without it limits.start_timeout holds")
		}
		for capability, own := range p.Capabilities {
			at := schemas.PointerTo(field+"/capabilities", capability)
			r.policy(at, &own, realms)
			r.allowed(at, &own, secrets)
			if own.Protocol != "" {
				r.fail(at+"/protocol", "the protocol is set for a whole realm: set policies.realms.%s.protocol", name)
			}
			if own.Required != nil {
				r.fail(at+"/required", "only a whole realm can be required: set policies.realms.%s.required", name)
			}
		}
	}
}

func suggestRealm(name string) string {
	s := strings.Trim(notRealmName.ReplaceAllString(name, "_"), "_-")
	if s == "" {
		return "realm"
	}
	return s[:min(len(s), 64)]
}

// given is what a flag or else a variable says, and which one; from is empty when neither does.
func (s *setting) given(src sources, env environment) (text, from string) {
	if text, ok := src.flags[s.flag]; ok && s.flag != "" {
		return text, "--" + s.flag
	}
	if text := env[s.env()]; text != "" {
		return text, s.env()
	}
	return "", ""
}

// resolve gives the setting its value from the first source that has one, and checks it.
func (s *setting) resolve(c *Config, src sources, env environment, file *reader) error {
	base := src.dir
	text, from := s.given(src, env)
	inFile := from == "" && file.has(s.field())
	switch {
	case inFile:
		from, base = fmt.Sprintf("%s:%s: %s", file.file, file.position(s.field()), s.key), filepath.Dir(file.file)
	case from == "":
		text, from = s.standard, "default"
	}
	if !inFile {
		if err := s.set(c, text); err != nil {
			return settingError(from, err)
		}
	}
	if err := s.check(c); err != nil {
		return settingError(from, err)
	}
	switch s.key {
	case "store":
		store, err := resolveStore(c.Store, base, src, env)
		if err != nil {
			return settingError(from, err)
		}
		c.Store = store
	case "http":
		if err := checkAddress(c.HTTP); err != nil {
			return settingError(from, err)
		}
	}
	return nil
}

func settingError(from string, err error) error {
	e, ok := errors.AsType[*schemas.Error](err)
	if !ok {
		e = schemas.Errorf(schemas.CodeInvalidArgument, "%s", err).WithHint("correct it; `runplane schema config` describes every setting")
	}
	return e.With(func(e *schemas.Error) { e.Message = from + ": " + e.Message }).WithField(from)
}

// choice is which tools clients are shown.
func (c *Config) choice() tools.Choice {
	return tools.Choice{Toolsets: c.Toolsets, Tools: c.Tools, Exclude: c.Exclude, ReadOnly: c.ReadOnly}
}

// checkTools finds settings that leave no tool, or name one that its clients cannot have.
func (c *Config) checkTools() error {
	if len(c.Toolsets)+len(c.Tools)+len(c.Exclude) == 0 {
		return nil // some tools read
	}
	choice, some := c.choice(), false
	for _, m := range tools.All() {
		may := !m.Operator || c.Operator
		if !may && slices.Contains(c.Tools, m.Name) {
			return schemas.Errorf(schemas.CodeInvalidArgument, "tools: %s is for operators", m.Name).
				WithHint("leave it out, or serve operators: --operator")
		}
		some = some || may && choice.LeftOutBy(&m) == ""
	}
	if !some && !choice.Publishes() {
		return schemas.Errorf(schemas.CodeInvalidArgument, "toolsets, tools, exclude_tools and read_only together leave no tool").
			WithHint("leave out read_only or exclude_tools, or name other tools")
	}
	return nil
}

// set reads the text of a flag, a variable or a default.
func (s *setting) set(c *Config, text string) error {
	switch p := s.at(c).(type) {
	case *string:
		*p = text
		return nil
	case *schemas.Duration:
		v, err := schemas.ParseDuration(text)
		*p = v
		return err
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		*p = v
	case *[]string:
		*p = tools.SplitNames(text)
	case *int:
		v, err := strconv.ParseInt(text, 0, 0)
		if err != nil {
			return errors.New("must be a whole number")
		}
		*p = int(v)
	}
	return nil
}

// check holds the value against the table's bounds.
func (s *setting) check(c *Config) error {
	switch p := s.at(c).(type) {
	case *string:
		if s.words != nil && !slices.Contains(s.words, *p) {
			return fmt.Errorf("must be one of %s", strings.Join(s.words, ", "))
		}
	case *[]string:
		*p = tools.SplitNames(strings.Join(*p, ","))
		return s.names(*p)
	case *int:
		if *p < s.min || *p > s.max {
			return fmt.Errorf("must be from %d to %d", s.min, s.max)
		}
	case *schemas.Duration:
		if *p < s.least && (*p != 0 || !s.forever) {
			if s.forever {
				return fmt.Errorf("must be at least %s, or 0s for no limit", s.least)
			}
			return fmt.Errorf("must be at least %s", s.least)
		}
	}
	return nil
}

// resolveStore makes the folder of a file store absolute: relative ones start at the file that names them or at the working
// directory.
func resolveStore(store, base string, src sources, env environment) (string, error) {
	scheme, rest, found := strings.Cut(store, ":")
	switch {
	case store == "mem:":
		return store, nil
	case redis.HasScheme(store):
		return store, redis.CheckURL(store)
	case scheme == "file" && found && rest == "":
		state := env.folder("XDG_STATE_HOME", ".local/state")
		if state == "" {
			return "", fmt.Errorf("the user's state folder is not known: set HOME, or name a folder with --store file:DIR")
		}
		return "file:" + filepath.Join(state, "runplane"), nil
	case scheme == "file" && found:
		return "file:" + src.absolute(strings.TrimPrefix(rest, "//"), base, env), nil
	}
	return "", fmt.Errorf("the store is file:, file:DIR, mem: or a URL such as redis://host:port") // the value may hold a password
}

// stateDir is where this machine's part of the state belongs: in the store's folder, or where the store is elsewhere in the
// user's state folder. A store in memory has none.
func stateDir(store string, env environment) string {
	if dir, local := strings.CutPrefix(store, "file:"); local {
		return dir
	}
	state := env.folder("XDG_STATE_HOME", ".local/state")
	if store == "mem:" || state == "" {
		return ""
	}
	return filepath.Join(state, "runplane")
}

// checkAddress allows only loopback addresses: requests are not authenticated.
func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("must be host:port, such as 127.0.0.1:8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("the port must be a number from 0 to 65535")
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("only a loopback address such as 127.0.0.1:%s is served, because every caller may start the configured programs", port)
	}
	return nil
}

// checkVariables says what is wrong with a list of names of variables.
func checkVariables(names []string) error {
	for _, name := range names {
		if !variableName.MatchString(name) {
			return fmt.Errorf("invalid variable name %q", name)
		}
	}
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

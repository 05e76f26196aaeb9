package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Secrets collects the secrets of a configuration. The zero value has none.
type Secrets struct{ found map[string]level }

// maxNested is how deep values in values are looked for.
const maxNested = 5

// Named adds the values of variables, headers or members, by name.
func (s *Secrets) Named(values map[string]string) {
	for name, v := range values {
		s.value(name, v, 0)
	}
}

// Declared adds secrets that are declared to be some, whatever their names and values look like.
func (s *Secrets) Declared(values map[string]string) {
	for _, v := range values {
		s.value("secret", v, 0)
		s.keep(v, secret)
		s.keep(strings.TrimSpace(v), secret)
	}
}

// URL adds what is secret in an address: the password, or the user without one, parameters, and parts of the path.
func (s *Secrets) URL(address string) { s.value("", address, 0) }

var (
	flagValue   = regexp.MustCompile(`^-{0,2}([A-Za-z][\w.-]*)=(.*)$`)
	headerValue = regexp.MustCompile(`^([A-Za-z][\w-]*):\s*(.*)$`)
	credential  = regexp.MustCompile(`(?i)^(basic|bearer)\s+\S+$`) // whatever the name of its header is
	flagName    = regexp.MustCompile(`^--?([A-Za-z][\w.-]*)$`)
)

// Args adds what is secret in the arguments of a command: --name=value, --name value, NAME=value, "Name: value", and what looks like a
// key, an address or a command line in one argument.
func (s *Secrets) Args(args []string) { s.args(args, 0) }

func (s *Secrets) args(args []string, depth int) {
	for i, arg := range args {
		if m := flagName.FindStringSubmatch(arg); m != nil && i+1 < len(args) && isSecretName(m[1]) && !strings.HasPrefix(args[i+1], "--") {
			s.value(m[1], args[i+1], depth+1)
		}
		s.arg(arg, depth)
	}
}

func (s *Secrets) arg(arg string, depth int) {
	if m := flagValue.FindStringSubmatch(arg); m != nil {
		s.private(m[1], m[2], depth+1)
		return
	}
	if m := headerValue.FindStringSubmatch(arg); m != nil && !strings.HasPrefix(m[2], "//") && isSecretName(m[1]) {
		s.value(m[1], m[2], depth+1)
		return
	}
	s.value("", arg, depth+1)
	if depth < maxNested && strings.ContainsAny(arg, " \t\n") && !strings.HasPrefix(arg, "{") {
		var parts []string
		for _, word := range strings.FieldsFunc(arg, func(r rune) bool { return unicode.IsSpace(r) || r == ';' }) {
			parts = append(parts, strings.Trim(word, `"'`))
		}
		s.args(parts, depth+1)
	}
}

// private adds the value of an argument: under a name that says nothing it is no private value, since a command's arguments are
// mostly ordinary.
func (s *Secrets) private(name, v string, depth int) {
	if !isSecretName(name) {
		name = ""
	}
	s.value(name, v, depth)
}

// add adds one value with its level.
func (s *Secrets) add(name, v string) {
	s.keep(v, levelOf(name, v))
}

func (s *Secrets) keep(v string, l level) {
	if l == ordinary || len(v) < MinLength || !utf8.ValidString(v) {
		return
	}
	if s.found == nil {
		s.found = map[string]level{}
	}
	s.found[v] = max(s.found[v], l)
}

// value adds a value and what is secret inside it.
func (s *Secrets) value(name, v string, depth int) {
	v = strings.TrimSpace(v)
	if len(v) < MinLength || depth > maxNested {
		return
	}
	switch {
	case v[0] == '{' || v[0] == '[':
		if s.document(name, v, depth) {
			return
		}
	case strings.Contains(v, "://"):
		if s.address(name, v, depth) {
			return
		}
	}
	if strings.ContainsAny(v, "\r\n") { // as a whole, and each line: a log has them apart
		s.add(name, v)
		for line := range strings.Lines(v) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "-----") {
				s.value(name, line, depth+1)
			}
		}
		return
	}
	if !isSecretName(name) && credential.MatchString(v) {
		name = "authorization"
	}
	s.add(name, v)
	s.pairs(name, v, depth)
	if isSecretName(name) || looksLikeKey(v) {
		s.parts(name, v, depth)
	}
}

// parts adds what follows a scheme such as Basic, user and password inside it, and the payload and signature of a JWT.
func (s *Secrets) parts(name, v string, depth int) {
	fields := strings.Fields(v)
	if len(fields) > 1 && len(fields) <= 8 {
		for _, f := range fields {
			s.value(name, strings.Trim(f, `,;"'`), depth+1)
		}
	}
	if len(fields) == 1 && len(v) >= 8 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			plain, err := encoding.DecodeString(v)
			if user, password, pair := strings.Cut(string(plain), ":"); err == nil && pair && isPrintable(string(plain)) {
				s.add(name, string(plain))
				s.add("password", password)
				if isRandom(user) {
					s.add(name, user)
				}
				break
			}
		}
	}
	if strings.HasPrefix(v, "eyJ") {
		for i, part := range strings.Split(v, ".") {
			if i > 0 && len(part) >= 16 {
				s.add("token", part)
			}
		}
	}
}

func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// pairs adds the values of name=value pairs, as in a cookie, a connection string or a header with parameters. A single pair may be a
// value with its kind, such as key=….
func (s *Secrets) pairs(name, v string, depth int) {
	if !strings.Contains(v, "=") {
		return
	}
	parts := strings.FieldsFunc(v, func(r rune) bool { return r == ';' || r == '&' || r == ',' || unicode.IsSpace(r) })
	for _, part := range parts {
		inner, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, `"'`)
		if !ok || inner == "" || value == "" || strings.Trim(value, "=") == "" {
			continue
		}
		if isSecretName(name) && !aboutSecrets[strings.ToLower(inner)] {
			inner = name // a cookie's name says nothing
		}
		s.private(inner, value, depth+1)
	}
}

// document adds the strings in a JSON document and reports whether it is one.
func (s *Secrets) document(name, v string, depth int) bool {
	var doc any
	if json.Unmarshal([]byte(v), &doc) != nil {
		return false
	}
	s.walk(name, doc, depth+1)
	return true
}

func (s *Secrets) walk(name string, v any, depth int) {
	switch v := v.(type) {
	case string:
		s.value(name, v, depth)
	case []any:
		for _, item := range v {
			s.walk(name, item, depth)
		}
	case map[string]any:
		for member, item := range v {
			s.walk(member, item, depth)
		}
	}
}

// address adds what is secret in a URL and reports whether the value is one. Under a name that says so, as in a webhook's, the parts
// of the path are.
func (s *Secrets) address(name, v string, depth int) bool {
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || strings.ContainsAny(v, " \t\r\n") {
		return false
	}
	if u.User != nil {
		password, has := u.User.Password()
		if !has {
			password = u.User.Username()
		}
		s.add("password", password)
		s.add("password", u.User.String())
	}
	for parameter, values := range u.Query() {
		for _, value := range values {
			s.value(parameter, value, depth+1)
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		s.add("", part)
		if isSecretName(name) && isRandom(part) {
			s.add(name, part)
		}
	}
	return true
}

package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// skipSelf switches off the realms that would start this program again, or connect to it.
func (c *Config) skipSelf() {
	for _, name := range slices.Sorted(maps.Keys(c.MCPServers)) {
		spec := c.MCPServers[name]
		if !spec.Disabled && spec.Broken == nil && (startsSelf(spec) || c.HTTP != "" && sameAddress(spec.URL, c.HTTP)) {
			spec.Disabled = true
			c.MCPServers[name] = spec
			c.Warnings = append(c.Warnings, fmt.Sprintf("mcpServers.%s is Runplane itself and is skipped", name))
		}
	}
}

// startsSelf reports whether an entry starts this program: by its name, or by a runner of packages whose package it is.
func startsSelf(spec schemas.Realm) bool {
	const self = "runplane"
	is := func(word string) bool {
		word = path.Base(filepath.ToSlash(word))
		word, _, _ = strings.Cut(word, "@")
		word, _, _ = strings.Cut(word, ":")
		return strings.EqualFold(strings.TrimSuffix(word, ".exe"), self)
	}
	spec.Command, spec.Args = unwrapped(spec.Command, spec.Args)
	if is(spec.Command) {
		return true
	}
	var words []string // without flags
	for _, arg := range spec.Args {
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
		}
	}
	first := func(verbs ...string) bool {
		if len(verbs) > 0 {
			if len(words) == 0 || !slices.Contains(verbs, words[0]) {
				return false
			}
			words = words[1:]
		}
		return len(words) > 0 && is(words[0])
	}
	switch strings.TrimSuffix(path.Base(filepath.ToSlash(spec.Command)), ".exe") {
	case "npx", "bunx", "pnpx", "uvx":
		return first()
	case "npm", "pnpm", "yarn", "bun":
		return first("exec", "x", "dlx")
	case "go":
		return first("run")
	case "docker", "podman", "nerdctl": // the image may stand behind flags with values, so it has to be evident
		n := len(words)
		serves := n > 1 && words[n-1] == "serve"
		if serves {
			n--
		}
		if n > 1 && words[0] == "run" && is(words[n-1]) {
			host, _, long := strings.Cut(words[n-1], "/")
			return long && host != "" && !strings.ContainsAny(host[:1], "./~") && (serves || strings.ContainsAny(host, ".:") || strings.Contains(words[n-1], ":"))
		}
	}
	return false
}

// unwrapped is the command that env, cmd /c or a shell's -c starts, where it is one command alone.
func unwrapped(command string, args []string) (string, []string) {
	for range 3 { // one within another
		words := args
		switch strings.TrimSuffix(path.Base(filepath.ToSlash(command)), ".exe") {
		case "env":
			for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
				words = words[1:]
			}
		case "cmd":
			if len(words) == 0 || !strings.EqualFold(words[0], "/c") {
				return command, args
			}
			words = words[1:]
		case "sh", "bash", "zsh", "dash":
			if len(words) != 2 || words[0] != "-c" && words[0] != "-lc" || strings.ContainsAny(words[1], ";|&<>()`") {
				return command, args
			}
			words = strings.Fields(strings.TrimPrefix(strings.TrimSpace(words[1]), "exec "))
		default:
			return command, args
		}
		if len(words) == 0 {
			return command, args
		}
		command, args = words[0], words[1:]
	}
	return command, args
}

// sameAddress reports whether a URL leads to an address of this machine that is served.
func sameAddress(raw, address string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return false
	}
	_, port, err := net.SplitHostPort(address)
	return err == nil && u.Port() == port && port != "0" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

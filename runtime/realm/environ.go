package realm

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/runplane/runplane/schemas"
)

// inherited are the environment variables of this process that every child gets.
var inherited = []string{"PATH", "HOME", "LANG", "TMPDIR", "USER"}

// InheritedByDefault are those that a child gets besides, if Config.Inherit is nil: where they are set, a program that downloads something
// hangs without them.
var InheritedByDefault = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
}

// EnvDepth is the variable that counts how many runtimes are above a process.
const EnvDepth = "RUNPLANE_DEPTH"

// Depth is how many runtimes are above this process: each started the next as a realm.
func Depth() int {
	n, _ := strconv.Atoi(os.Getenv(EnvDepth)) // without it, it is 0
	return max(n, 0)
}

// inheritedWindows are those without which programs do not start on Windows.
var inheritedWindows = []string{
	"APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "PROGRAMDATA",
	"PROGRAMFILES", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE",
}

// environment is the environment of a child, as a map: the inherited variables and more, then the realm's envFile, then its env.
func environment(spec schemas.Realm, more []string) (map[string]string, error) {
	env := map[string]string{}
	names := slices.Concat(inherited, more)
	if runtime.GOOS == "windows" {
		names = append(names, inheritedWindows...)
	}
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	file, err := envFile(spec)
	if err != nil {
		return nil, err
	}
	maps.Copy(env, file)
	maps.Copy(env, spec.Env)
	env[EnvDepth] = strconv.Itoa(Depth() + 1)
	return env, nil
}

// envFile is the variables of the realm's envFile.
func envFile(spec schemas.Realm) (map[string]string, error) {
	env := map[string]string{}
	if spec.EnvFile == "" {
		return env, nil
	}
	return env, readEnvFile(spec.EnvFile, env)
}

// environ is the map as sorted NAME=value strings.
func environ(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for name, v := range env {
		out = append(out, name+"="+v)
	}
	slices.Sort(out)
	return out
}

// lookCommand finds the program in the child's PATH; a command with a slash is a file, relative to dir. If it is not found, searched
// is where it was looked for.
func lookCommand(command, dir, path string) (found, searched string) {
	if filepath.Base(command) != command {
		file := command
		if !filepath.IsAbs(file) {
			file, _ = filepath.Abs(filepath.Join(dir, command))
		}
		if executable(file) {
			return file, ""
		}
		return "", file
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			continue // not relative to the current folder
		}
		for _, suffix := range executableSuffixes {
			if file := filepath.Join(d, command+suffix); executable(file) {
				return file, ""
			}
		}
	}
	return "", "PATH=" + path
}

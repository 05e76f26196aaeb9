package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/runplane/runplane/schemas"
)

// runners are the commands that fetch a package and run it, with their options that take a value other than the package, and
// their sub-commands that run a package.
var runners = map[string]struct {
	pinned func(pkg string) bool
	values []string // options whose next argument is a value
	verbs  []string // one of which must come first; nil: none
	named  []string // options whose value is the package
}{
	"npx":    {npmPinned, []string{"--registry", "--cache", "-c", "--call", "-w", "--workspace"}, nil, []string{"-p", "--package"}},
	"bunx":   {npmPinned, nil, nil, []string{"-p", "--package"}},
	"pnpm":   {npmPinned, []string{"--registry"}, []string{"dlx"}, []string{"--package"}},
	"yarn":   {npmPinned, nil, []string{"dlx"}, []string{"-p", "--package"}},
	"uvx":    {pythonPinned, []string{"--python", "-p", "--index-url", "--with"}, nil, []string{"--from"}},
	"uv":     {pythonPinned, []string{"--python", "-p", "--index-url", "--with"}, []string{"tool", "run", "x"}, []string{"--from"}},
	"pipx":   {pythonPinned, []string{"--python", "--index-url"}, []string{"run"}, []string{"--spec"}},
	"docker": {imagePinned, dockerValues, []string{"run"}, nil},
	"podman": {imagePinned, dockerValues, []string{"run"}, nil},
}

var dockerValues = []string{
	"-e", "--env", "--env-file", "-v", "--volume", "--mount", "--name", "--network", "--net", "-p", "--publish", "-w", "--workdir",
	"-u", "--user", "-m", "--memory", "--cpus", "--entrypoint", "-l", "--label", "--platform", "--pull",
}

// unpinned returns the package or image that a realm's command fetches without a fixed version; empty: none. A later release of
// it would run without review.
func unpinned(spec schemas.Realm) string {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(spec.Command)), filepath.Ext(spec.Command))
	r, ok := runners[name]
	if !ok {
		return ""
	}
	verbs := len(r.verbs) == 0
	for i := 0; i < len(spec.Args); i++ {
		arg := spec.Args[i]
		option, value, joined := strings.Cut(arg, "=")
		switch {
		case slices.Contains(r.named, option):
			if !joined && i+1 < len(spec.Args) {
				value = spec.Args[i+1]
			}
			if value == "" || r.pinned(value) {
				return ""
			}
			return value
		case slices.Contains(r.values, arg):
			i++
		case strings.HasPrefix(arg, "-"):
		case slices.Contains(r.verbs, arg):
			verbs = true
		case !verbs || local(arg) || r.pinned(arg):
			return ""
		default:
			return arg
		}
	}
	return ""
}

// local reports whether a package is a path.
func local(pkg string) bool { return strings.HasPrefix(pkg, ".") || filepath.IsAbs(pkg) }

// npmPinned reports whether a package has an exact version: name@1.2.3, @scope/name@1.2.3.
func npmPinned(pkg string) bool {
	_, version, found := strings.Cut(strings.TrimPrefix(pkg, "@"), "@")
	return found && exact(version)
}

// pythonPinned reports whether a package has an exact version: name==1.2.3, uv's name@1.2.3, or a URL with a revision.
func pythonPinned(pkg string) bool {
	if strings.Contains(pkg, "://") {
		return strings.Contains(pkg[strings.Index(pkg, "://")+3:], "@")
	}
	if _, version, found := strings.Cut(pkg, "=="); found {
		return exact(version)
	}
	_, version, found := strings.Cut(pkg, "@")
	return found && exact(version)
}

// imagePinned reports whether an image has a digest, or a tag other than latest.
func imagePinned(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return true
	}
	_, tag, found := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return found && tag != "latest"
}

// exact reports whether a version is complete: not a range, and not a tag such as latest.
func exact(version string) bool {
	return version != "" && version[0] >= '0' && version[0] <= '9' && strings.Count(version, ".") >= 2 && !strings.ContainsAny(version, "xX*| ")
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/realm"
	"github.com/runplane/runplane/schemas"
)

// sources is everything that a configuration comes from; loading reads nothing else, so a test needs no real
// environment.
type sources struct {
	flags   map[string]string                 // those that were given, by name; config names the file
	environ []string                          // as of os.Environ
	dir     string                            // working directory, absolute
	read    func(path string) ([]byte, error) // as os.ReadFile
}

// fileNames are looked for in the working directory and in the user's configuration folder.
var fileNames = []string{"runplane.yaml", "runplane.yml", "runplane.json"}

// maxConfigBytes is far above any file written by hand.
const maxConfigBytes = 4 << 20

// loadConfig finds the file, reads it and applies flags, environment and defaults: flag > RUNPLANE_* > file > default.
// What the file does not say, that of --policies may. Without a file the Config has no realms. Errors are *schemas.Error; each mistake in the file is on a line of its
// own with file:line:column. No error, warning or note holds the value of a variable or a realm.
func loadConfig(src sources) (Config, error) {
	env := environmentOf(src.environ)
	var c Config
	c.Warnings = env.misspelt()
	path, data, err := src.find(env)
	if err != nil {
		return c, err
	}
	file, policies := &reader{doc: &document.Document{}}, &reader{doc: &document.Document{}}
	if path != "" {
		c.File = path
		file = c.readFile(path, data, src, env)
	}
	if path, data, err = src.named("--policies", envPolicies, env); err != nil {
		return c, err
	}
	if path != "" {
		c.PoliciesFile = path
		policies = c.readFile(path, data, src, env)
		policies.besides(file)
	}
	if err := c.checkFiles(file, policies); err != nil {
		return c, err
	}
	for i := range settings {
		from := file
		if policies.has(settings[i].field()) {
			from = policies
		}
		if err := settings[i].resolve(&c, src, env, from); err != nil {
			return c, err
		}
	}
	c.StateDir = stateDir(c.Store, env)
	c.skipSelf()
	return c, c.checkTools()
}

// named reads the file that a flag or else a variable names, which must exist; an empty path: neither does.
func (src sources) named(flag, variable string, env environment) (path string, data []byte, err error) {
	for _, named := range []struct{ by, path string }{{flag, src.flags[strings.TrimPrefix(flag, "--")]}, {variable, env[variable]}} {
		if named.path == "" {
			continue
		}
		path = src.absolute(named.path, src.dir, env)
		data, err = src.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, schemas.Errorf(schemas.CodeNotFound, "no configuration file %s (from %s)", path, named.by).
				WithHint("name one that exists; without --config ./runplane.yaml and the user's configuration folder are looked in")
		}
		return path, data, readError(path, data, err)
	}
	return "", nil, nil
}

// find reads the file that --config or RUNPLANE_CONFIG names, or the first that exists of those looked for. No file at all gives an
// empty path.
func (src sources) find(env environment) (path string, data []byte, err error) {
	if path, data, err = src.named("--config", envConfig, env); path != "" || err != nil {
		return path, data, err
	}
	folders := []string{src.dir}
	if dir := env.folder("XDG_CONFIG_HOME", ".config"); dir != "" {
		folders = append(folders, filepath.Join(dir, "runplane"))
	}
	for _, folder := range folders {
		for _, name := range fileNames {
			path = filepath.Join(folder, name)
			if data, err = src.read(path); !errors.Is(err, fs.ErrNotExist) {
				return path, data, readError(path, data, err)
			}
		}
	}
	return "", nil, nil
}

func readError(path string, data []byte, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return schemas.Errorf(schemas.CodeDenied, "configuration file %s may not be read", path).WithHint("check its permissions")
	case err != nil:
		return schemas.Errorf(schemas.CodeInvalidArgument, "configuration file %s cannot be read", path).WithHint("it must be a file")
	case len(data) > maxConfigBytes:
		return schemas.Errorf(schemas.CodePayloadTooLarge, "configuration file %s has %d bytes; the most is %d", path, len(data), maxConfigBytes)
	}
	return nil
}

// readFile reads a file into the configuration. What is wrong with it is in the reader.
func (c *Config) readFile(path string, data []byte, src sources, env environment) *reader {
	ext := filepath.Ext(path)
	r := readConfig(data, path, ext == ".yaml" || ext == ".yml", env, func(s *setting) bool {
		_, from := s.given(src, env)
		return from != ""
	})
	r.into(c)
	return r
}

// besides refuses in the file of --policies what the configuration's own file says too, and servers: each has one place.
func (r *reader) besides(file *reader) {
	if len(r.doc.Items) == 0 && len(r.problems) == 0 {
		r.fail("", "is empty: write Runplane's own settings there, such as `policies: {}`")
	}
	for _, name := range r.doc.Names {
		field := schemas.PointerTo("", name)
		switch {
		case name == "mcpServers":
			r.fail(field, "servers stand in the file of --config alone: move them there")
		case file.has(field) && !strings.HasPrefix(name, "x-"):
			r.fail(field, "stands in %s too: keep it in one of the two files", file.file)
		}
	}
}

// checkFiles checks what the file of --config and that of --policies say together, and keeps what is known of them. The error has the
// mistakes of both.
func (c *Config) checkFiles(file, policies *reader) error {
	file.realms(c)
	for _, r := range []*reader{file, policies} {
		r.check(c)
	}
	var wrong *schemas.Error
	for _, r := range []*reader{file, policies} {
		switch err := r.err(); {
		case wrong == nil:
			wrong = err
		case err != nil:
			wrong = wrong.With(func(e *schemas.Error) {
				e.Message, e.Candidates = e.Message+"\n"+err.Message, slices.Concat(e.Candidates, err.Candidates)
			})
		}
	}
	if wrong != nil {
		return wrong
	}
	for _, r := range []*reader{file, policies} {
		if c.Used == nil {
			c.Used = r.used
		}
		maps.Copy(c.Used, r.used)
		c.Warnings, c.Notes = append(c.Warnings, r.warnings...), append(c.Notes, r.notes...)
	}
	if c.File == "" {
		return nil
	}
	c.Client = file.client
	c.Empty, c.NoServers = len(file.doc.Items) == 0 && len(file.blank) == 0, file.doc.Find("/mcpServers") == nil
	if c.Empty {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the configuration file %s is empty: there are no realms", c.File))
	}
	folder, project := workspace(c.File)
	placeRealms(c.MCPServers, folder, project)
	return nil
}

// absolute makes a path absolute from folder; ~ is the home folder.
func (src sources) absolute(path, folder string, env environment) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && env.home() != "" {
		return filepath.Join(env.home(), rest)
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(folder, path)
}

// environment holds the variables by name.
type environment map[string]string

func environmentOf(environ []string) environment {
	env := environment{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

func (env environment) get(name string) (string, bool) {
	value, ok := env[name]
	return value, ok
}

// home is the user's home folder; empty when it is not known.
func (env environment) home() string {
	if home := env["HOME"]; home != "" {
		return home
	}
	return env["USERPROFILE"] // Windows
}

// folder is a base folder of the XDG specification, which ignores relative values; empty without a home.
func (env environment) folder(variable, fallback string) string {
	if dir := env[variable]; filepath.IsAbs(dir) {
		return dir
	}
	if env.home() == "" {
		return ""
	}
	return filepath.Join(env.home(), filepath.FromSlash(fallback))
}

// misspelt warns about variables whose names are near to a setting's.
func (env environment) misspelt() []string {
	known := []string{strings.TrimPrefix(envConfig, envPrefix), strings.TrimPrefix(envPolicies, envPrefix)}
	for i := range settings {
		known = append(known, strings.TrimPrefix(settings[i].env(), envPrefix))
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		rest, ok := strings.CutPrefix(name, envPrefix)
		if !ok || slices.Contains(known, rest) || strings.HasPrefix(name, envInput) || name == realm.EnvDepth {
			continue
		}
		if near := schemas.Nearest(rest, known, 1); len(near) > 0 {
			warnings = append(warnings, fmt.Sprintf("%s sets nothing: did you mean %s%s?", name, envPrefix, near[0]))
		}
	}
	return warnings
}

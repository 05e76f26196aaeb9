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
// Without a file the Config has no realms. Errors are *schemas.Error; each mistake in the file is on a line of its
// own with file:line:column. No error, warning or note holds the value of a variable or a realm.
func loadConfig(src sources) (Config, error) {
	env := environmentOf(src.environ)
	var c Config
	c.Warnings = env.misspelt()
	path, data, err := src.find(env)
	if err != nil {
		return c, err
	}
	file := &reader{doc: &document.Document{}}
	if path != "" {
		c.File = path
		if file, err = c.readFile(data, src, env); err != nil {
			return c, err
		}
	}
	for i := range settings {
		if err := settings[i].resolve(&c, src, env, file); err != nil {
			return c, err
		}
	}
	c.StateDir = stateDir(c.Store, env)
	c.skipSelf()
	return c, c.checkTools()
}

// find reads the file that --config or RUNPLANE_CONFIG names, which must exist, or the first that exists of those
// looked for. No file at all gives an empty path.
func (src sources) find(env environment) (path string, data []byte, err error) {
	for _, named := range []struct{ by, path string }{{"--config", src.flags["config"]}, {envConfig, env[envConfig]}} {
		if named.path == "" {
			continue
		}
		path = src.absolute(named.path, src.dir, env)
		data, err = src.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, schemas.Errorf(schemas.CodeNotFound, "no configuration file %s (from %s)", path, named.by).
				WithHint("name one that exists; without the setting ./runplane.yaml and the user's configuration folder are looked in")
		}
		return path, data, readError(path, data, err)
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

// readFile reads and checks the file.
func (c *Config) readFile(data []byte, src sources, env environment) (*reader, error) {
	ext := filepath.Ext(c.File)
	r := readConfig(data, c.File, ext == ".yaml" || ext == ".yml", env, func(s *setting) bool {
		_, from := s.given(src, env)
		return from != ""
	})
	r.into(c)
	r.check(c)
	if err := r.err(c.File); err != nil {
		return nil, err
	}
	c.Used = r.used
	c.Empty, c.NoServers = len(r.doc.Items) == 0 && len(r.blank) == 0, r.doc.Find("/mcpServers") == nil
	if c.Empty {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the configuration file %s is empty: there are no realms", c.File))
	}
	c.Warnings = append(c.Warnings, r.warnings...)
	c.Notes = append(c.Notes, r.notes...)
	folder, project := workspace(c.File)
	placeRealms(c.MCPServers, folder, project)
	return r, nil
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
	known := []string{strings.TrimPrefix(envConfig, envPrefix)}
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

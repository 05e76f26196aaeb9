package main

import (
	"github.com/spf13/pflag"

	"github.com/runplane/runplane/schemas"
)

// addConfigFlags defines --config, --policies and the flags of the settings with these keys.
func addConfigFlags(fs *pflag.FlagSet, keys ...string) {
	fs.String("config", "", "configuration `FILE`, also of an MCP client (default: ./runplane.yaml, then the user's configuration folder)")
	fs.String("policies", "", "`FILE` of Runplane's own settings, such as policies, limits and store, beside the file of an MCP client; "+
		"no setting stands in both ["+envPolicies+"]")
	for _, key := range keys {
		s := settingByKey(key)
		f := fs.VarPF(&flagText{standard: s.standard, kind: s.kind(), list: s.names != nil}, s.flag, "", s.about+" ["+s.env()+"]")
		if s.kind() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// givenFlags is what the user set, as [sources] takes it.
func givenFlags(fs *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return given
}

// flagText keeps a flag's text, or of a list all of its texts; loading reads and checks it.
type flagText struct {
	text, standard, kind string
	list                 bool
}

func (f *flagText) String() string {
	if f.text == "" {
		return f.standard
	}
	return f.text
}

func (f *flagText) Set(text string) error {
	if f.list && f.text != "" {
		text = f.text + "," + text
	}
	f.text = text
	return nil
}

func (f *flagText) Type() string { return f.kind }

func settingByKey(key string) *setting {
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	panic("no setting " + key)
}

// kind is the word for the flag's value in the help text.
func (s *setting) kind() string {
	switch s.at(&Config{}).(type) {
	case *bool:
		return "bool"
	case *int:
		return "int"
	case *[]string:
		return "names"
	case *schemas.Duration:
		return "duration"
	default:
		return "string"
	}
}

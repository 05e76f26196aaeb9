package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runplane/runplane/schemas"
)

var update = flag.Bool("update", false, "write the published schema")

//go:generate go test . -run ^TestPublished -update

func TestPublishedConfigSchemaIsCurrent(t *testing.T) {
	raw, err := json.MarshalIndent(configDocument(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(raw, []byte("\n"))
	if *update {
		if err := os.WriteFile("../../schemas/config.schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(schemas.ConfigSchema(), want) {
		t.Error("config.schema.json is stale: run `go generate ./...`")
	}
}

// configDocument is the schema of [Config] for editors: the shape from the type, the rest from the table of settings.
func configDocument() *jsonschema.Schema {
	s := schemas.Reflect(Config{}, false)
	s.Version = jsonschema.Version
	s.Title = "Runplane configuration"
	s.Description = "Strings may hold ${env:NAME}. A flag or a RUNPLANE_ variable overrides a setting of the file."
	s.PatternProperties = map[string]*jsonschema.Schema{"^x-": {Description: "ignored; a place for YAML anchors"}}
	s.Properties.Set("$schema", &jsonschema.Schema{Type: "string"})
	servers, _ := s.Properties.Get("mcpServers")
	servers.PropertyNames = &jsonschema.Schema{Pattern: realmName.String()}
	servers.AdditionalProperties.AdditionalProperties = nil // clients keep keys of their own there
	for i := range settings {
		at := s
		for part := range strings.SplitSeq(settings[i].key, ".") {
			at, _ = at.Properties.Get(part)
		}
		settings[i].describe(at)
	}
	return s
}

func (s *setting) describe(at *jsonschema.Schema) {
	at.Description = s.about
	for _, w := range s.words {
		at.Enum = append(at.Enum, w)
	}
	switch s.at(&Config{}).(type) {
	case *int:
		at.Minimum, at.Maximum = number(s.min), number(s.max)
		at.Default = json.Number(s.standard)
	case *bool:
		at.Default = s.standard == "true"
	case *[]string: // empty
	default:
		at.Default = s.standard
	}
}

func number(n int) json.Number { b, _ := json.Marshal(n); return json.Number(b) }

// The editor's schema and the loader agree on the same files.
func TestConfigSchemaAgreesWithTheLoader(t *testing.T) {
	doc, err := validator.UnmarshalJSON(bytes.NewReader(schemas.ConfigSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("mem:config", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("mem:config")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file  string
		valid bool
	}{
		{`{}`, true},
		{`{"$schema":"./config.schema.json","x-base":{"any":1},"store":"mem:","http":"","drain":"5s"}`, true},
		{`{"mcpServers":{"shop":{"command":"shop","args":["-v"],"env":{"A":"b"},"autoApprove":[]},"web":{"url":"http://127.0.0.1/mcp"}}}`, true},
		{`{"mcpServers":{"shop":{"command":"x"}},"policies":{"default":{"timeout":"5s","retry":{"max_attempts":2}},
		   "realms":{"shop":{"effect":"read","capabilities":{"charge":{"effect":"once"}}}}}}`, true},
		{`{"log":{"level":"debug","json":true},"limits":{"max_nodes":5,"max_wait_seconds":1}}`, true},
		{`{"mcpServers":{"shop":{"command":"x"}},"policies":{"default":{"timeout":"0s","breaker":{"failures":0},"rate_limit":{"rate":0},"concurrency":0,"cache_ttl":"0s"},
		   "realms":{"shop":{"rate_limit":{"rate":10,"per":"1m","burst":3},"concurrency":4,"concurrency_wait":"1s","stale_if_error":"1h","drift":"allow_compatible",
		   "fallback":[{"capability":"shop.old"},{"value":{"a":[1,null,"x"]}}],"capabilities":{"charge":{"breaker":{"failures":3,"open_for":"5s"}}}}}}}`, true},
		{`{"limits":{"principal":{"calls":1000,"bytes":1000000,"time":"10m","per":"1h"},"session":{"calls":10}}}`, true},
		{`{"limits":{"session":{"calls":-1}}}`, false},
		{`{"policies":{"default":{"rate_limit":{"burst":5}}}}`, false},
		{`{"policies":{"default":{"concurrency":-1}}}`, false},
		{`{"stroe":"mem:"}`, false},
		{`{"mcpServers":{"my.shop":{"command":"x"}}}`, false},
		{`{"mcpServers":{"shop":{"command":"x","type":"pipe"}}}`, false},
		{`{"mcpServers":{"shop":{"command":1}}}`, false},
		{`{"log":{"level":"loud"}}`, false},
		{`{"limits":{"max_nodes":0}}`, false},
		{`{"limits":{"max_nodes":1.5}}`, false},
		{`{"drain":5}`, false},
		{`{"policies":{"default":{"effect":"never"}}}`, false},
		{`{"policies":{"default":{"retry":{"max_attempts":-1}}}}`, false},
	} {
		value, err := validator.UnmarshalJSON(strings.NewReader(tt.file))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != tt.valid {
			t.Errorf("schema: %s is valid %v, want %v: %v", tt.file, err == nil, tt.valid, err)
		}
		// Client keys are notes in every file; `command: 1` is the loader's one kindness to YAML's plain scalars.
		w := world{files: map[string]string{"/here/runplane.json": tt.file}}
		c, err := w.load(t)
		if e, broken := brokenRealm(c); err == nil && broken {
			err = e
		}
		if (err == nil) != tt.valid && !strings.Contains(tt.file, `"command":1`) {
			t.Errorf("loader: %s is valid %v, want %v: %v", tt.file, err == nil, tt.valid, err)
		}
	}
}

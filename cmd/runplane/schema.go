package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/runplane/runplane/schemas"
)

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "schema {plan|config}",
		Short:     "Print the JSON Schema of plans or of the configuration",
		Long:      "Prints a JSON Schema for editors and generators.",
		ValidArgs: []string{"plan", "config"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			schema := schemas.PlanSchema()
			if args[0] == "config" {
				schema = schemas.ConfigSchema()
			}
			var b bytes.Buffer
			if err := json.Indent(&b, bytes.TrimSpace(schema), "", "  "); err != nil {
				return fmt.Errorf("published schema %s: %w", args[0], err)
			}
			_, err := fmt.Fprintln(c.out, b.String())
			return err
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, "runplane", version())
			return err
		},
	}
}

// release is set by the linker for a release build.
var release string

// version is the release, else the module version or commit the binary was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

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
		Args:      exactArgs("plan or config"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var schema []byte
			switch args[0] {
			case "plan":
				schema = schemas.PlanSchema()
			case "config":
				schema = schemas.ConfigSchema()
			default:
				return usageError(cmd, "unknown schema %q: use plan or config", args[0])
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
		Args:  exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, "runplane", version())
			return err
		},
	}
}

// release is set by the linker for a release build.
var release string

// version is the release, else the module version or commit that the binary was built from.
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

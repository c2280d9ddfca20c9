package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary is made of.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified"` // built from a tree with changes that were not committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Temporal string `json:"temporalSdk,omitempty"`
}

func (p *Program) versionCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show what this binary was built from",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			info, _ := debug.ReadBuildInfo()
			b := buildOf(info)
			return out.write(cmd.OutOrStdout(), b, func(t *table) {
				t.row("VERSION", b.Version)
				t.field("REVISION", b.Revision)
				t.field("TIME", b.Time)
				t.row("MODIFIED", yesNo(b.Modified))
				t.row("GO", b.Go+" "+b.Platform)
				t.field("TEMPORAL SDK", b.Temporal)
			})
		},
	}
	out.flag(cmd)
	return cmd
}

// buildOf reads what the Go tool wrote into the binary; nil where it wrote nothing.
func buildOf(info *debug.BuildInfo) build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, dependency := range info.Deps {
		if dependency.Path == "go.temporal.io/sdk" {
			b.Temporal = dependency.Version
		}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

package cli

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/config"
)

// introduction is what docs/configuration.md says before its tables.
//
//go:embed configuration.md
var introduction string

// commandVariables are read by the command line itself.
var commandVariables = []config.Variable{
	{Name: variableAPI, Default: defaultAPI, Meaning: "address of the API, for the commands that talk to it"},
	{Name: variableAPIKey, Meaning: "API key of whoever runs these commands", Secret: true},
}

// temporalVariables are the most needed ones of those that Temporal's SDK reads.
var temporalVariables = []config.Variable{
	{Name: "TEMPORAL_ADDRESS", Default: "localhost:7233", Meaning: "address of the Temporal service"},
	{Name: "TEMPORAL_NAMESPACE", Default: "default", Meaning: "namespace that everything runs in"},
	{Name: "TEMPORAL_API_KEY", Meaning: "API key of the Temporal service; turns TLS on", Secret: true},
	{Name: "TEMPORAL_TLS", Meaning: "true: connect with TLS"},
	{Name: "TEMPORAL_TLS_CLIENT_CERT_PATH", Meaning: "client certificate, PEM"},
	{Name: "TEMPORAL_TLS_CLIENT_KEY_PATH", Meaning: "its private key, PEM"},
	{Name: "TEMPORAL_TLS_SERVER_CA_CERT_PATH", Meaning: "authority of the server's certificate, PEM; default: the system's"},
	{Name: "TEMPORAL_TLS_SERVER_NAME", Meaning: "name on the server's certificate, where it is not that of the address"},
	{Name: "TEMPORAL_CONFIG_FILE", Meaning: "configuration file of the Temporal command line, whose profiles are read too"},
	{Name: "TEMPORAL_PROFILE", Default: "default", Meaning: "profile in that file"},
	{Name: "HTTPS_PROXY", Meaning: "http://user:password@host:port of a CONNECT proxy, through which Temporal and every https address is reached", Secret: true},
	{Name: "NO_PROXY", Meaning: "names and address ranges that are reached without the proxy, such as .site.internal,10.0.0.0/8"},
}

func (p *Program) configCommand() *cobra.Command {
	var out output
	var markdown bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "List every setting with its value, default and meaning",
		Long: `Lists every environment variable that a process reads, with the value in effect. Secrets show only that they are set.
What is wrong with the values is said on standard error, and makes the command fail.`,
		Example: `  tenderline config
  tenderline config -o json
  tenderline config --markdown > docs/configuration.md`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if markdown {
				return writeMarkdown(cmd.OutOrStdout())
			}
			list := config.Variables(p.lookup)
			list = append(list, p.inEffect(commandVariables)...)
			list = append(list, p.inEffect(temporalVariables)...)
			err := out.write(cmd.OutOrStdout(), list, func(t *table) {
				t.row("NAME", "VALUE", "DEFAULT", "MEANING")
				for _, v := range list {
					t.row(v.Name, v.Value, v.Default, v.Meaning)
				}
			})
			if err != nil {
				return err
			}
			_, err = p.settings()
			return err
		},
	}
	out.flag(cmd)
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print docs/configuration.md, which holds defaults only")
	return cmd
}

// inEffect gives variables the values that the environment sets.
func (p *Program) inEffect(variables []config.Variable) []config.Variable {
	list := make([]config.Variable, 0, len(variables))
	for _, v := range variables {
		value, _ := p.lookup(v.Name)
		v.Set = value != ""
		switch {
		case v.Set && v.Secret:
			v.Value = config.Secret(value).String()
		case v.Set:
			v.Value = value
		default:
			v.Value = v.Default
		}
		list = append(list, v)
	}
	return list
}

// writeMarkdown prints the reference of all settings. It shows nothing of this machine's environment.
func writeMarkdown(w io.Writer) error {
	var text strings.Builder
	text.WriteString(introduction)
	text.WriteString("\n## Settings\n\n")
	markdownTable(&text, config.Variables(config.Map(nil)))
	text.WriteString("\n## The command line's own\n\n")
	markdownTable(&text, commandVariables)
	text.WriteString("\n## Temporal's\n\nThe SDK reads these and more; see the " +
		"[Temporal documentation](https://docs.temporal.io/develop/environment-configuration).\n\n")
	markdownTable(&text, temporalVariables)
	_, err := io.WriteString(w, text.String())
	return err
}

func markdownTable(text *strings.Builder, variables []config.Variable) {
	text.WriteString("| Variable | Default | Meaning |\n|---|---|---|\n")
	for _, v := range variables {
		standard := ""
		if v.Default != "" {
			standard = "`" + strings.ReplaceAll(v.Default, "|", `\|`) + "`"
		}
		meaning := markdownCell(v.Meaning)
		if v.Secret {
			meaning += " (secret)"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s |\n", v.Name, standard, meaning)
	}
}

// markdownCell keeps a text within its cell.
func markdownCell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(printable(text))
}

// Package cli is the command line of the tenderline binary: the long-running processes, their set-up and checks, and what shops,
// analysts and operators do by hand.
//
// Commands that touch orders talk to the HTTP API, so that who acts, and what they may do, comes from their API key. Results go to
// standard output, as tables or with -o json; errors go to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/cli/wiring"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/telemetry"
)

// Program is everything that a run of the binary gets from outside.
type Program struct {
	Args   []string // without the program's name
	Env    []string // "NAME=value", as os.Environ gives it
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// The exit codes.
const (
	ExitOK          = 0   // done
	ExitFailure     = 1   // it failed: wrong settings, a failed check or test, a fault of ours
	ExitUsage       = 2   // the command line is wrong; nothing was done
	ExitRefused     = 3   // refused: by the API, or here because of a card number; repeating it changes nothing
	ExitUnavailable = 4   // the API did not answer, or not now: repeat it later
	ExitInterrupted = 130 // stopped by a signal before it was done
)

// Run carries out one command line and gives the exit code.
func Run(ctx context.Context, p Program) int {
	root := p.root()
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintln(p.Stderr, "tenderline:", printable(line)) // nowhere is left to report to
	}
	return exitCode(ctx, err)
}

// failure is an error that decides the exit code.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error { return &failure{ExitUsage, fmt.Errorf(format, args...)} }

func refused(err error) error { return &failure{ExitRefused, err} }

func exitCode(ctx context.Context, err error) int {
	var f *failure
	switch {
	case ctx.Err() != nil:
		return ExitInterrupted
	case errors.As(err, &f):
		return f.code
	default:
		return ExitFailure
	}
}

func (p *Program) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "tenderline",
		Short: "From checkout to cash in the ledger: Cybersource, ERP and shop on Temporal",
		Long: `Tenderline turns a checkout into cash in the ledger, on Temporal.

  tenderline setup       prepare database and Temporal, once per release
  tenderline check       prove every credential and right, without moving money
  tenderline worker      run workflows and their steps
  tenderline webhook     run the HTTP API

Settings come from environment variables: ` + "`tenderline config`" + ` lists them.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not available now, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	},
		p.workerCommand(), p.webhookCommand(), p.setupCommand(), p.checkCommand(),
		p.orderCommand(), p.refundCommand(), p.fraudCommand(), p.attentionCommand(), p.inboxCommand(), p.auditCommand(), p.alertsCommand(),
		p.settlementCommand(), p.paymentsCommand(), p.cashCommand(), p.chargebackCommand(), p.stockCommand(),
		p.mappingsCommand(), p.configCommand(), p.versionCommand(),
	)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	return root
}

// group makes a command of its sub-commands: alone it shows its help, and a word that is none of them is a usage error.
func group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.AddCommand(children...)
	parent.SuggestionsMinimumDistance = 2
	parent.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usage("%s", text)
	}
	parent.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return parent
}

// exactly wants these arguments, named for the error.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s needs %s; see `%s --help`", cmd.CommandPath(), names[len(args)], cmd.CommandPath())
		case len(args) > len(names):
			return usage("%s takes no argument %q", cmd.CommandPath(), args[len(names)])
		default:
			return nil
		}
	}
}

// lookup gives a variable of the environment.
func (p *Program) lookup(name string) (string, bool) {
	for i := len(p.Env) - 1; i >= 0; i-- { // the last one counts, as for a process
		if key, value, found := strings.Cut(p.Env[i], "="); found && key == name {
			return value, true
		}
	}
	return "", false
}

// environment gives Temporal's settings the same variables.
type environment struct{ p *Program }

// Environ gives all variables.
func (e environment) Environ() []string { return e.p.Env }

// LookupEnv gives one variable.
func (e environment) LookupEnv(name string) (string, bool) { return e.p.lookup(name) }

// settings are the process's settings.
func (p *Program) settings() (config.Config, error) { return config.Load(p.lookup) }

// app begins the assembly of a process that logs as its settings say.
func (p *Program) app(settings config.Config) (*wiring.App, error) {
	log, err := telemetry.NewLogger(p.Stderr, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return nil, err
	}
	return p.appWith(settings, log), nil
}

// quietApp is app for commands that a person waits for: what they report is the result, not a log.
func (p *Program) quietApp(settings config.Config) *wiring.App {
	return p.appWith(settings, slog.New(slog.DiscardHandler))
}

func (p *Program) appWith(settings config.Config, log *slog.Logger) *wiring.App {
	app := wiring.New(settings, log)
	app.Engine.Env = environment{p}
	return app
}

// Package demo is the program behind `make run` and `make demo`: it starts the whole stack on this machine, plays the sample orders on it,
// shows what became of them and, unless it was a demonstration only, stays up for whoever wants to try more.
package demo

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// options are what the command line and the environment say.
type options struct {
	dir       string // keeps all state
	temporary bool   // dir is ours to remove
	offset    int    // added to every port
	noSamples bool
	demo      bool
	erp       string            // that the samples are booked in; allERPs: each gets all of them
	settings  map[string]string // over the embedded ones
	ignored   []string          // variables that the embedded run has its own value of
}

// Values of --erp beside the ERPs' names.
const (
	defaultERP = "syspro"
	allERPs    = "all"
)

// erps are the ERPs in which the samples are booked. The first is that of settlement, and of channels that name none.
func (o *options) erps() []world.ERP {
	return slices.DeleteFunc(stack.DefaultPorts(o.offset).ERPs(), func(erp world.ERP) bool { return o.erp != allERPs && o.erp != erp.Name })
}

// maxOffset keeps the highest port (9104) a port.
const maxOffset = 65535 - 9104

// parse reads flags and environment. flag.ErrHelp is returned where help was asked for, which is then printed to help.
func parse(args, environ []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("tenderline-dev", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error
	flags.StringVar(&o.dir, "data", "", "directory that keeps all state (default .tenderline in the repository; with --demo a temporary one)")
	flags.IntVar(&o.offset, "port-offset", 0, "moves every port up by so many")
	flags.BoolVar(&o.noSamples, "no-samples", false, "send no sample orders")
	flags.StringVar(&o.erp, "erp", defaultERP, "ERP that the samples are booked in: syspro, sagepro, or all for both in one deployment")
	flags.BoolVar(&o.demo, "demo", false, "play the samples and exit, with status 1 if any did not end as expected")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprint(help, "Runs Temporal with its UI, the sandboxes, workers and API in one process on loopback.\n\nFlags:\n")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.offset < 0 || o.offset > maxOffset:
		return o, fmt.Errorf("--port-offset must be between 0 and %d", maxOffset)
	case o.demo && o.noSamples:
		return o, errors.New("--demo is the samples: it can't go with --no-samples")
	case len(o.erps()) == 0:
		return o, fmt.Errorf("--erp is %q: it must be syspro, sagepro or %s", o.erp, allERPs)
	}
	var err error
	o.settings, o.ignored, err = overrides(environ)
	return o, err
}

// fixed starts the names of what makes the embedded run what it is: where its parts are and how they trust each other. A caller's
// value, perhaps that of a real deployment in the same shell, must not send sample orders there.
var fixed = []string{
	"API_", "CALLBACK_URL", "CALLBACK_SECRET", "CODEC_", "CYBERSOURCE_AUTH", "CYBERSOURCE_BASE_URL", "CYBERSOURCE_KEY_ID", "CYBERSOURCE_MERCHANT_ID",
	"CYBERSOURCE_MLE_", "CYBERSOURCE_P12_", "CYBERSOURCE_PORTFOLIO_ID", "CYBERSOURCE_SHARED_SECRET", "CYBERSOURCE_WEBHOOK_KEYS", "DATABASE_",
	"DEPLOYMENT", "ENCRYPTION_", "ERP", "HTTP_ADDRESS", "METRICS_ADDRESS", "SAGEPRO_CHANGES_WEBHOOK_KEYS", "SAGEPRO_COMPANY", "SAGEPRO_DIALECT",
	"SAGEPRO_DRIVER", "SAGEPRO_DSN", "SAGEPRO_NAMES_FILE", "SETTLEMENT_ERP", "SYSPRO_API_KEY", "SYSPRO_BASE_URL", "SYSPRO_CHANGES_WEBHOOK_KEYS", "SYSPRO_CLIENT_", "SYSPRO_COMPANY",
}

const prefix = "TENDERLINE_"

// overrides are the caller's settings that count (policies, times, limits), and the names of those that do not.
func overrides(environ []string) (settings map[string]string, ignored []string, err error) {
	settings = map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		short, ours := strings.CutPrefix(name, prefix)
		if !ours || value == "" {
			continue
		}
		if (short == "HTTP_ADDRESS" || short == "METRICS_ADDRESS") && !onLoopback(value) {
			return nil, nil, fmt.Errorf("%s is %q, but this program has fixed keys and listens on loopback only; unset it (--port-offset moves the ports)", name, value)
		}
		if slices.ContainsFunc(fixed, func(start string) bool { return strings.HasPrefix(short, start) }) {
			ignored = append(ignored, name)
			continue
		}
		settings[name] = value
	}
	slices.Sort(ignored)
	return settings, ignored, nil
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// prepareDir settles where the state is and makes the directory.
func (o *options) prepareDir() error {
	var err error
	switch {
	case o.dir != "":
		o.dir, err = filepath.Abs(o.dir)
	case o.demo:
		o.temporary = true
		o.dir, err = os.MkdirTemp("", "tenderline-demo-")
	default:
		o.dir = filepath.Join(repository(), ".tenderline")
	}
	if err != nil {
		return err
	}
	return os.MkdirAll(o.dir, 0o700)
}

// repository is the directory above the working directory that has the root module, else the working directory.
func repository() string {
	here, err := os.Getwd()
	if err != nil {
		return "."
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module github.com/tenderline/tenderline\n") {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return here
		}
	}
}

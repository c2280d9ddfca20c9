package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/samples"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/temporaldev"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// The exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errDiffers says that a sample or a check did not come out as expected; the table has told which.
var errDiffers = errors.New("not everything came out as expected")

// Main runs the program and gives its exit status.
func Main(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	o, err := parse(args, environ, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "tenderline-dev:", err)
		return exitUsage
	}
	if err := run(ctx, o, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "tenderline-dev:", explained(err))
		return exitFailed
	}
	return 0
}

// explained adds what to do about a busy port.
func explained(err error) error {
	if busy := (*ports.BusyError)(nil); errors.As(err, &busy) {
		return fmt.Errorf("%w\nStop what listens there, or move every port: make run OFFSET=100", err)
	}
	return err
}

// run starts the stack, plays the samples and, unless that was all, stays up until ctx ends.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if err := o.prepareDir(); err != nil {
		return err
	}
	if o.temporary {
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	log, closeLog, err := openLog(o)
	if err != nil {
		return err
	}
	defer closeLog()
	p := &program{options: o, out: out}
	p.print("Starting Temporal, sandboxes, workers and API ...\n")
	p.stack, err = stack.Start(ctx, stack.Options{Dir: o.dir, Ports: stack.DefaultPorts(o.offset), Env: p.settings(), Logger: log})
	if err != nil {
		return err
	}
	defer func() {
		if !o.demo {
			p.print("\nStopping ...\n")
		}
		err = errors.Join(err, p.stack.Stop())
	}()
	return p.show(ctx)
}

// openLog keeps the log beside the state: the terminal is for what people want to read.
func openLog(o options) (*slog.Logger, func(), error) {
	file, err := os.OpenFile(filepath.Join(o.dir, "tenderline.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(o.settings[prefix+"LOG_LEVEL"])) // a wrong one is reported with the other settings
	return slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: level})), func() { _ = file.Close() }, nil
}

// program is one run.
type program struct {
	options
	stack *stack.Stack
	world *world.World
	out   io.Writer
}

func (p *program) print(format string, values ...any) { _, _ = fmt.Fprintf(p.out, format, values...) }

// settings are the caller's over those of the samples.
func (p *program) settings() map[string]string {
	settings := map[string]string{prefix + "CHANNELS": samples.Channels}
	for name, value := range p.options.settings {
		settings[name] = value
	}
	return settings
}

// show is what a person sees.
func (p *program) show(ctx context.Context) error {
	p.world = &world.World{
		API: p.stack.APIURL(), Gateway: p.stack.GatewayURL(), ERP: p.stack.ErpURL(), Shop: p.stack.ShopURL(),
		Client: &http.Client{Timeout: 30 * time.Second},
	}
	good := true
	if !p.noSamples {
		var err error
		if good, err = p.play(ctx); err != nil {
			return err
		}
	}
	if p.demo && !good {
		return errDiffers
	}
	return nil
}

// play plays the samples and shows how they ended.
func (p *program) play(ctx context.Context) (bool, error) {
	list := samples.All()
	runner := &samples.Runner{
		World: p.world, RunID: samples.RunID(time.Now()), Clock: time.Now,
		Progress: samples.NewProgress(p.out, time.Now, isTerminal(p.out), list),
	}
	results := runner.Run(ctx, list)
	p.print("\n")
	err := samples.Table(p.out, results, func(orderID string) string {
		return p.stack.Temporal.WorkflowURL(temporaldev.DefaultNamespace, workflows.OrderWorkflowID(orderID), "")
	})
	return samples.AsExpected(results), err
}

// isTerminal tells whether a person sees the output as it comes.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// errDiffers says that a sample or a check did not come out as expected; the summary has told which.
var errDiffers = errors.New("not everything came out as expected")

// Main runs the program and gives its exit status.
func Main(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	o, err := parse(args, environ, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "tenderline-dev:", err)
		return exitUsage
	}
	if err := run(ctx, o, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "tenderline-dev:", explained(err, o.offset))
		return exitFailed
	}
	return 0
}

// explained adds what to do about a busy port.
func explained(err error, offset int) error {
	if busy := (*ports.BusyError)(nil); errors.As(err, &busy) {
		return fmt.Errorf("%w\nStop what listens there, or move every port: make run OFFSET=%d", err, offset+100)
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
	out     io.Writer
	stack   *stack.Stack
	world   *world.World // seen from the ERP of settlement, and of channels that name none
	history *history
	date    string // business date of the samples; "" where none were played
}

func (p *program) print(format string, values ...any) { _, _ = fmt.Fprintf(p.out, format, values...) }

// settings are the caller's over those that the samples need.
func (p *program) settings() map[string]string {
	erps := p.erps()
	settings := map[string]string{prefix + "ERP": erps[0].Name, prefix + "CHANNELS": samples.Channels(erps...)}
	if p.options.settings[prefix+"CHANNELS_FILE"] != "" {
		delete(settings, prefix+"CHANNELS")
	}
	maps.Copy(settings, p.options.settings)
	return settings
}

// show is what a person sees: where everything is, how the samples go and what to try next.
func (p *program) show(ctx context.Context) error {
	p.world = p.stack.World()
	about := p.places()
	if err := say(p.out, welcome, about); err != nil {
		return err
	}
	if !p.noSamples {
		results, err := p.play(ctx)
		switch {
		case ctx.Err() != nil && !p.demo:
			return nil
		case err != nil && (p.demo || !errors.Is(err, errDiffers)):
			return err
		}
		about = about.reviewing(good(results, samples.WaitingReview), p.page).refunding(good(results, samples.Paid)).settling(p.date)
	}
	if p.demo {
		return nil
	}
	if err := say(p.out, nextSteps, about); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.stack.Failed():
		return err
	}
}

// play plays the samples and shows how they ended. errDiffers: something came out otherwise.
func (p *program) play(ctx context.Context) (results []samples.Result, err error) {
	if p.history, err = openHistory(ctx, p.stack.Temporal.Addr()); err != nil {
		return nil, err
	}
	defer p.history.close()
	list := samples.All(p.erps()...)
	runner := &samples.Runner{
		World: p.world, RunID: samples.RunID(time.Now()), Clock: time.Now, Temporal: p.history,
		Progress: samples.NewProgress(p.out, time.Now, isTerminal(p.out), list),
	}
	begun := time.Now()
	p.date = samples.Day(begun)
	results = runner.Run(ctx, list)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p.print("\n")
	if err := samples.Table(p.out, results, func(orderID string) string { return p.page(workflows.OrderWorkflowID(orderID)) }); err != nil {
		return nil, err
	}
	p.print("\n")
	failed := p.make(ctx, slices.Concat(p.settle(runner, results), p.checks(results)))
	p.print("\n%s\n", summary(results, failed, time.Since(begun)))
	if len(failed) > 0 || !samples.AsExpected(results) {
		err = errDiffers
	}
	return results, err
}

// settle is the settlement of the day on which the samples were played: over all that they did.
func (p *program) settle(runner *samples.Runner, results []samples.Result) []check {
	books := &samples.Books{
		World: p.world, Merchant: stack.Merchant, Date: p.date, Sold: p.erps(), Temporal: p.history, Progress: runner.Progress.Line("Settlement day " + p.date),
		Order: func(erp world.ERP, slug string) string { return orderOf(results, erp, slug) },
	}
	var parts []check
	failed := false
	for _, part := range books.Parts() {
		parts = append(parts, check{part.Title, func(ctx context.Context) error {
			if failed {
				return errors.New("was not tried")
			}
			err := part.Play(ctx)
			failed = err != nil
			return err
		}})
	}
	return parts
}

// orderOf is the order of a sample that was booked in an ERP.
func orderOf(results []samples.Result, erp world.ERP, slug string) string {
	for _, r := range results {
		if r.Sample.ERP.Name == erp.Name && r.Sample.Slug == slug {
			return r.OrderID
		}
	}
	return ""
}

// page is the Temporal UI's page of a workflow.
func (p *program) page(workflowID string) string {
	return p.stack.Temporal.WorkflowURL(temporaldev.DefaultNamespace, workflowID, "")
}

// good is the order of a sample; "" where it did not end as expected.
func good(results []samples.Result, slug string) string {
	for _, r := range results {
		if r.Sample.Slug == slug && r.AsExpected() {
			return r.OrderID
		}
	}
	return ""
}

// notAsExpected begins the summary of a run in which something differs.
const notAsExpected = "NOT as expected:"

// summary is the last word on a run: whoever sees the end of its output alone sees all that differs.
func summary(results []samples.Result, failed []string, took time.Duration) string {
	differing := 0
	for _, r := range results {
		if !r.AsExpected() {
			differing++
		}
	}
	if differing+len(failed) == 0 {
		return fmt.Sprintf("All %d orders and every check came out as expected, in %.0f seconds.", len(results), took.Seconds())
	}
	lines := []string{fmt.Sprintf("%s %d of %d orders differ, checks that failed: %d.", notAsExpected, differing, len(results), len(failed))}
	return strings.Join(slices.Concat(lines, samples.Differences(results), failed), "\n")
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

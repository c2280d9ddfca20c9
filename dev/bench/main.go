// Command bench measures Tenderline on this machine: orders per second beside a workflow of as many activities that do nothing, on the
// same Temporal server in the same run; what a clean order costs the engine; what its mappings cost; webhooks per second; and, before all
// that, settlement days beside the least that reading them could cost. Everything, the systems outside included, shares one process, so
// that only the ratios say much about Tenderline; docs/benchmarks.md explains it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/engine"
)

// options are how much is measured.
type options struct {
	rounds      int           // pairs of orders and no-op workflows
	orders      int           // of each kind in a round
	concurrency int           // under way at once
	webhooks    int           // requests in a round
	budget      time.Duration // for the rounds; on a busy machine fewer are run
	cpuProfile  string

	settlementRows   []int // rows of the settlement days that are measured
	settlementRounds int
	settlementWrites int // most rows of a day whose writes are measured
	settlementOnly   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, problems io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; each runs every kind once, in another order")
	flags.IntVar(&o.orders, "orders", 25, "orders, and no-op workflows, of each kind in a round")
	flags.IntVar(&o.concurrency, "concurrency", 15, "orders under way at once")
	flags.IntVar(&o.webhooks, "webhooks", 500, "webhook requests in a round")
	flags.DurationVar(&o.budget, "budget", 150*time.Second, "begin no round that would end after so long, beyond the first")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the rounds to this file")
	rows := flags.String("settlement-rows", "10000,100000,1000000", "rows of the settlement days; empty: none is measured")
	flags.IntVar(&o.settlementRounds, "settlement-rounds", 3, "measurements of each settlement day")
	flags.IntVar(&o.settlementWrites, "settlement-writes", 100_000, "rows of the largest settlement day that is written down, too; a million takes minutes")
	flags.BoolVar(&o.settlementOnly, "settlement-only", false, "measure nothing but settlement days")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, text := range strings.FieldsFunc(*rows, func(r rune) bool { return r == ',' }) {
		count, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || count < 1 || o.settlementRounds < 1 {
			return fmt.Errorf("settlement-rows must be whole numbers, and settlement-rounds at least 1")
		}
		o.settlementRows = append(o.settlementRows, count)
	}
	if o.rounds < 1 || o.orders < 1 || o.concurrency < 1 || o.webhooks < 1 {
		return fmt.Errorf("rounds, orders, concurrency and webhooks must be at least 1")
	}
	dir, err := os.MkdirTemp("", "tenderline-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	settlements, err := settlementDays(ctx, o, dir, problems)
	if err != nil {
		return err
	}
	if o.settlementOnly {
		return report{settlements: settlements}.writeSettlements(out)
	}
	b, closeBench, err := start(ctx, dir, problems)
	if err != nil {
		return err
	}
	defer closeBench()
	return b.measure(ctx, o, settlements, out, problems)
}

// bench is a running stack, with the way in that each side of the comparison has.
type bench struct {
	stack   *stack.Stack
	world   *world.World
	orders  *engine.Connection // as Tenderline connects: payloads sealed
	plain   client.Client      // the engine without anything of ours
	serial  int                // makes IDs unique over rounds
	started time.Time
}

// start runs the stack: Temporal, its store and the sandboxes in memory, the journal in a file, as durable as in `make run`.
func start(ctx context.Context, dir string, problems io.Writer) (*bench, func(), error) {
	ports, err := stack.FreePorts()
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(problems, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := stack.Start(ctx, stack.Options{TempDir: dir, Ports: ports, NoUI: true, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	b := &bench{stack: s, started: time.Now(), world: s.World()}
	b.world.Client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	if b.orders, err = s.App.Temporal(ctx); err == nil {
		b.plain, err = client.DialContext(ctx, client.Options{
			HostPort: s.Temporal.Addr(), Namespace: b.orders.Namespace, Logger: sdklog.NewStructuredLogger(log),
		})
	}
	if err != nil {
		_ = s.Stop()
		return nil, nil, err
	}
	return b, func() {
		b.plain.Close()
		_ = s.Stop()
	}, nil
}

// measure takes all figures and writes the report.
func (b *bench) measure(ctx context.Context, o options, settlements []settlementResult, out, progress io.Writer) error {
	stopNoOp, err := b.startNoOp()
	if err != nil {
		return err
	}
	defer stopNoOp()
	r := report{options: o, settlements: settlements, cpus: runtime.GOMAXPROCS(0), goVersion: runtime.Version(), platform: runtime.GOOS + "/" + runtime.GOARCH}
	if r.sale, err = b.cost(ctx, captureImmediate); err != nil {
		return err
	}
	if r.twoSteps, err = b.cost(ctx, captureApart); err != nil {
		return err
	}
	if r.mapping, err = mappingCost(ctx); err != nil {
		return err
	}
	if err := b.profiled(o.cpuProfile, func() error { return b.rounds(ctx, o, &r, progress) }); err != nil {
		return err
	}
	if r.webhooks, err = b.webhookRounds(ctx, o); err != nil {
		return err
	}
	r.took = time.Since(b.started)
	return r.write(out)
}

// profiled runs a part under the CPU profiler where a file is named.
func (b *bench) profiled(file string, part func() error) error {
	if file == "" {
		return part()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return part()
}

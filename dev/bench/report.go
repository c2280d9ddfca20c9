package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is everything measured, written as the Markdown of docs/benchmarks.md.
type report struct {
	options   options
	cpus      int
	goVersion string
	platform  string
	took      time.Duration

	sale, twoSteps   orderCost
	mapping          mappingResult
	sales, noOpSales []load
	twoStepOrders    []load
	noOpTwoSteps     []load
	webhooks         []load
	settlements      []settlementResult
}

func (r report) write(out io.Writer) error {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }

	line("%d CPUs, %s, %s; %d rounds of %d, %d at once; %s in all.\n", r.cpus, r.platform, r.goVersion, len(r.sales), r.options.orders,
		r.options.concurrency, r.took.Round(time.Second))
	line("| Against a no-op workflow (min / median / max of the rounds) | Sale | Auth, then capture |")
	line("|---|---:|---:|")
	line("| **Ratio: orders / no-op workflows per second** | **%s** | **%s** |", spread(ratios(r.sales, r.noOpSales), 2), spread(ratios(r.twoStepOrders, r.noOpTwoSteps), 2))
	line("| Orders per second | %s | %s |", spread(rates(r.sales), 1), spread(rates(r.twoStepOrders), 1))
	line("| No-op workflows per second | %s | %s |", spread(rates(r.noOpSales), 1), spread(rates(r.noOpTwoSteps), 1))
	line("| Seconds from post to told, median / 95th percentile | %s | %s |\n", latency(r.sales), latency(r.twoStepOrders))

	line("| One clean order | Sale | Auth, then capture |")
	line("|---|---:|---:|")
	cell := func(name string, value func(orderCost) string) {
		line("| %s | %s | %s |", name, value(r.sale), value(r.twoSteps))
	}
	cell("Activities: order + callback", func(c orderCost) string { return fmt.Sprintf("%d + %d", c.order.activities, c.callback.activities) })
	cell("Local activities: order + callback", func(c orderCost) string { return fmt.Sprintf("%d + %d", c.order.locals, c.callback.locals) })
	cell("Workflow tasks: order + callback", func(c orderCost) string { return fmt.Sprintf("%d + %d", c.order.tasks, c.callback.tasks) })
	cell("History events: order + callback", func(c orderCost) string { return fmt.Sprintf("%d + %d", c.order.events, c.callback.events) })
	cell("History bytes: order + callback", func(c orderCost) string { return fmt.Sprintf("%d + %d", c.order.bytes, c.callback.bytes) })

	line("\n| Other | |")
	line("|---|---:|")
	line("| Mapping, per order (%d documents) | %s, %d allocations |", r.mapping.documents, r.mapping.perOrder.Round(time.Microsecond), r.mapping.allocations)
	line("| Loading all mapping files, once per process | %s |", r.mapping.load.Round(time.Millisecond))
	line("| Webhooks per second, durable in the inbox (min / median / max) | %s |", spread(rates(r.webhooks), 0))
	settlementTable(line, r.settlements)
	_, err := io.WriteString(out, text.String())
	return err
}

// writeSettlements writes the figures of settlement days alone.
func (r report) writeSettlements(out io.Writer) error {
	var text strings.Builder
	settlementTable(func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }, r.settlements)
	_, err := io.WriteString(out, text.String())
	return err
}

func rates(loads []load) []float64 {
	values := make([]float64, len(loads))
	for i, l := range loads {
		values[i] = l.perSecond()
	}
	return values
}

// ratios pairs the loads of the same round.
func ratios(orders, noOps []load) []float64 {
	values := make([]float64, len(orders))
	for i := range orders {
		values[i] = orders[i].perSecond() / noOps[i].perSecond()
	}
	return values
}

// spread is "min / median / max".
func spread(values []float64, digits int) string {
	sorted := slices.Sorted(slices.Values(values))
	return fmt.Sprintf("%.*f / %.*f / %.*f", digits, sorted[0], digits, quantile(sorted, 0.5), digits, sorted[len(sorted)-1])
}

func median(values []float64) float64 { return quantile(slices.Sorted(slices.Values(values)), 0.5) }

// latency is the median and the 95th percentile over all rounds, in seconds.
func latency(loads []load) string {
	var all []float64
	for _, l := range loads {
		for _, took := range l.latencies {
			all = append(all, took.Seconds())
		}
	}
	slices.Sort(all)
	return fmt.Sprintf("%.2f / %.2f", quantile(all, 0.5), quantile(all, 0.95))
}

// quantile reads a sorted sample; the mean of the two middle values where there is no single one.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

package samples

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table prints what became of each sample, and below it every difference. link gives the Temporal UI's page of an order.
func Table(out io.Writer, results []Result, link func(orderID string) string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) }
	row("", "SAMPLE", "ORDER", "OUTCOME", "PAYMENT", "ERP", "SECONDS", "TEMPORAL UI")
	for _, r := range results {
		page := "-"
		if r.Evidence.Order.Status != Refused {
			page = link(r.OrderID)
		}
		row(mark(r), r.Sample.Title, r.OrderID, dashed(r.Evidence.Order.Status), dashed(r.Evidence.Order.PaymentStatus), numbers(r.Evidence),
			fmt.Sprintf("%.1f", r.Took.Seconds()), page)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, difference := range Differences(results) {
		if _, err := fmt.Fprintln(out, difference); err != nil {
			return err
		}
	}
	return nil
}

// Differences names every difference of every order, a line each.
func Differences(results []Result) []string {
	var all []string
	for _, r := range results {
		for _, difference := range r.Differences {
			all = append(all, fmt.Sprintf("%s (%s): %s", r.OrderID, r.Sample.Title, inOneLine(difference)))
		}
	}
	return all
}

// inOneLine writes what several errors say in one line.
func inOneLine(text string) string { return strings.Join(strings.Split(text, "\n"), "; ") }

func mark(r Result) string {
	if r.AsExpected() {
		return "ok"
	}
	return "DIFFERS"
}

// numbers are those of the sales order and the invoice.
func numbers(e Evidence) string {
	return dashed(strings.Trim(e.Order.ErpOrderNumber+"/"+e.Order.ErpInvoice, "/"))
}

func dashed(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

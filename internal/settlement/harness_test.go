package settlement_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
	"github.com/tenderline/tenderline/mappings"
)

const (
	today     = "2026-07-28"
	yesterday = "2026-07-27"
	merchant  = "demo_mid"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func money(text, currency string) canonical.Money { return canonical.NewMoney(amount(text), currency) }

// during is a time on a date, well before the batch closes.
func during(date string) time.Time {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return at.Add(9 * time.Hour)
}

// capture is an operation of today.
func capture(id, reference, value, currency string) settlement.Operation {
	return settlement.Operation{
		Key: "order:" + reference + ":capture:1", OrderID: reference, TransactionID: id, Reference: reference, Kind: settlement.Capture, Amount: money(value, currency), At: during(today),
	}
}

func refund(id, reference, value, currency string) settlement.Operation {
	op := capture(id, reference, value, currency)
	op.Kind, op.Key = settlement.Refund, "refund:"+reference+":refund:1"
	return op
}

// line is a row of a payment batch report.
type line struct {
	id, reference, amount, currency, applications, card string
}

func rowOf(op settlement.Operation) line {
	l := line{id: op.TransactionID, reference: op.Reference, amount: canonical.FormatAmount(op.Amount.Amount, op.Amount.Currency), currency: op.Amount.Currency, applications: "ics_bill,ics_auth", card: "Visa"}
	if op.Kind == settlement.Refund {
		l.applications = "ics_credit"
	}
	return l
}

// batchReport writes a classic payment batch report.
func batchReport(lines []line) string {
	var b strings.Builder
	b.WriteString("demo_mid,PaymentBatchDetailReport_Daily_Classic,PaymentBatchDetail,1.10,2026-07-27T07:00:00Z to 2026-07-28T07:00:00Z,,,,,,,,\n")
	out := csv.NewWriter(&b)
	out.Write([]string{"batch_id", "merchant_id", "batch_date", "request_id", "merchant_ref_number", "TransactionReferenceNumber", "payment_type", "currency", "amount", "ics_applications", "status", "transaction_date", "MerchantDefinedData1"})
	for _, l := range lines {
		out.Write([]string{"BATCH77", merchant, "2026-07-28T04:15:21Z", l.id, l.reference, "", l.card, l.currency, l.amount, l.applications, "BATCHED", "2026-07-27T09:33:55Z", "web"})
	}
	out.Flush()
	return b.String()
}

// books is a journal in memory.
type books struct {
	operations []settlement.Operation
	booked     map[string]string
	finds      int
}

func (b *books) Operations(_ context.Context, _, date string) (settlement.Operations, error) {
	var list []settlement.Operation
	for _, op := range b.operations {
		if op.SettledOn == "" || op.SettledOn == date {
			list = append(list, op)
		}
	}
	slices.SortStableFunc(list, func(a, b settlement.Operation) int { return strings.Compare(a.TransactionID, b.TransactionID) })
	return &stream{list}, nil
}

func (b *books) Find(_ context.Context, ids []string) ([]settlement.Operation, error) {
	b.finds++
	var found []settlement.Operation
	for _, op := range b.operations {
		if slices.Contains(ids, op.TransactionID) {
			found = append(found, op)
		}
	}
	return found, nil
}

func (b *books) Booked(_ context.Context, entries []string) (map[string]string, error) {
	found := map[string]string{}
	for _, entry := range entries {
		if date, known := b.booked[entry]; known {
			found[entry] = date
		}
	}
	return found, nil
}

type stream struct{ list []settlement.Operation }

func (s *stream) Next() (settlement.Operation, error) {
	if len(s.list) == 0 {
		return settlement.Operation{}, io.EOF
	}
	op := s.list[0]
	s.list = s.list[1:]
	return op, nil
}

// take writes what a day marked into the journal, as the real one does.
func (b *books) take(marks []settlement.Mark) {
	if b.booked == nil {
		b.booked = map[string]string{}
	}
	for _, mark := range marks {
		if mark.Entry != "" {
			b.booked[mark.Entry] = mark.Date
		}
		for i := range b.operations {
			if b.operations[i].Key == mark.Operation {
				b.operations[i].SettledOn = mark.Date
			}
		}
	}
}

// source is one report of a day.
type source struct {
	kind   report.Kind
	format report.Format
	body   string
}

// outcome is all that a day gave.
type outcome struct {
	result      *settlement.Result
	differences []settlement.Difference
	marks       []settlement.Mark
}

func defaults() settlement.Config {
	return settlement.Config{Date: today, MerchantID: merchant, Cutoff: settlement.Cutoff{Hour: 24}, Policy: settlement.PolicySuspense}
}

// work runs a day.
func work(t require.TestingT, config settlement.Config, journal settlement.Journal, sources ...source) outcome {
	out, err := try(config, journal, sources...)
	require.NoError(t, err)
	return out
}

func try(config settlement.Config, journal settlement.Journal, sources ...source) (out outcome, err error) {
	day, err := settlement.NewDay(config)
	if err != nil {
		return out, err
	}
	defer func() {
		if closeErr := day.Close(); err == nil {
			err = closeErr
		}
	}()
	for _, s := range sources {
		r, err := report.Open(strings.NewReader(s.body), s.kind, s.format)
		if err != nil {
			return out, err
		}
		if err := day.Add(context.Background(), r); err != nil {
			return out, err
		}
	}
	out.result, err = day.Match(context.Background(), journal, settlement.Sinks{
		Differences: func(d settlement.Difference) error { out.differences = append(out.differences, d); return nil },
		Marks:       func(m settlement.Mark) error { out.marks = append(out.marks, m); return nil },
	})
	return out, err
}

func batches(lines ...line) source {
	return source{report.PaymentBatches, report.CSV, batchReport(lines)}
}

// states lists "state id" of differences, sorted.
func states(differences []settlement.Difference) []string {
	var list []string
	for _, d := range differences {
		list = append(list, fmt.Sprintf("%s %s", d.State, d.TransactionID))
	}
	slices.Sort(list)
	return list
}

func currencyOf(t require.TestingT, r *settlement.Result, code string) settlement.CurrencyResult {
	at := slices.IndexFunc(r.Currencies, func(c settlement.CurrencyResult) bool { return c.Currency == code })
	require.GreaterOrEqual(t, at, 0, code)
	return r.Currencies[at]
}

func total(t require.TestingT, c settlement.CurrencyResult, category canonical.SettlementCategory) settlement.CategoryTotal {
	at := slices.IndexFunc(c.Categories, func(total settlement.CategoryTotal) bool { return total.Category == category })
	require.GreaterOrEqual(t, at, 0, category)
	return c.Categories[at]
}

// mapped makes the journal of a settlement as the product does: by the mapping, then by Entry. False: it adds up to nothing.
func mapped(t require.TestingT, set *mappings.Set, mode settlement.Mode, s canonical.Settlement, site map[string]string) (canonical.JournalEntry, bool) {
	m, err := set.Mapping(mode.Mapping())
	require.NoError(t, err)
	doc, err := m.Apply(mappings.Input{Settlement: s, Site: site, Date: s.Date})
	require.NoError(t, err)
	if doc.Skipped {
		return canonical.JournalEntry{}, false
	}
	entry, err := settlement.Entry(doc.Body, "")
	require.NoError(t, err)
	require.True(t, entry.Balanced())
	return entry, true
}

func loadMappings(t testing.TB) *mappings.Set {
	t.Helper()
	set, err := mappings.Load(mappings.Options{})
	require.NoError(t, err)
	return set
}

// account gives the net of an account: debits less credits.
func account(entry canonical.JournalEntry, code string) decimal.Decimal {
	net := decimal.Zero
	for _, line := range entry.Lines {
		if line.Account == code {
			net = net.Add(line.Debit).Sub(line.Credit)
		}
	}
	return net
}

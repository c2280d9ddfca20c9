package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
	"github.com/tenderline/tenderline/mappings"
)

// ReportSource is where the gateway's reports come from; *cybersource.Reports is one.
type ReportSource interface {
	ListReports(ctx context.Context, start, end time.Time, name string) ([]cybersource.ReportEntry, error)
	DownloadReport(ctx context.Context, name, date string, format cybersource.ReportFormat, into io.Writer) (cybersource.Download, error)
	QueryReport(ctx context.Context, query cybersource.ReportQuery, visit func(page io.Reader) error) (int, error)
}

// WantedReport is a report file of the account. One that is not needed is read where the gateway makes it.
type WantedReport struct {
	Name   string // of its subscription
	Kind   report.Kind
	Format report.Format
	Needed bool
	Signed bool // the subscription sets signedAmounts
}

// Settlements holds the steps of a settlement day at the gateway and in our own database.
type Settlements struct {
	Journal  *journal.Store
	Mappings *mappings.Set
	Reports  ReportSource   // nil where the process has no way to the gateway
	Wanted   []WantedReport // files of the account
	Suffix   string         // of references, where several merchants post in one ledger
	Dir      string         // where reports are spooled
	Window   time.Duration  // operations older than this that never settled are not told of any more; 0: all are
	Clock    func() time.Time
}

// settlementSystem names settlement days in faults.
const settlementSystem = "settlement"

// ReconcileDay downloads, parses and matches a day's reports, and works out what is to be posted. A report that is not there yet is a
// failure that is tried again later. What it finds it writes down: the rows that the day takes, the report of differences, the disputes.
func (s *Settlements) ReconcileDay(ctx context.Context, in ReconcileDayInput) (ReconciledDay, error) {
	stop := heartbeat(ctx, 10*time.Second)
	defer stop()
	out, err := s.reconcileDay(ctx, in)
	return out, toTemporal(err)
}

// heartbeat shows that a long step is alive, until it is stopped.
func heartbeat(ctx context.Context, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { close(done) }
}

// reading is one reconciliation on its way.
type reading struct {
	*Settlements
	in       ReconcileDayInput
	day      *settlement.Day
	disputes []journal.InboxItem
	out      ReconciledDay
}

func (s *Settlements) reconcileDay(ctx context.Context, in ReconcileDayInput) (ReconciledDay, error) {
	cutoff, err := cutoffOf(in.Policy)
	if err != nil {
		return ReconciledDay{}, err
	}
	r := &reading{Settlements: s, in: in}
	r.day, err = settlement.NewDay(settlement.Config{
		Date: in.Date, MerchantID: in.Merchant, Dir: s.Dir, Cutoff: cutoff, GroupBy: in.Policy.GroupBy, Tolerance: in.Policy.Tolerance,
		Policy: in.Policy.Mismatch, Fees: in.Policy.Fees, FeeKinds: true, Cases: r.dispute,
	})
	if err != nil {
		return ReconciledDay{}, bug("settle %s: %v", in.Date, err)
	}
	defer func() { _ = r.day.Close() }()
	if err := r.readReports(ctx, cutoff); err != nil {
		return ReconciledDay{}, err
	}
	return r.match(ctx)
}

// cutoffOf is when the gateway's batch day ends.
func cutoffOf(policy SettlementPolicy) (settlement.Cutoff, error) {
	zone, err := time.LoadLocation(policy.TimeZone)
	if err != nil {
		return settlement.Cutoff{}, invalidSettlement("timeZone", "must be the name of a time zone")
	}
	if policy.Cutoff == "24:00" {
		return settlement.Cutoff{Zone: zone, Hour: 24}, nil
	}
	at, err := time.Parse("15:04", policy.Cutoff)
	if err != nil {
		return settlement.Cutoff{}, invalidSettlement("cutoff", "must be a time of day, HH:MM")
	}
	return settlement.Cutoff{Zone: zone, Hour: at.Hour(), Minute: at.Minute()}, nil
}

func invalidSettlement(field, rule string) error {
	return &fault.Fault{Kind: fault.Value, System: settlementSystem, Message: "the settlement's settings are wrong", Fields: []fault.Field{{Path: field, Rule: rule}}}
}

// readReports takes in the files that the account has of the day, and the queries for what no file tells.
func (r *reading) readReports(ctx context.Context, cutoff settlement.Cutoff) error {
	begin, err := time.ParseInLocation(time.DateOnly, r.in.Date, cutoff.Zone)
	if err != nil {
		return invalidSettlement("date", "must be YYYY-MM-DD")
	}
	end := begin.AddDate(0, 0, 1)
	// A report is filed under the date on which its period ends.
	fileDate := end.Format(time.DateOnly)
	listed, err := r.Reports.ListReports(ctx, begin.AddDate(0, 0, -1), end.AddDate(0, 0, 2), "")
	if err != nil {
		return err
	}
	read := map[report.Kind]bool{}
	for _, wanted := range r.Wanted {
		entry, found := entryOf(listed, wanted.Name, fileDate)
		if !found && !wanted.Needed || read[wanted.Kind] {
			continue
		}
		if found && entry.Status == cybersource.ReportNoData {
			read[wanted.Kind] = true
			continue
		}
		if err := r.readFile(ctx, wanted, fileDate); err != nil {
			return fmt.Errorf("report %s: %w", wanted.Name, err)
		}
		read[wanted.Kind] = true
	}
	if !read[report.Chargebacks] {
		for kind, query := range map[report.Kind]cybersource.ReportKind{
			report.ChargebackCases: cybersource.ChargebackDetails, report.RetrievalCases: cybersource.RetrievalDetails,
		} {
			if err := r.readQuery(ctx, kind, query, begin, end); err != nil {
				return err
			}
		}
	}
	return r.readQuery(ctx, report.BatchSummaries, cybersource.PaymentBatchSummaries, begin, end)
}

func entryOf(listed []cybersource.ReportEntry, name, date string) (cybersource.ReportEntry, bool) {
	for _, entry := range listed {
		if entry.Name == name && entry.Date == date {
			return entry, true
		}
	}
	return cybersource.ReportEntry{}, false
}

// readFile spools a report and takes its rows in. It is read from the disk, since a download that breaks off must leave nothing behind.
func (r *reading) readFile(ctx context.Context, wanted WantedReport, date string) error {
	file, err := os.CreateTemp(r.Dir, "report-*")
	if err != nil {
		return fmt.Errorf("spool report: %w", err)
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	got, err := r.Reports.DownloadReport(ctx, wanted.Name, date, cybersource.ReportFormat(wanted.Format), file)
	if err != nil || got.Status == cybersource.ReportNoData {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	var options []report.Option
	if wanted.Signed {
		options = append(options, report.SignedAmounts())
	}
	return r.take(ctx, file, wanted.Kind, wanted.Format, options...)
}

// readQuery takes in the pages of a JSON query.
func (r *reading) readQuery(ctx context.Context, kind report.Kind, query cybersource.ReportKind, begin, end time.Time) error {
	_, err := r.Reports.QueryReport(ctx, cybersource.ReportQuery{Kind: query, Start: begin, End: end}, func(page io.Reader) error {
		return r.take(ctx, page, kind, report.JSON)
	})
	return err
}

// take reads one report to its end, and notes what of it nobody knows.
func (r *reading) take(ctx context.Context, from io.Reader, kind report.Kind, format report.Format, options ...report.Option) error {
	rows, err := report.Open(from, kind, format, options...)
	if err != nil {
		return reportFault(err)
	}
	if err := r.day.Add(ctx, rows); err != nil {
		return reportFault(err)
	}
	for _, unknown := range rows.Drift().Unknown {
		r.out.Drift = append(r.out.Drift, string(kind)+": "+unknown)
	}
	return nil
}

// reportFault makes what is wrong with a report a failure that waits for a person: where, by which rule, never what stands there.
func reportFault(err error) error {
	var wrong *report.Error
	if !errors.As(err, &wrong) {
		return err
	}
	return &fault.Fault{
		Kind: fault.Value, System: settlementSystem, Code: "REPORT_" + strings.ToUpper(string(wrong.Rule)), Message: "a report can't be read: " + wrong.Error(),
		Fields: []fault.Field{{Path: fmt.Sprintf("%s line %d %s", wrong.Kind, wrong.Line, wrong.Column), Rule: string(wrong.Rule)}},
	}
}

// match matches the rows to the journal, writes down what the day takes, and works out what is to be posted.
func (r *reading) match(ctx context.Context) (ReconciledDay, error) {
	differences, err := os.CreateTemp(r.Dir, "differences-*")
	if err != nil {
		return ReconciledDay{}, fmt.Errorf("spool differences: %w", err)
	}
	defer func() { _, _ = differences.Close(), os.Remove(differences.Name()) }()
	csv, err := settlement.NewDifferencesCSV(differences, r.in.Date, r.in.Merchant)
	if err != nil {
		return ReconciledDay{}, err
	}
	marks := &settlement.Marks{Write: func(page []settlement.Mark) error {
		if r.in.DryRun {
			return nil
		}
		return r.Journal.MarkSettled(ctx, r.in.Merchant, r.in.Date, page)
	}}
	var since time.Time
	if r.Window > 0 {
		since = r.Clock().Add(-r.Window)
	}
	result, err := r.day.Match(ctx, r.Journal.Settling(system, since), settlement.Sinks{Differences: csv.Difference, Marks: marks.Mark})
	if err != nil {
		return ReconciledDay{}, err
	}
	if err := errors.Join(marks.Flush(), csv.Flush()); err != nil {
		return ReconciledDay{}, err
	}
	r.out.Rows, r.out.Matched, r.out.Differences = result.Rows, result.States[settlement.Matched], result.Differences
	r.out.NoData = result.Rows == 0 && result.Differences == 0
	r.judge(result)
	if err := r.plan(ctx, result); err != nil {
		return ReconciledDay{}, err
	}
	if err := r.weigh(ctx, result); err != nil {
		return ReconciledDay{}, err
	}
	return r.out, r.keep(ctx, result, differences)
}

// judge says in one word and one sentence how the day stands.
func (r *reading) judge(result *settlement.Result) {
	r.out.Outcome = settlement.Clean
	rank := map[settlement.Outcome]int{settlement.Clean: 0, settlement.Rounded: 1, settlement.Suspended: 2, settlement.Parked: 3}
	var why []string
	for _, currency := range result.Currencies {
		if rank[currency.Outcome] > rank[r.out.Outcome] {
			r.out.Outcome = currency.Outcome
		}
		if currency.Outcome != settlement.Clean {
			why = append(why, canonical.NewMoney(currency.Unexplained, currency.Currency).String()+" unexplained")
		}
	}
	for _, state := range []settlement.State{
		settlement.MissingRow, settlement.UnknownRow, settlement.AmountDiffers, settlement.CurrencyDiffers, settlement.DirectionDiffers,
		settlement.Duplicate, settlement.TotalDiffers, settlement.Late,
	} {
		if n := result.States[state]; n > 0 {
			why = append(why, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(state), "_", " ")))
		}
	}
	r.out.Why = strings.Join(why, ", ")
}

// plan works out, per currency, what the ledger still lacks: the day's journal, or a correction of what was posted of it before.
func (r *reading) plan(ctx context.Context, result *settlement.Result) error {
	posted, err := r.Journal.Postings(ctx, r.in.Merchant, r.in.Date)
	if err != nil {
		return err
	}
	for i, day := range result.Settlements() {
		plan := PlannedPosting{Currency: day.Currency}
		if plan.Journal, plan.Sequence, err = r.journal(day, posted); err != nil {
			return err
		}
		if plan.Invoice, err = r.feeInvoice(result, currencyOf(result, day.Currency), posted); err != nil {
			return fmt.Errorf("fees of settlement %d: %w", i, err)
		}
		if plan.Journal != nil || plan.Invoice != nil {
			r.out.Plans = append(r.out.Plans, plan)
		}
	}
	return nil
}

func currencyOf(result *settlement.Result, code string) *settlement.CurrencyResult {
	for i := range result.Currencies {
		if result.Currencies[i].Currency == code {
			return &result.Currencies[i]
		}
	}
	return nil
}

// journal is what of a currency's day is not posted yet; nil: all of it is.
func (r *reading) journal(day canonical.Settlement, posted []journal.Posting) (*canonical.JournalEntry, int, error) {
	wanted, err := r.wanted(day)
	if err != nil || wanted == nil {
		return nil, 0, err
	}
	var before []canonical.JournalEntry
	sequence := 0
	for _, posting := range posted {
		if posting.Currency == day.Currency && posting.Entry != nil {
			before = append(before, *posting.Entry)
			sequence = max(sequence, posting.Sequence+1)
		}
	}
	if len(before) == 0 {
		return wanted, 0, nil
	}
	reference, err := settlement.Reference(r.in.Date, day.Currency, r.Suffix, sequence)
	if err != nil {
		return nil, 0, bug("name correction of %s: %v", r.in.Date, err)
	}
	correction, needed, err := settlement.Correction(*wanted, before, reference)
	if err != nil || !needed {
		return nil, 0, err
	}
	return &correction, sequence, nil
}

// wanted is the whole journal of a currency's day, as the mapping makes it.
func (r *reading) wanted(day canonical.Settlement) (*canonical.JournalEntry, error) {
	mapping, err := r.Mappings.Mapping(r.in.Policy.Mode.Mapping())
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	document, err := mapping.Apply(mappings.Input{Settlement: day, Site: r.in.Site, Date: r.in.Date})
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	if document.Skipped {
		return nil, nil
	}
	reference, err := settlement.Reference(r.in.Date, day.Currency, r.Suffix, 0)
	if err != nil {
		return nil, bug("name journal of %s: %v", r.in.Date, err)
	}
	entry, err := settlement.Entry(document.Body, reference)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Value, System: settlementSystem, Code: "JOURNAL", Message: "the mapping " + document.Mapping + " makes no journal: " + err.Error()}
	}
	return &entry, nil
}

// feeInvoice is the processor's invoice of a currency's day, where fees are booked so; nil: there is none, or it is posted.
func (r *reading) feeInvoice(result *settlement.Result, currency *settlement.CurrencyResult, posted []journal.Posting) (*PlannedInvoice, error) {
	if r.in.Policy.Fees != settlement.FeesAsInvoice || currency == nil {
		return nil, nil
	}
	fees, any, err := result.FeeInvoice(currency, r.Suffix)
	if err != nil || !any {
		return nil, err
	}
	for _, posting := range posted {
		if posting.Invoice != nil && posting.Invoice.Number == fees.Number {
			return nil, nil
		}
	}
	mapping, err := r.Mappings.Mapping("gl/fee_invoice")
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	document, err := mapping.Apply(feeInput(fees, r.in))
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	supplier := r.in.Site["feeSupplier"]
	if supplier == "" {
		supplier = "CYBSRC"
	}
	return &PlannedInvoice{Supplier: supplier, Number: fees.Number, Amount: canonical.NewMoney(fees.Total, fees.Currency), Document: document}, nil
}

// feeInput is what the mapping of a fee invoice reads: the fees as lines of a settlement, and the invoice's number as the credit's reference.
func feeInput(fees settlement.FeeInvoice, in ReconcileDayInput) mappings.Input {
	input := mappings.Input{
		Settlement: canonical.Settlement{MerchantID: in.Merchant, Date: in.Date, Currency: fees.Currency},
		Credit:     mappings.Credit{Reference: fees.Number, Amount: fees.Total}, Site: in.Site, Date: fees.Date,
	}
	for _, line := range fees.Distribution {
		input.Settlement.Lines = append(input.Settlement.Lines, line.SettlementLine)
	}
	return input
}

// weigh holds the day against the journal's own history. What is unusual is shown, and stops nothing.
func (r *reading) weigh(ctx context.Context, result *settlement.Result) error {
	var kept []settlement.DayFigures
	for i := range result.Currencies {
		figures, err := r.figures(ctx, &result.Currencies[i])
		if err != nil {
			return err
		}
		at, err := time.Parse(time.DateOnly, r.in.Date)
		if err != nil {
			return bug("date %q", r.in.Date)
		}
		const history = 180 // days
		before, err := r.Journal.DayFigures(ctx, r.in.Merchant, figures.Currency, at.AddDate(0, 0, -history).Format(time.DateOnly), r.in.Date)
		if err != nil {
			return err
		}
		r.out.Findings = append(r.out.Findings, settlement.Anomalies(before, figures, settlement.AnomalyConfig{})...)
		kept = append(kept, figures)
	}
	if r.in.DryRun || len(kept) == 0 {
		return nil
	}
	return r.Journal.PutDayFigures(ctx, r.in.Merchant, kept...)
}

// figures is what the history keeps of a currency's day.
func (r *reading) figures(ctx context.Context, day *settlement.CurrencyResult) (settlement.DayFigures, error) {
	figures := settlement.DayFigures{Date: r.in.Date, Currency: day.Currency}
	for _, total := range day.Categories {
		into := &settlement.Sum{}
		switch {
		case total.Category == canonical.SettlementSale:
			into = &figures.Sales
		case total.Category == canonical.SettlementRefund:
			into = &figures.Refunds
		case total.Category == canonical.SettlementChargeback:
			into = &figures.Chargebacks
		case total.Category == canonical.SettlementFee, strings.HasPrefix(string(total.Category), "fee_"):
			into = &figures.Fees
		}
		into.Count += total.Reported.Count
		into.Amount = into.Amount.Add(total.Reported.Amount)
	}
	const most = 5
	var err error
	figures.Refunded, err = r.Journal.MostRefunded(ctx, r.in.Date, day.Currency, most)
	return figures, err
}

// keep stores the day's totals, its report of differences, and what goes on in processes of their own.
func (r *reading) keep(ctx context.Context, result *settlement.Result, differences *os.File) error {
	if _, err := differences.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read differences: %w", err)
	}
	if err := r.Journal.PutSettlementFile(ctx, r.in.Merchant, r.in.Date, "csv", differences); err != nil {
		return err
	}
	page := settlement.Page{Result: result, Status: r.out.Why, Findings: r.out.Findings, CSV: "discrepancies?format=csv"}
	if page.Status == "" {
		page.Status = "matches"
	}
	for _, plan := range r.out.Plans {
		if plan.Journal != nil {
			page.Journals = append(page.Journals, *plan.Journal)
		}
	}
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(page.Write(writer)) }()
	err := r.Journal.PutSettlementFile(ctx, r.in.Merchant, r.in.Date, "html", reader)
	_ = reader.Close()
	if err != nil {
		return err
	}
	totals, err := json.Marshal(result)
	if err != nil {
		return bug("encode settlement result: %v", err)
	}
	if err := r.Journal.RecordSettlement(ctx, journal.SettlementProgress{Merchant: r.in.Merchant, Date: r.in.Date, Result: totals}); err != nil || r.in.DryRun {
		return err
	}
	for _, item := range r.disputes {
		if _, err := r.Journal.Receive(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// RecordDay brings a day's record forward, and alerts finance where it needs somebody. A local activity.
func (s *Settlements) RecordDay(ctx context.Context, in RecordDayInput) error {
	return toTemporal(s.Journal.RecordSettlement(ctx, journal.SettlementProgress{
		Merchant: in.Merchant, Date: in.Date, State: string(in.State), Why: in.Why, Actor: in.Actor, Run: in.Run,
	}))
}

// RecordPosting keeps what was posted. A local activity.
func (s *Settlements) RecordPosting(ctx context.Context, in RecordPostingInput) error {
	posting := journal.Posting{Merchant: in.Merchant, Date: in.Date, Currency: in.Plan.Currency, Sequence: in.Plan.Sequence}
	if in.Journal != nil {
		posting.Entry, posting.Number, posting.Warning = in.Plan.Journal, in.Journal.Number, in.Journal.Warning
	}
	if in.Invoice != nil {
		posting.Invoice = &journal.PostedInvoice{
			Supplier: in.Plan.Invoice.Supplier, Number: in.Plan.Invoice.Number, Amount: in.Plan.Invoice.Amount, Document: in.Invoice.Number, Warning: in.Invoice.Warning,
		}
	}
	err := s.Journal.RecordPosting(ctx, posting)
	if errors.Is(err, journal.ErrPostingDiffers) {
		err = bug("%v", err)
	}
	return toTemporal(err)
}

// SettledOrders gives a page of the orders that a day has settled. A local activity.
func (s *Settlements) SettledOrders(ctx context.Context, in SettledPageInput) (SettledPage, error) {
	orders, next, err := s.Journal.SettledOrders(ctx, in.Merchant, in.Date, in.Cursor, in.Limit)
	page := SettledPage{Next: next}
	for _, order := range orders {
		page.Orders = append(page.Orders, SettledOrder(order))
	}
	return page, toTemporal(err)
}

package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/mappings"
)

// Settlements holds the steps of a settlement day at the gateway and in our own database.
type Settlements struct {
	Journal   *journal.Store
	Mappings  *mappings.Set
	Reports   ReportSource                          // nil where the process has no way to the gateway
	Wanted    []WantedReport                        // files of the account
	Merchants []string                              // whose rows are taken, where the reports are those of a whole organization; none takes all
	Query     bool                                  // transactions are asked for as a query where their file is not there for good
	Rates     func() (settlement.RateSource, error) // of days in other currencies than the ledger's; asked anew for each day
	Suffix    string                                // of references, where several merchants post in one ledger
	Dir       string                                // where reports are spooled
	Window    time.Duration                         // operations older than this that never settled are not told of any more; 0: all are
	Clock     func() time.Time
}

// settlementSystem names settlement days in faults.
const settlementSystem = "settlement"

// SettlementDocument is what is kept of a day beside its record: the totals, and what they were worked out from.
type SettlementDocument struct {
	settlement.Result
	Why      string               `json:"why,omitempty"` // what differs, in one sentence
	Reports  []ReadReport         `json:"reports,omitempty"`
	Waiting  []string             `json:"waiting,omitempty"` // reports that the day goes on without
	Drift    []string             `json:"drift,omitempty"`   // columns that nobody knows
	Findings []settlement.Anomaly `json:"findings,omitempty"`
}

// ReconcileDay downloads, parses and matches a day's reports, and works out what is to be posted. A report that is not there yet is a
// failure that is tried again later. What it finds it writes down: the rows that the day takes, the report of differences, the disputes.
//
// What counts as posted are the journals that RecordPosting has kept, so that a day that people decided not to post is posted whole by a later
// run. Its captures and refunds stay settled on it, since no other day's reports show them; fees, disputes and payouts that it did not post
// are anybody's again, and the first day that shows them takes them.
func (s *Settlements) ReconcileDay(ctx context.Context, in ReconcileDayInput) (ReconciledDay, error) {
	r := &reading{Settlements: s, in: in}
	stop := heartbeat(ctx, heartbeatPause(activity.GetInfo(ctx).HeartbeatTimeout), &r.rows)
	defer stop()
	out, err := r.run(ctx)
	return out, toTemporal(err)
}

// heartbeatPause is the pause between two heartbeats: a third of what the process waits for one, so that one may be late.
func heartbeatPause(timeout time.Duration) time.Duration {
	const longest = 10 * time.Second
	if timeout <= 0 {
		return longest
	}
	return min(longest, timeout/3)
}

// heartbeat shows that a long step is alive, and how far it is, until it is stopped.
func heartbeat(ctx context.Context, every time.Duration, rows *atomic.Int64) (stop func()) {
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
				activity.RecordHeartbeat(ctx, rows.Load())
			}
		}
	}()
	return func() { close(done) }
}

// reading is one reconciliation on its way.
type reading struct {
	*Settlements
	in       ReconcileDayInput
	rows     atomic.Int64 // read so far
	number   journal.Reading
	before   SettlementDocument
	posted   []journal.Posting
	day      *settlement.Day
	disputes []told
	document SettlementDocument
	out      ReconciledDay
}

func (r *reading) run(ctx context.Context) (ReconciledDay, error) {
	if _, err := time.Parse(time.DateOnly, r.in.Date); err != nil {
		return ReconciledDay{}, invalidSettlement("date", "must be YYYY-MM-DD")
	}
	cutoff, err := cutoffOf(r.in.Policy)
	if err != nil {
		return ReconciledDay{}, err
	}
	if r.before, _, err = r.read(ctx, r.in.Merchant, r.in.Date); err != nil {
		return ReconciledDay{}, err
	}
	if r.number, err = r.Journal.NextReading(ctx, r.in.Merchant, r.in.Date); err != nil {
		return ReconciledDay{}, err
	}
	if r.posted, err = r.Journal.Postings(ctx, r.in.Merchant, r.in.Date); err != nil {
		return ReconciledDay{}, err
	}
	r.out.Posted = len(r.posted) > 0
	r.day, err = settlement.NewDay(settlement.Config{
		Date: r.in.Date, MerchantID: r.in.Merchant, Merchants: r.Merchants, Dir: r.Dir, Cutoff: cutoff, GroupBy: r.in.Policy.GroupBy, Tolerance: r.in.Policy.Tolerance,
		Policy: r.in.Policy.Mismatch, Fees: r.in.Policy.Fees, FeeKinds: true, Cases: r.dispute, Progress: func(rows int) { r.rows.Store(int64(rows)) },
	})
	if err != nil {
		return ReconciledDay{}, bug("settle %s: %v", r.in.Date, err)
	}
	defer func() { _ = r.day.Close() }()
	if err := r.readReports(ctx, cutoff); err != nil {
		return ReconciledDay{}, err
	}
	return r.match(ctx)
}

// read gives what is kept of a day; an empty document where no run has read its reports.
func (s *Settlements) read(ctx context.Context, merchant, date string) (SettlementDocument, bool, error) {
	record, err := s.Journal.SettlementDay(ctx, merchant, date)
	if errors.Is(err, journal.ErrNotFound) || err == nil && len(record.Result) == 0 {
		return SettlementDocument{}, false, nil
	}
	if err != nil {
		return SettlementDocument{}, false, err
	}
	var document SettlementDocument
	if err := json.Unmarshal(record.Result, &document); err != nil {
		return SettlementDocument{}, false, bug("read what is kept of settlement %s: %v", date, err)
	}
	return document, true, nil
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

// match matches the rows to the journal, writes down what the day takes, and works out what is to be posted.
func (r *reading) match(ctx context.Context) (ReconciledDay, error) {
	differences, err := os.CreateTemp(r.Dir, "differences-*")
	if err != nil {
		return ReconciledDay{}, fmt.Errorf("spool differences: %w", err)
	}
	defer func() { _, _ = differences.Close(), os.Remove(differences.Name()) }()
	result, err := r.matched(ctx, differences)
	if err != nil {
		return ReconciledDay{}, err
	}
	r.out.Rows, r.out.Matched, r.out.Differences = result.Rows, result.States[settlement.Matched], result.Differences
	r.out.NoData = result.Rows == 0 && result.Differences == 0 && len(r.posted) == 0
	r.judge(result)
	if err := r.plan(result); err != nil {
		return ReconciledDay{}, err
	}
	if err := r.weigh(ctx, result); err != nil {
		return ReconciledDay{}, err
	}
	return r.out, r.keep(ctx, result, differences)
}

// matched runs the matching, and writes down each difference and each row that the day takes as they are found.
func (r *reading) matched(ctx context.Context, differences io.Writer) (*settlement.Result, error) {
	csv, err := settlement.NewDifferencesCSV(differences, r.in.Date, r.in.Merchant)
	if err != nil {
		return nil, err
	}
	marks := &settlement.Marks{Write: func(page []settlement.Mark) error {
		if r.in.DryRun {
			return nil
		}
		err := r.Journal.MarkSettled(ctx, r.in.Merchant, r.in.Date, r.number, page)
		if errors.Is(err, journal.ErrTaken) { // a day beside this one reads the same rows: what it took is no row of this one
			err = &fault.Fault{Kind: fault.Busy, System: settlementSystem, Code: "ROWS_TAKEN", Message: err.Error() + "; the reports are read again"}
		}
		return err
	}}
	var since time.Time
	if r.Window > 0 {
		since = r.Clock().Add(-r.Window)
	}
	result, err := r.day.Match(ctx, r.Journal.Settling(system, since), settlement.Sinks{Differences: csv.Difference, Marks: marks.Mark})
	if err != nil {
		return nil, err
	}
	return result, errors.Join(marks.Flush(), csv.Flush())
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
	r.out.Why = strings.Join(append(why, r.out.Waiting...), ", ")
}

// weigh holds the day against the journal's own history. What is unusual is shown, and stops nothing.
func (r *reading) weigh(ctx context.Context, result *settlement.Result) error {
	at, err := time.Parse(time.DateOnly, r.in.Date)
	if err != nil {
		return invalidSettlement("date", "must be YYYY-MM-DD")
	}
	var kept []settlement.DayFigures
	for i := range result.Currencies {
		figures, err := r.figures(ctx, &result.Currencies[i])
		if err != nil {
			return err
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
		if total.Category == settlement.FeeReversal {
			into.Amount = into.Amount.Sub(total.Reported.Amount)
		} else {
			into.Amount = into.Amount.Add(total.Reported.Amount)
		}
	}
	const most = 5
	var err error
	figures.Refunded, err = r.Journal.MostRefunded(ctx, r.in.Date, day.Currency, most)
	return figures, err
}

// keep stores the day's totals, its report of differences, and what goes on in processes of their own. A dry run makes the report only.
func (r *reading) keep(ctx context.Context, result *settlement.Result, differences *os.File) error {
	if _, err := differences.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read differences: %w", err)
	}
	if err := r.Journal.PutSettlementFile(ctx, r.in.Merchant, r.in.Date, "csv", differences); err != nil {
		return err
	}
	if err := r.listHandBooked(ctx, r.in.Merchant, r.in.Date, r.posted); err != nil {
		return err
	}
	r.document.Result, r.document.Why = *result, r.out.Why
	r.document.Waiting, r.document.Drift, r.document.Findings = r.out.Waiting, r.out.Drift, r.out.Findings
	status := "matches"
	if r.out.Why != "" {
		status = r.out.Why
	}
	if r.in.DryRun {
		status = "dry run, nothing is posted: " + status
	}
	if err := r.writePage(ctx, r.in.Merchant, r.in.Date, status, r.document, r.posted, r.out.Plans); err != nil || r.in.DryRun {
		return err
	}
	totals, err := json.Marshal(r.document)
	if err != nil {
		return bug("encode settlement result: %v", err)
	}
	if err := r.Journal.RecordSettlement(ctx, journal.SettlementProgress{
		Merchant: r.in.Merchant, Date: r.in.Date, Result: totals, Reading: r.number,
	}); err != nil {
		return err
	}
	return r.tellDisputes(ctx)
}

// writePage makes the page of a day, with what is posted of it and what is to be.
func (s *Settlements) writePage(
	ctx context.Context, merchant, date, status string, document SettlementDocument, posted []journal.Posting, plans []PlannedPosting,
) error {
	page := settlement.Page{Result: &document.Result, Status: status, Findings: document.Findings, CSV: "?format=csv&merchant=" + url.QueryEscape(merchant)}
	for _, report := range document.Waiting {
		page.Notes = append(page.Notes, "Report "+report+".")
	}
	if len(document.Drift) > 0 {
		page.Notes = append(page.Notes, "Columns that nobody knows, or can read: "+strings.Join(document.Drift, ", ")+".")
	}
	for _, posting := range posted {
		if posting.Entry != nil {
			page.Journals = append(page.Journals, settlement.PageJournal{
				JournalEntry: *posting.Entry, Number: posting.Number, Warning: posting.Warning, ByHand: posting.ByHand,
			})
		}
		if posting.Invoice != nil {
			page.Invoices = append(page.Invoices, settlement.PageInvoice{
				Number: posting.Invoice.Number, Amount: posting.Invoice.Amount, Document: posting.Invoice.Document, Warning: posting.Invoice.Warning,
				ByHand: posting.Invoice.ByHand,
			})
		}
	}
	for _, plan := range plans {
		if plan.Journal != nil {
			page.Journals = append(page.Journals, settlement.PageJournal{JournalEntry: *plan.Journal})
		}
		if plan.Invoice != nil {
			page.Invoices = append(page.Invoices, settlement.PageInvoice{Number: plan.Invoice.Number, Amount: plan.Invoice.Amount})
		}
	}
	return s.putFile(ctx, merchant, date, "html", page.Write)
}

// putFile keeps a file of a day while it is written.
func (s *Settlements) putFile(ctx context.Context, merchant, date, kind string, write func(io.Writer) error) error {
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(write(writer)) }()
	defer func() { _ = reader.Close() }()
	return s.Journal.PutSettlementFile(ctx, merchant, date, kind, reader)
}

// listHandBooked adds to the list of differences what people have booked by hand of a day.
func (s *Settlements) listHandBooked(ctx context.Context, merchant, date string, posted []journal.Posting) error {
	var booked []settlement.HandBooked
	for _, posting := range posted {
		if posting.Entry != nil && posting.ByHand != nil {
			booked = append(booked, settlement.HandBooked{
				Kind: "journal", Document: posting.Entry.Reference, Amount: debitsOf(*posting.Entry), By: *posting.ByHand,
			})
		}
		if posting.Invoice != nil && posting.Invoice.ByHand != nil {
			booked = append(booked, settlement.HandBooked{
				Kind: "fee_invoice", Document: posting.Invoice.Number, Amount: posting.Invoice.Amount, By: *posting.Invoice.ByHand,
			})
		}
	}
	if len(booked) == 0 {
		return nil
	}
	differences, err := s.Journal.SettlementFile(ctx, merchant, date, "csv")
	if errors.Is(err, journal.ErrNotFound) {
		return nil // there is no list to add to
	}
	if err != nil {
		return err
	}
	defer func() { _ = differences.Close() }()
	return s.putFile(ctx, merchant, date, "csv", func(into io.Writer) error {
		return settlement.ListHandBooked(into, differences, date, merchant, booked)
	})
}

// RecordDay brings a day's record forward, and its page with it. Finance is told of a day that is posted, or was decided not to be, where it
// has something to look at. A local activity.
func (s *Settlements) RecordDay(ctx context.Context, in RecordDayInput) error {
	return toTemporal(s.recordDay(ctx, in))
}

func (s *Settlements) recordDay(ctx context.Context, in RecordDayInput) error {
	posted, err := s.Journal.Postings(ctx, in.Merchant, in.Date)
	if err != nil {
		return err
	}
	shown := in.State.Standing(len(posted) > 0)
	if shown != in.State {
		in.Why = "what was posted before stays; the last run posted nothing: " + in.Why
	}
	err = s.Journal.RecordSettlement(ctx, journal.SettlementProgress{
		Merchant: in.Merchant, Date: in.Date, State: string(in.State), Why: in.Why, Actor: in.Actor, Run: in.Run,
	})
	if err != nil || in.State == SettlementWaiting || in.State == SettlementPosting {
		return err
	}
	in.State = shown
	document, read, err := s.read(ctx, in.Merchant, in.Date)
	if err != nil || !read {
		return err
	}
	if err := s.listHandBooked(ctx, in.Merchant, in.Date, posted); err != nil {
		return err
	}
	if err := s.writePage(ctx, in.Merchant, in.Date, dayStatus(in), document, posted, nil); err != nil {
		return err
	}
	if in.State != SettlementPosted && in.State != SettlementUnposted {
		return nil
	}
	return s.Journal.AddNotices(ctx, dayNotices(in, document)...)
}

// dayStatus is where a day stands, for people.
func dayStatus(in RecordDayInput) string {
	status := string(in.State)
	if in.Why != "" {
		status += ": " + in.Why
	}
	if in.Actor != "" {
		status += " (" + in.Actor + ")"
	}
	return status
}

// dayNotices tell finance of what a day leaves to look at: once, however often the day is run, unless that changes.
func dayNotices(in RecordDayInput, document SettlementDocument) []journal.Notice {
	var text []string
	if document.Differences > 0 {
		text = append(text, fmt.Sprintf("%d differences: %s.", document.Differences, document.Why))
	}
	for _, finding := range document.Findings {
		text = append(text, "Unusual: "+finding.Text)
	}
	for _, report := range document.Waiting {
		text = append(text, "Report "+report+".")
	}
	if len(document.Drift) > 0 {
		text = append(text, "Columns of the reports that nobody knows, or can read: "+strings.Join(document.Drift, ", ")+".")
	}
	if len(text) == 0 {
		return nil
	}
	told := strings.Join(text, "\n")
	sum := sha256.Sum256([]byte(string(in.State) + told))
	return toAudiences(journal.Notice{
		Kind: NoticeSettlementReport, Subject: fmt.Sprintf("Settlement %s of %s has something to look at (%s)", in.Date, in.Merchant, in.State), Text: told,
		Data: map[string]string{"merchant": in.Merchant, "date": in.Date, "state": string(in.State)}, Link: settlementLink(in.Merchant, in.Date),
	}, "settlement/"+in.Merchant+"/"+in.Date+"/"+hex.EncodeToString(sum[:8]), journal.AudienceFinance)
}

// RecordPosting keeps what was posted, or booked by hand, and writes into the audit who booked by hand and what was posted on another date. A
// local activity.
func (s *Settlements) RecordPosting(ctx context.Context, in RecordPostingInput) error {
	return toTemporal(s.recordPosting(ctx, in))
}

func (s *Settlements) recordPosting(ctx context.Context, in RecordPostingInput) error {
	posting := journal.Posting{Merchant: in.Merchant, Date: in.Date, Currency: in.Plan.Currency, Sequence: in.Plan.Sequence}
	var audit []journal.Action
	switch {
	case in.Journal != nil:
		posting.Entry, posting.Number, posting.Warning = in.Plan.Journal, in.Journal.Number, in.Journal.Warning
		audit = append(audit, in.redated(in.Plan.Journal.Reference, in.Journal.Warning)...)
	case in.JournalByHand != nil:
		posting.Entry, posting.ByHand = in.Plan.Journal, in.JournalByHand
		audit = append(audit, in.bookedByHand(in.Plan.Journal.Reference, in.JournalByHand))
	}
	if in.Invoice != nil || in.InvoiceByHand != nil {
		posting.Invoice = &journal.PostedInvoice{
			Supplier: in.Plan.Invoice.Supplier, Number: in.Plan.Invoice.Number, Amount: in.Plan.Invoice.Amount, Distribution: in.Plan.Invoice.Distribution,
		}
	}
	switch {
	case in.Invoice != nil:
		posting.Invoice.Document, posting.Invoice.Warning = in.Invoice.Number, in.Invoice.Warning
		audit = append(audit, in.redated(in.Plan.Invoice.Number, in.Invoice.Warning)...)
	case in.InvoiceByHand != nil:
		posting.Invoice.ByHand = in.InvoiceByHand
		audit = append(audit, in.bookedByHand(in.Plan.Invoice.Number, in.InvoiceByHand))
	}
	err := s.Journal.RecordPosting(ctx, posting)
	if errors.Is(err, journal.ErrPostingDiffers) {
		err = bug("%v", err)
	}
	if err != nil {
		return err
	}
	for _, action := range audit { // each has a key: told twice, it is there once
		if err := s.Journal.RecordAction(ctx, action); err != nil {
			return err
		}
	}
	return nil
}

// action is an entry of the audit about a document of the day.
func (in RecordPostingInput) action(document, what, actor string) journal.Action {
	return journal.Action{
		Key: strings.Join([]string{"settlement", in.Merchant, in.Date, document, what}, "/"), Actor: actor, Action: "settlement." + what,
		Detail: map[string]string{"merchant": in.Merchant, "date": in.Date, "document": document},
	}
}

func (in RecordPostingInput) bookedByHand(document string, by *settlement.HandBooking) journal.Action {
	action := in.action(document, "booked_by_hand", by.Actor)
	action.At, action.Reason = by.At, by.Reason
	if by.Reference != "" {
		action.Detail["reference"] = by.Reference
	}
	return action
}

// redated is the audit of a document that was posted with a warning: on another date than it is of. None without one.
func (in RecordPostingInput) redated(document, warning string) []journal.Action {
	if warning == "" {
		return nil
	}
	action := in.action(document, "posted_with_warning", "policy")
	action.Reason = warning
	return []journal.Action{action}
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

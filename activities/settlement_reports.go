package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
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

// ReadReport is a report that a day was worked out from.
type ReadReport struct {
	Name   string      `json:"name"` // of the subscription, or of the query
	Kind   report.Kind `json:"kind"`
	Rows   int         `json:"rows"`
	SHA256 string      `json:"sha256,omitempty"` // of the file
}

const (
	// reportHistory is how far back the list of reports is read: an account that got a report then gets it today.
	reportHistory = 7 // days
	// disputeOverlap is how far back the queries of disputes reach, whose rows may come late.
	disputeOverlap = 7 // days
	// longestPeriod is the longest day there is, with room for a change of clocks: reports of weeks and months are left alone.
	longestPeriod = 26 * time.Hour
)

// subject names what a report tells of. Of the reports of one subject a day reads one only, as others would tell the same money again.
func subject(kind report.Kind) string {
	switch kind {
	case report.Deposits, report.Fundings:
		return "payouts"
	default:
		return string(kind)
	}
}

// period is a business day at the gateway.
type period struct {
	begin, end    time.Time // the calendar day
	opens, closes time.Time // its batch
}

func periodOf(date string, cutoff settlement.Cutoff) (period, error) {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return period{}, invalidSettlement("date", "must be YYYY-MM-DD")
	}
	closes := func(date time.Time) time.Time {
		if cutoff.Hour == 24 {
			return settlement.Begins(date.AddDate(0, 0, 1), cutoff.Zone)
		}
		year, month, day := date.Date()
		if at := time.Date(year, month, day, cutoff.Hour, cutoff.Minute, 0, 0, cutoff.Zone); at.Day() == day {
			return at
		}
		return settlement.Begins(date, cutoff.Zone)
	}
	return period{
		begin: settlement.Begins(at, cutoff.Zone), end: settlement.Begins(at.AddDate(0, 0, 1), cutoff.Zone),
		opens: closes(at.AddDate(0, 0, -1)), closes: closes(at),
	}, nil
}

// covers tells whether a report's period is that of the day: the one in which the batch was closed. Where the list tells no
// period, its date does.
func (p period) covers(entry cybersource.ReportEntry) bool {
	if entry.Start.IsZero() || entry.End.IsZero() {
		return entry.Date == p.fileDate()
	}
	return entry.Start.Before(p.closes) && !entry.End.Before(p.closes) && entry.End.Sub(entry.Start) <= longestPeriod
}

// fileDate is the date of a report that no list names: a report is filed under the date on which its period ends.
func (p period) fileDate() string { return p.end.Format(time.DateOnly) }

// standing says how likely a report is to be read, the likeliest first.
type standing int

const (
	standsReady  standing = iota
	standsComing          // listed, not made yet
	standsEmpty           // listed, without rows
	standsFailed          // listed, and the gateway could not make it
	standsHoped           // not listed: needed, or there on other days
	standsUnknown
)

// candidate is a wanted report with where it stands.
type candidate struct {
	WantedReport
	date     string
	standing standing
}

// readReports takes in the files that the account has of the day, and the queries for what no file tells.
func (r *reading) readReports(ctx context.Context, cutoff settlement.Cutoff) error {
	p, err := periodOf(r.in.Date, cutoff)
	if err != nil {
		return err
	}
	listed, err := r.Reports.ListReports(ctx, p.begin.AddDate(0, 0, -reportHistory), p.end.AddDate(0, 0, 2), "")
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, c := range r.candidates(p, listed) {
		if told[subject(c.Kind)], err = r.readFile(ctx, c); err != nil {
			return ofReport(err, c.Name)
		}
	}
	return r.readQueries(ctx, p, told)
}

// candidates picks the report of each subject. Those that may not be there come first, so that nothing large is read in vain.
func (r *reading) candidates(p period, listed []cybersource.ReportEntry) []candidate {
	best := map[string]candidate{}
	var subjects []string
	for _, wanted := range r.Wanted {
		c, of := r.candidate(p, wanted, listed), subject(wanted.Kind)
		before, known := best[of]
		if !known {
			subjects = append(subjects, of)
		}
		if c.Needed = c.Needed || before.Needed; !known || c.standing < before.standing {
			best[of] = c
		} else {
			before.Needed = c.Needed
			best[of] = before
		}
	}
	var picked []candidate
	for _, of := range subjects {
		if c := best[of]; c.standing != standsUnknown {
			picked = append(picked, c)
		}
	}
	slices.SortStableFunc(picked, func(a, b candidate) int { return cmp.Compare(b.standing, a.standing) })
	return picked
}

// candidate finds out where a wanted report stands.
func (r *reading) candidate(p period, wanted WantedReport, listed []cybersource.ReportEntry) candidate {
	c := candidate{WantedReport: wanted, date: p.fileDate(), standing: standsUnknown}
	c.Needed = wanted.Needed || wanted.Kind == report.PaymentBatches && !r.Query // there is no day without transactions
	if c.Needed || r.readBefore(wanted) {
		c.standing = standsHoped
	}
	for _, entry := range listed {
		switch {
		case entry.Name != wanted.Name:
		case p.covers(entry):
			c.date = entry.Date
			switch entry.Status {
			case cybersource.ReportCompleted:
				c.standing = standsReady
			case cybersource.ReportNoData:
				c.standing = standsEmpty
			case cybersource.ReportError:
				c.standing = standsFailed
			default:
				c.standing = standsComing
			}
			return c
		default:
			c.standing = standsHoped
		}
	}
	return c
}

// readBefore tells whether an earlier run of the day read rows of a report: what it told must not vanish because it is not there today.
func (r *reading) readBefore(wanted WantedReport) bool {
	return slices.ContainsFunc(r.before.Reports, func(b ReadReport) bool { return b.Name == wanted.Name && b.Rows > 0 })
}

// readFile spools a report and takes its rows in; false where the day goes on without it. It is read from the disk, since a
// download that breaks off must leave nothing behind.
func (r *reading) readFile(ctx context.Context, c candidate) (bool, error) {
	if c.standing == standsEmpty {
		r.document.Reports = append(r.document.Reports, ReadReport{Name: c.Name, Kind: c.Kind})
		return true, nil
	}
	file, err := os.CreateTemp(r.Dir, "report-*")
	if err != nil {
		return false, fmt.Errorf("spool report: %w", err)
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	got, err := r.Reports.DownloadReport(ctx, c.Name, c.date, cybersource.ReportFormat(c.Format), file)
	switch {
	case err != nil && r.goesWithout(ctx, c, err):
		return false, nil
	case err != nil:
		return false, err
	case got.Status == cybersource.ReportNoData:
		r.document.Reports = append(r.document.Reports, ReadReport{Name: c.Name, Kind: c.Kind})
		return true, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, fmt.Errorf("read report: %w", err)
	}
	var options []report.Option
	if c.Signed {
		options = append(options, report.SignedAmounts())
	}
	rows, err := r.take(ctx, file, c.Kind, c.Format, nil, options...)
	r.document.Reports = append(r.document.Reports, ReadReport{Name: c.Name, Kind: c.Kind, Rows: rows, SHA256: got.SHA256})
	return true, err
}

// goesWithout tells whether the day goes on without a report that is not there: one that the gateway failed to make, or that did not
// come in half of the time that reports are waited for. A later run takes it in. What an earlier run has read is never left out.
func (r *reading) goesWithout(ctx context.Context, c candidate, err error) bool {
	queried := c.Kind == report.Chargebacks || c.Kind == report.PaymentBatches && r.Query
	if c.Needed && !queried || r.readBefore(c.WantedReport) {
		return false
	}
	why := "was not there in time"
	switch f := fault.As(err); {
	case f == nil:
		return false
	case f.Code == cybersource.CodeReportFailed:
		why = "could not be made by the gateway"
	case f.Code != cybersource.CodeReportNotReady || !r.late(ctx):
		return false
	}
	if queried {
		why += ", and was asked for as a query"
	}
	r.out.Waiting = append(r.out.Waiting, c.Name+" "+why)
	return true
}

// late tells whether half of the time has passed that reports are waited for.
func (r *reading) late(ctx context.Context) bool {
	patience := r.in.Policy.Patience
	return patience > 0 && r.Clock().Sub(activity.GetInfo(ctx).ScheduledTime) >= patience/2
}

// readQueries asks for what no file has told, and for the gateway's own totals. told has the subjects of which there are files, and whether that
// of the day was read.
func (r *reading) readQueries(ctx context.Context, p period, told map[string]bool) error {
	if r.Query && !told[subject(report.PaymentBatches)] {
		var types []report.Type
		if told[subject(report.Fees)] {
			types = []report.Type{report.Transaction} // the file has told the fees
		}
		query := cybersource.ReportQuery{Kind: cybersource.PurchaseRefundDetails, Start: p.opens, End: p.closes, BySubmission: true}
		if err := r.readQuery(ctx, report.PurchasesRefunds, query, types...); err != nil {
			return err
		}
	}
	if read, filed := told[subject(report.Chargebacks)]; !read {
		from := p.begin.AddDate(0, 0, -disputeOverlap)
		if filed { // those of the days before came by file, which names them otherwise: they would count again
			from = p.begin
		}
		if err := r.readQuery(ctx, report.ChargebackCases, cybersource.ReportQuery{Kind: cybersource.ChargebackDetails, Start: from, End: p.end}); err != nil {
			return err
		}
		if err := r.readQuery(ctx, report.RetrievalCases, cybersource.ReportQuery{Kind: cybersource.RetrievalDetails, Start: from, End: p.end}); err != nil {
			return err
		}
	}
	return r.readQuery(ctx, report.BatchSummaries, cybersource.ReportQuery{Kind: cybersource.PaymentBatchSummaries, Start: p.begin, End: p.end})
}

// readQuery takes in the pages of a JSON query.
func (r *reading) readQuery(ctx context.Context, kind report.Kind, query cybersource.ReportQuery, types ...report.Type) error {
	read := ReadReport{Name: string(query.Kind), Kind: kind}
	pages, err := r.Reports.QueryReport(ctx, query, func(page io.Reader) error {
		rows, err := r.take(ctx, page, kind, report.JSON, types)
		read.Rows += rows
		return err
	})
	if pages > 0 {
		r.document.Reports = append(r.document.Reports, read)
	}
	return ofReport(err, string(query.Kind))
}

// take reads one report to its end, and notes what of it nobody knows.
func (r *reading) take(ctx context.Context, from io.Reader, kind report.Kind, format report.Format, types []report.Type, options ...report.Option) (int, error) {
	rows, err := report.Open(from, kind, format, options...)
	if err != nil {
		return 0, reportFault(err)
	}
	if err := r.day.Add(ctx, rows, types...); err != nil {
		return 0, reportFault(err)
	}
	drift := rows.Drift()
	if drift.Unread[report.RespondBy] > 0 { // by which evidence is due: nobody is reminded of a date that is not read
		drift.Unknown = append(drift.Unknown, report.RespondBy+" (has dates that can't be read)")
	}
	for _, unknown := range drift.Unknown {
		if note := string(kind) + ": " + unknown; !slices.Contains(r.out.Drift, note) {
			r.out.Drift = append(r.out.Drift, note)
		}
	}
	return rows.Rows(), nil
}

// reportFault makes what is wrong with a report a failure that waits for a person: where, by which rule, never what stands there.
func reportFault(err error) error {
	var unreadable *report.Error
	if errors.As(err, &unreadable) {
		return &fault.Fault{
			Kind: fault.Value, System: settlementSystem, Code: "REPORT_" + strings.ToUpper(string(unreadable.Rule)), Message: "can't be read",
			Fields: []fault.Field{{Path: strings.TrimSpace(fmt.Sprintf("%s line %d %s", unreadable.Kind, unreadable.Line, unreadable.Column)), Rule: string(unreadable.Rule)}},
		}
	}
	var refused *settlement.RowError
	if errors.As(err, &refused) {
		return &fault.Fault{
			Kind: fault.Value, System: settlementSystem, Code: "REPORT_ROW", Message: "has a row that can't be taken",
			Fields: []fault.Field{{Path: fmt.Sprintf("%s line %d", refused.Kind, refused.Line), Rule: refused.Rule}},
		}
	}
	return err
}

// ofReport puts the name of a report before what went wrong with it.
func ofReport(err error, report string) error {
	f := fault.As(err)
	if f == nil {
		if err != nil {
			err = fmt.Errorf("report %s: %w", report, err)
		}
		return err
	}
	told := *f
	told.Message = "report " + report + ": " + f.Message
	return &told
}

package cli

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// settlementDay is a settlement day as the API shows it. Amounts are decimals in their currency.
type settlementDay struct {
	Merchant    string            `json:"merchant"`
	Date        string            `json:"date"`
	State       string            `json:"state"`
	Why         string            `json:"why"`
	Actor       string            `json:"actor"`
	Runs        int               `json:"runs"`
	Posted      bool              `json:"posted"`
	Rows        int               `json:"rows"`
	Differences int               `json:"differences"`
	Currencies  []settledCurrency `json:"currencies"`
	Postings    []posting         `json:"postings"`
	Reports     []dayReport       `json:"reports"`
	UpdatedAt   time.Time         `json:"updatedAt"`
}

// dayReport is a form of a day's discrepancy report.
type dayReport struct {
	Format    string    `json:"format"`
	WrittenAt time.Time `json:"writtenAt"`
}

// reported is when the report was made last; the page is the last of its forms.
func (d settlementDay) reported() time.Time {
	for _, report := range d.Reports {
		if report.Format == "html" {
			return report.WrittenAt
		}
	}
	return time.Time{}
}

type settledCurrency struct {
	Currency   string `json:"currency"`
	Outcome    string `json:"outcome"`
	Net        string `json:"net"`
	Deposited  string `json:"deposited"`
	Difference string `json:"difference"`
	BatchID    string `json:"batchId"`
	Categories []struct {
		Category string `json:"category"`
		Reported total  `json:"reported"`
		Expected total  `json:"expected"`
		Posted   total  `json:"posted"`
	} `json:"categories"`
}

type total struct {
	Count  int    `json:"count"`
	Amount string `json:"amount"`
}

func (s total) String() string { return s.Amount + " (" + strconv.Itoa(s.Count) + ")" }

type posting struct {
	Currency  string    `json:"currency"`
	Sequence  int       `json:"sequence"`
	Reference string    `json:"reference"`
	Number    string    `json:"number"`
	Warning   string    `json:"warning"`
	Invoice   string    `json:"invoice"`
	Document  string    `json:"document"`
	PostedAt  time.Time `json:"postedAt"`

	InvoiceWarning string       `json:"invoiceWarning"`
	ByHand         *handBooking `json:"byHand"`
	InvoiceByHand  *handBooking `json:"invoiceByHand"`
}

// handBooking tells who booked a document by hand.
type handBooking struct {
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason"`
	Reference string    `json:"reference"`
	At        time.Time `json:"at"`
}

// booked is the number of a document in the ERP, or who booked it by hand.
func booked(number string, by *handBooking) string {
	if by == nil {
		return number
	}
	return strings.TrimSpace(by.Reference + " (by hand, " + by.Actor + ")")
}

// notes are what is to be said of a posting.
func (p posting) notes() string {
	notes := []string{p.Warning, p.InvoiceWarning}
	for _, by := range []*handBooking{p.ByHand, p.InvoiceByHand} {
		if by != nil && !slices.Contains(notes, by.Reason) {
			notes = append(notes, by.Reason)
		}
	}
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "; ")
}

type settlementPage struct {
	Settlements []settlementDay `json:"settlements"`
	Next        string          `json:"next"`
}

type startedDay struct {
	Merchant   string `json:"merchant"`
	Date       string `json:"date"`
	DryRun     bool   `json:"dryRun"`
	WorkflowID string `json:"workflowId"`
	Started    bool   `json:"started"`
	Why        string `json:"why"`
}

type startedDays struct {
	Days []startedDay `json:"days"`
}

// settleWish is the body that settles days.
type settleWish struct {
	Merchant string `json:"merchant,omitempty"`
	DryRun   bool   `json:"dryRun,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
}

// booksCommand is remoteCommand for what finance does, with --json beside -o.
func (p *Program) booksCommand(cmd *cobra.Command, run func(cmd *cobra.Command, args []string, r *remote, c *client) error) *cobra.Command {
	var asJSON bool
	cmd = p.remoteCommand(cmd, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if asJSON {
			r.form = outputJSON
		}
		return run(cmd, args, r, c)
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	return cmd
}

func (p *Program) settlementCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "settlement", Aliases: []string{"settlements"},
		Short: "Settle days by hand, approve and show them",
	}, p.settlementRun(), p.settlementBackfill(), p.settlementShow(), p.settlementList(), p.settlementApprove())
}

// dayFlags name a settlement day.
type dayFlags struct{ date, merchant string }

func (d *dayFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.date, "date", "", "business date of the merchant, such as 2026-11-30")
	cmd.Flags().StringVar(&d.merchant, "merchant", "", "gateway account, where there are several")
}

func (d *dayFlags) check() error {
	if !isDate(d.date) {
		return usage("--date must be a date such as 2026-11-30")
	}
	return nil
}

func (d *dayFlags) query() url.Values {
	if d.merchant == "" {
		return nil
	}
	return url.Values{"merchant": {d.merchant}}
}

func isDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func (p *Program) settlementRun() *cobra.Command {
	var day dayFlags
	var dry bool
	var wait time.Duration
	var report string
	cmd := p.booksCommand(&cobra.Command{
		Use:   "run --date DATE",
		Short: "Settle a day by hand, for the first time or once more",
		Long: `Starts the settlement of a business date. What is in the general ledger is not posted twice; what is still missing there is posted as
a correction. With --dry-run the discrepancy report is made and nothing is posted or marked.

A day that is being settled, or waits for a person, is refused: "settlement show" says what it waits for. With --wait the command shows what
became of the day, and --report saves its discrepancy report.`,
		Example: `  tenderline settlement run --date 2026-11-20
  tenderline settlement run --date 2026-11-20 --dry-run --wait 2m --report day.html`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		switch {
		case wait < 0 || wait > time.Hour:
			return usage("--wait must be between 0s and 1h")
		case report != "" && wait == 0:
			return usage("--report needs --wait: the report is there once the day was read")
		}
		if err := errors.Join(day.check(), checkReport(report)); err != nil {
			return err
		}
		var before settlementDay
		if wait > 0 {
			if known, err := c.settlement(cmd.Context(), day.date, day.query()); err == nil {
				before = known.value
			}
		}
		started, err := post[startedDay](cmd.Context(), c, settleWish{Merchant: day.merchant, DryRun: dry}, "settlements", day.date, "run")
		if err != nil {
			return err
		}
		if wait == 0 {
			return r.write(cmd.OutOrStdout(), started, func(t *table) { listStarted(t, []startedDay{started.value}) })
		}
		ends := func(d settlementDay) bool {
			return d.Runs > before.Runs && d.State != "waiting" && d.State != "posting"
		}
		if dry { // which leaves the day's record alone
			ends = func(d settlementDay) bool { return d.reported().After(before.reported()) }
		}
		ended, err := c.awaitSettlement(cmd.Context(), day, ends, wait)
		if err != nil {
			return err
		}
		if err := r.write(cmd.OutOrStdout(), ended, func(t *table) { showSettlement(t, ended.value) }); err != nil {
			return err
		}
		return c.saveReport(cmd.Context(), report, day)
	})
	day.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "make the discrepancy report and post nothing")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait so long for what becomes of the day, such as 2m")
	cmd.Flags().StringVar(&report, "report", "", "with --wait: save the discrepancy report, as .csv or .html")
	return cmd
}

func (c *client) settlement(ctx context.Context, date string, query url.Values) (answer[settlementDay], error) {
	return fetch[settlementDay](ctx, c, query, "settlements", date)
}

// settlementPause is the wait between two looks at a day.
const settlementPause = 250 * time.Millisecond

// awaitSettlement looks at a day until its run has come to an end, or to a person.
func (c *client) awaitSettlement(ctx context.Context, day dayFlags, ends func(settlementDay) bool, wait time.Duration) (answer[settlementDay], error) {
	over := time.After(wait)
	for {
		known, err := c.settlement(ctx, day.date, day.query())
		var refusal *failure
		switch {
		case err == nil && ends(known.value):
			return known, nil
		case err != nil && !(errors.As(err, &refusal) && refusal.code == ExitRefused): // there is no such day yet
			return known, err
		}
		select {
		case <-ctx.Done():
			return known, ctx.Err()
		case <-over:
			return known, &failure{ExitUnavailable, errors.New("the day has not come to an end yet; see `tenderline settlement show --date " + day.date + "`")}
		case <-time.After(settlementPause):
		}
	}
}

// checkReport refuses a file of another form before anything is done.
func checkReport(file string) error {
	if file != "" && reportFormat(file) == "" {
		return usage("--report must name a file that ends in .csv or .html")
	}
	return nil
}

// reportFormat is the form that a file's name asks for, "" for none.
func reportFormat(file string) string {
	switch extension := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), ".")); extension {
	case "csv", "html":
		return extension
	default:
		return ""
	}
}

// saveReport saves a day's discrepancy report, if that was asked for.
func (c *client) saveReport(ctx context.Context, file string, day dayFlags) error {
	if file == "" {
		return nil
	}
	query := url.Values{"format": {reportFormat(file)}}
	if day.merchant != "" {
		query.Set("merchant", day.merchant)
	}
	return save(file, func(into io.Writer) error {
		return c.download(ctx, into, query, "settlements", day.date, "discrepancies")
	})
}

// save writes a file as a whole: one that breaks off takes the place of none.
func save(file string, write func(io.Writer) error) (err error) {
	part, err := os.CreateTemp(filepath.Dir(file), ".tenderline-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	if err := errors.Join(write(part), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}

func (p *Program) settlementBackfill() *cobra.Command {
	var wish settleWish
	cmd := p.booksCommand(&cobra.Command{
		Use:   "backfill --from DATE --to DATE",
		Short: "Settle many days by hand, the oldest first",
		Long: `Starts the settlement of every day from one to another, both included, 31 at most. A day that is being settled already is left alone;
one that was posted before posts nothing twice.`,
		Example: "  tenderline settlement backfill --from 2026-11-01 --to 2026-11-20 --dry-run",
		Args:    exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		if !isDate(wish.From) || !isDate(wish.To) {
			return usage("--from and --to must be dates such as 2026-11-30")
		}
		a, err := post[startedDays](cmd.Context(), c, wish, "settlements", "backfill")
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { listStarted(t, a.value.Days) })
	})
	cmd.Flags().StringVar(&wish.From, "from", "", "first business date")
	cmd.Flags().StringVar(&wish.To, "to", "", "last business date")
	cmd.Flags().StringVar(&wish.Merchant, "merchant", "", "gateway account, where there are several")
	cmd.Flags().BoolVar(&wish.DryRun, "dry-run", false, "make the discrepancy reports and post nothing")
	return cmd
}

func listStarted(t *table, days []startedDay) {
	t.row("DATE", "MERCHANT", "STARTED", "DRY RUN", "WORKFLOW", "WHY NOT")
	for _, d := range days {
		t.row(d.Date, d.Merchant, yesNo(d.Started), yesNo(d.DryRun), d.WorkflowID, d.Why)
	}
}

func (p *Program) settlementShow() *cobra.Command {
	var day dayFlags
	var report string
	cmd := p.booksCommand(&cobra.Command{
		Use: "show --date DATE", Aliases: []string{"status"},
		Short:   "Show a day: totals side by side, what of it was posted; save its discrepancy report",
		Example: "  tenderline settlement show --date 2026-11-20\n  tenderline settlement show --date 2026-11-20 --report day.csv",
		Args:    exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		if err := errors.Join(day.check(), checkReport(report)); err != nil {
			return err
		}
		a, err := c.settlement(cmd.Context(), day.date, day.query())
		if err != nil {
			return err
		}
		if err := r.write(cmd.OutOrStdout(), a, func(t *table) { showSettlement(t, a.value) }); err != nil {
			return err
		}
		return c.saveReport(cmd.Context(), report, day)
	})
	day.flags(cmd)
	cmd.Flags().StringVar(&report, "report", "", "save the discrepancy report, as .csv or .html")
	return cmd
}

func showSettlement(t *table, d settlementDay) {
	t.row("DATE", d.Date)
	t.row("MERCHANT", d.Merchant)
	t.row("STATE", d.State)
	t.field("WHY", d.Why)
	t.field("BY", d.Actor)
	t.row("IN LEDGER", yesNo(d.Posted))
	t.row("RUNS", strconv.Itoa(d.Runs))
	if d.State != "checked" { // by a dry run, whose totals are in its report
		t.row("ROWS", strconv.Itoa(d.Rows))
		t.row("DIFFERENCES", strconv.Itoa(d.Differences))
	}
	t.row("UPDATED", instant(d.UpdatedAt))
	for _, c := range d.Currencies {
		t.section(c.Currency + ": " + c.Outcome + ", net " + c.Net + ", deposited " + c.Deposited + ", difference " + c.Difference)
		t.row("CATEGORY", "REPORTED", "EXPECTED", "POSTED")
		for _, category := range c.Categories {
			t.row(category.Category, category.Reported.String(), category.Expected.String(), category.Posted.String())
		}
	}
	if len(d.Postings) == 0 {
		return
	}
	t.section("In the general ledger")
	t.row("CURRENCY", "N", "REFERENCE", "JOURNAL", "FEE INVOICE", "DOCUMENT", "POSTED", "NOTE")
	for _, p := range d.Postings {
		t.row(p.Currency, strconv.Itoa(p.Sequence), p.Reference, booked(p.Number, p.ByHand), p.Invoice, booked(p.Document, p.InvoiceByHand),
			instant(p.PostedAt), p.notes())
	}
}

func (p *Program) settlementList() *cobra.Command {
	var list page
	var state, merchant, from, to string
	cmd := p.booksCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List settlement days, the latest first",
		Example: `  tenderline settlement list
  tenderline settlement list --state mismatch --from 2026-11-01`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		setGiven(query, map[string]string{"state": state, "merchant": merchant, "from": from, "to": to})
		a, err := fetch[settlementPage](cmd.Context(), c, query, "settlements")
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("DATE", "MERCHANT", "STATE", "IN LEDGER", "ROWS", "DIFFERENCES", "RUNS", "UPDATED", "WHY")
			for _, d := range a.value.Settlements {
				t.row(d.Date, d.Merchant, d.State, yesNo(d.Posted), strconv.Itoa(d.Rows), strconv.Itoa(d.Differences), strconv.Itoa(d.Runs), instant(d.UpdatedAt), d.Why)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "waiting, mismatch, approval, posting, posted, empty, unposted or checked")
	cmd.Flags().StringVar(&merchant, "merchant", "", "only days of this gateway account")
	cmd.Flags().StringVar(&from, "from", "", "first day")
	cmd.Flags().StringVar(&to, "to", "", "last day")
	return cmd
}

// setGiven adds to a query what is not empty.
func setGiven(query url.Values, values map[string]string) {
	for name, value := range values {
		if value != "" {
			query.Set(name, value)
		}
	}
}

func (p *Program) settlementApprove() *cobra.Command {
	var day dayFlags
	var reason string
	cmd := p.booksCommand(&cobra.Command{
		Use:     "approve --date DATE",
		Short:   "Let a day post that waits for finance",
		Long:    "Lets a day post that waits for finance. Who approved is the name of the API key; of two people the first one wins.",
		Example: `  tenderline settlement approve --date 2026-11-20 --reason "agrees with the bank"`,
		Args:    exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		if err := day.check(); err != nil {
			return err
		}
		body := map[string]string{"merchant": day.merchant, "reason": reason}
		a, err := post[resolved](cmd.Context(), c, body, "settlements", day.date, "approve")
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showResolved(t, a.value) })
	})
	day.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

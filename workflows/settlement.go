package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/settlement"
)

// SettlementInput starts DailySettlement.
type SettlementInput struct {
	Merchant string                      `json:"merchant"`
	Date     string                      `json:"date"` // business date, YYYY-MM-DD
	Erp      string                      `json:"erp"`
	Site     activities.Site             `json:"site,omitempty"`
	DryRun   bool                        `json:"dryRun,omitempty"`
	Policy   activities.SettlementPolicy `json:"policy"`
	Steps    Policy                      `json:"steps"` // time-outs of the ERP's steps
}

// TickInput starts SettlementTick; the merchant's schedule holds it. Its Settlement lacks the date.
type TickInput struct {
	Settlement SettlementInput `json:"settlement"`
}

// SettlementWorkflowID is the ID of one merchant's day; it may be used again once it is closed.
func SettlementWorkflowID(merchant, date string) string { return "settlement/" + merchant + "/" + date }

// SettlementView is what a settlement day came to.
type SettlementView struct {
	State  activities.SettlementState `json:"state"`
	Day    activities.ReconciledDay   `json:"day"`
	Posted []activities.Posted        `json:"posted,omitempty"`
	ByHand []string                   `json:"byHand,omitempty"` // documents that people book by hand, and that are kept as such
	Why    string                     `json:"why,omitempty"`
	Stage  string                     `json:"stage"`
}

// Names of a settlement day's steps.
const (
	stepReconcile = "reconcile"
	stepMismatch  = "mismatch"
	stepApproval  = "approval"
	stepJournal   = "journal"
	stepInvoices  = "fee-invoice"
	stepKeep      = "record-posting"
	stepSettled   = "settled-orders"
	stepPaid      = "show-paid"
)

// scheduledStart is when a schedule meant to start a run, also where the run is late or backfilled.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// settlementWork names the activities of a settlement day; it is nil and never called in a workflow.
var settlementWork *activities.Settlements

// SettlementTick starts the day that the schedule's tick is for: the one that ended before it in the merchant's time zone. The day goes on
// without it, so that a parked day holds up no other. A tick whose time the day before lacked, since clocks were put forward over it, starts the
// day of the one that never came as well.
func SettlementTick(ctx workflow.Context, in TickInput) (string, error) {
	date, skipped, err := tickDates(ctx, in.Settlement.Policy.TimeZone)
	if err != nil {
		return "", temporal.NewNonRetryableApplicationError("time zone: "+err.Error(), string(fault.Value), err)
	}
	var missed error
	if skipped != "" && settlesSkippedDays(ctx) {
		missed = startDay(ctx, in.Settlement, skipped)
	}
	if err := startDay(ctx, in.Settlement, date); err != nil {
		return date, err
	}
	return date, missed
}

// startDay starts a day as a process of its own, unless it runs already.
func startDay(ctx workflow.Context, in SettlementInput, date string) error {
	in.Date = date
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            SettlementWorkflowID(in.Merchant, date),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:         "Settlement of " + in.Merchant + ", " + date,
		TypedSearchAttributes: temporal.NewSearchAttributes(SearchNeedsAttention.ValueSet(false), SearchErp.ValueSet(in.Erp)),
	})
	err := workflow.ExecuteChildWorkflow(ctx, DailySettlement, in).GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		err = nil // it runs already: by hand, or by an earlier tick
	}
	return err
}

// tickDates gives the business day that has ended when the tick was meant to be, and the one before it where its tick never came: no schedule
// runs at a time that its day lacks.
func tickDates(ctx workflow.Context, zone string) (date, skipped string, err error) {
	at, scheduled := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
	if !scheduled {
		at = workflow.Now(ctx)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return "", "", err
	}
	// Calendar days are counted apart from any zone: there are zones whose day of the change of clocks lacks its first hour.
	local := at.In(location)
	year, month, day := local.Date()
	ended := time.Date(year, month, day-1, 0, 0, 0, 0, time.UTC)
	if before := time.Date(year, month, day-1, local.Hour(), local.Minute(), 0, 0, location); scheduled && before.Hour() != local.Hour() {
		skipped = ended.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return ended.Format(time.DateOnly), skipped, nil
}

// day is one run of DailySettlement.
type day struct {
	in   SettlementInput
	log  log.Logger
	desk *desk
	view SettlementView
	date string   // a person's posting date; "": the day's
	left []string // documents that people book by hand, and that nobody keeps: of runs from before they were

	cancelled bool // wished from outside, before anything was posted
	stop      workflow.CancelFunc
	waiting   workflow.Context // ends with a cancel wish
}

// DailySettlement brings one merchant's day from the gateway's reports into the general ledger. It promises: a day is posted once, however
// often it runs; what was posted before is only corrected; what does not match waits for a person or goes to suspense, as the policy says.
func DailySettlement(ctx workflow.Context, in SettlementInput) (SettlementView, error) {
	// Posting is never interrupted: a cancellation from outside is a wish, honoured before anything was posted.
	steady, _ := workflow.NewDisconnectedContext(ctx)
	d := &day{in: in, log: log.With(workflow.GetLogger(ctx), "merchant", in.Merchant, "date", in.Date)}
	if err := d.setup(ctx, steady); err != nil {
		return d.view, err
	}
	d.story(steady)
	return d.view, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

func (d *day) setup(root, steady workflow.Context) error {
	var err error
	if d.desk, err = ownDesk(steady, ""); err != nil {
		return err
	}
	d.desk.interrupted = d.cancelWish
	d.waiting, d.stop = workflow.WithCancel(steady)
	workflow.GoNamed(steady, "watch-cancellation", func(ctx workflow.Context) {
		root.Done().Receive(ctx, nil)
		d.cancelled = true
		d.stop()
	})
	if err := workflow.SetQueryHandlerWithOptions(steady, QuerySettlement, func() (SettlementView, error) { return d.view, nil },
		workflow.QueryHandlerOptions{Description: "Where the settlement day stands"}); err != nil {
		return err
	}
	if at, err := time.Parse(time.DateOnly, d.in.Date); err == nil {
		_ = workflow.UpsertTypedSearchAttributes(steady, SearchSettlementDate.ValueSet(at))
	}
	return nil
}

// cancelWish is the wish to post nothing, or nil.
func (d *day) cancelWish() *undoWish {
	if !d.cancelled {
		return nil
	}
	return &undoWish{Step: "cancel", By: "temporal", Reason: "the run was cancelled before anything was posted", Cancel: true}
}

// story is the process, top to bottom.
func (d *day) story(ctx workflow.Context) {
	for {
		if !d.reconcile(ctx) {
			return
		}
		again, post := d.decide(ctx)
		if again {
			continue
		}
		if wish := d.cancelWish(); post && wish != nil {
			d.stage(ctx, activities.SettlementUnposted, "Given up: "+wish.Reason, wish.By)
		} else if post {
			d.post(ctx)
		}
		return
	}
}

// reconcile waits for the reports and matches them; false means that there is nothing more to do.
func (d *day) reconcile(ctx workflow.Context) bool {
	d.stage(ctx, activities.SettlementWaiting, "Waiting for the day's reports", "")
	s := step{name: stepReconcile, actions: []ResolutionKind{ResolveRetry, ResolveCompensate}, deadline: d.in.Policy.ParkDeadline, overdue: ResolveRetry}
	err := d.desk.try(ctx, s, func(_ workflow.Context, _ int) error {
		rates, err := d.rates() // with each try: a rate that was missing may have been added
		if err == nil {
			d.view.Day, err = run(reports(d.waiting, d.in.Policy, "Download, parse and match the reports"), settlementWork.ReconcileDay, activities.ReconcileDayInput{
				Merchant: d.in.Merchant, Date: d.in.Date, Erp: d.in.Erp, Site: d.in.Site, Policy: d.in.Policy, DryRun: d.in.DryRun, Rates: rates.Rates,
			})
		}
		if wish := d.cancelWish(); err != nil && wish != nil {
			return wish
		}
		return err
	})
	switch {
	case err != nil:
		d.stage(ctx, activities.SettlementUnposted, "Given up: "+givenUp(err), actorOf(err))
		return false
	case d.view.Day.NoData:
		d.stage(ctx, activities.SettlementEmpty, "The gateway has no rows of this day", "")
		return false
	case d.in.DryRun:
		d.stage(ctx, activities.SettlementChecked, d.totals(), "")
		return false
	}
	return true
}

// rates asks the ERP for its own exchange rates, where the policy has the day converted at those.
func (d *day) rates() (activities.ExchangeRatesAnswer, error) {
	ledger := d.in.Policy.Ledger
	if !d.in.Policy.ErpRates || ledger == "" {
		return activities.ExchangeRatesAnswer{}, nil
	}
	return run(booking(d.waiting, d.in.Erp, d.in.Steps, "Exchange rates to "+ledger), erpWork.ExchangeRates, activities.ExchangeRatesInput{Date: d.in.Date, To: ledger})
}

// decide has a mismatch, and where the policy says so the posting itself, decided by people. again: the reports are to be read once more.
func (d *day) decide(ctx workflow.Context) (again, post bool) {
	if d.view.Day.Outcome == settlement.Parked {
		d.stage(ctx, activities.SettlementMismatch, d.totals(), "")
		answer := d.ask(ctx, stepMismatch, []ResolutionKind{ResolveRetry, ResolveSkip, ResolveCompensate},
			"the day does not match: "+d.view.Day.Why+". Read the reports again (retry), post with the difference in suspense (skip), or post nothing (compensate)")
		if answer.Kind == ResolveCompensate {
			d.stage(ctx, activities.SettlementUnposted, "Not posted: "+answer.Reason, answer.Actor)
			return false, false
		}
		if answer.Kind == ResolveSkip {
			d.in.Policy.Mismatch = settlement.PolicySuspense // the next reading works that plan out
		}
		return true, false
	}
	if d.in.Policy.Approval && len(d.view.Day.Plans) > 0 {
		d.stage(ctx, activities.SettlementApproval, d.totals(), "")
		answer := d.ask(ctx, stepApproval, []ResolutionKind{ResolveApprove, ResolveRetry, ResolveCompensate},
			"finance is to approve: "+d.totals()+". Post (approve), read the reports again (retry), or post nothing (compensate)")
		if answer.Kind == ResolveCompensate {
			d.stage(ctx, activities.SettlementUnposted, "Not approved: "+answer.Reason, answer.Actor)
			return false, false
		}
		if answer.Kind == ResolveRetry {
			return true, false
		}
		d.stage(ctx, activities.SettlementPosting, "Approved", answer.Actor)
	}
	return false, true
}

// ask waits for finance, however long that takes: a day that waits holds up no other.
func (d *day) ask(ctx workflow.Context, name string, actions []ResolutionKind, question string) Resolution {
	cause := temporal.NewNonRetryableApplicationError(question, string(fault.DeclinedByPolicy), nil, activities.FaultDetail{System: "settlement", Code: name})
	answer, _ := d.desk.ask(ctx, step{name: name, actions: actions}, cause)
	return answer
}

// post brings what the day lacks into the ledger, and shows the orders as paid.
func (d *day) post(ctx workflow.Context) {
	d.stage(ctx, activities.SettlementPosting, "Posting", "")
	for _, plan := range d.view.Day.Plans {
		d.postPlan(ctx, plan)
	}
	state, why := activities.SettlementPosted, d.totals()
	if len(d.view.ByHand) > 0 {
		why += "; booked by hand: " + strings.Join(d.view.ByHand, ", ")
	}
	if len(d.left) > 0 {
		why += "; left to finance: " + strings.Join(d.left, ", ")
	}
	if len(d.left) > 0 && len(d.view.Posted)+len(d.view.ByHand) == 0 {
		state = activities.SettlementUnposted
	}
	d.stage(ctx, state, why, "")
	if d.in.Policy.ShowPaid {
		d.showPaid(ctx)
	}
}

// postPlan posts one currency, and keeps each document before anything else is posted.
func (d *day) postPlan(ctx workflow.Context, plan activities.PlannedPosting) {
	kept := activities.RecordPostingInput{Merchant: d.in.Merchant, Date: d.in.Date, Plan: plan}
	if plan.Journal != nil {
		kept.Journal, kept.JournalByHand = d.inLedger(ctx, plan.Journal.Reference, stepJournal+"-"+plan.Journal.Reference, func(ctx workflow.Context, attempt int) (activities.Posted, error) {
			return run(booking(ctx, d.in.Erp, d.in.Steps, "Post journal "+plan.Journal.Reference), erpWork.PostJournal, activities.PostJournalInput{
				Merchant: d.in.Merchant, Date: d.in.Date, Entry: *plan.Journal, PostingDate: d.date, ClosedPeriod: d.in.Policy.ClosedPeriod, Attempt: attempt,
			})
		})
		d.keep(ctx, plan.Journal.Reference, kept.Journal != nil || kept.JournalByHand != nil, kept)
	}
	if plan.Invoice != nil {
		kept.Invoice, kept.InvoiceByHand = d.inLedger(ctx, plan.Invoice.Number, stepInvoices+"-"+plan.Invoice.Number, func(ctx workflow.Context, attempt int) (activities.Posted, error) {
			return run(booking(ctx, d.in.Erp, d.in.Steps, "Post fee invoice "+plan.Invoice.Number), erpWork.PostFeeInvoice, activities.PostInvoiceInput{
				Merchant: d.in.Merchant, Date: d.in.Date, Invoice: *plan.Invoice, PostingDate: d.date, ClosedPeriod: d.in.Policy.ClosedPeriod, Attempt: attempt,
			})
		})
		d.keep(ctx, plan.Invoice.Number, kept.Invoice != nil || kept.InvoiceByHand != nil, kept)
	}
}

// keep writes down what of a currency is in the ledger so far, by us or by hand; a document that is not is left to finance.
func (d *day) keep(ctx workflow.Context, document string, booked bool, kept activities.RecordPostingInput) {
	if !booked {
		d.left = append(d.left, document)
		return
	}
	_ = d.desk.try(ctx, retried(stepKeep), func(ctx workflow.Context, _ int) error {
		return note(ledger(ctx, "Keep what was posted"), settlementWork.RecordPosting, kept)
	})
}

// inLedger posts one document, or hears who books it by hand.
func (d *day) inLedger(
	ctx workflow.Context, document, name string, forward func(workflow.Context, int) (activities.Posted, error),
) (posted *activities.Posted, byHand *settlement.HandBooking) {
	s := posting(name, d.in.Policy.ParkDeadline, func(date string) { d.date = date })
	s.skipped = func(r Resolution) {
		byHand = &settlement.HandBooking{Actor: r.Actor, Reason: r.Reason, Reference: r.Reference, At: workflow.Now(ctx).UTC()}
	}
	_ = d.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		answer, err := forward(ctx, attempt)
		if err == nil {
			posted = &answer
			d.view.Posted = append(d.view.Posted, answer)
		}
		return err
	})
	if byHand == nil || !keepsHandBookings(ctx) {
		return posted, nil
	}
	d.view.ByHand = append(d.view.ByHand, document)
	return nil, byHand
}

// showPaid starts to show the day's orders as paid; that may take hours, and nothing waits for it. One that is still at an earlier run's may have
// passed the orders that this run has settled: they get one of their own.
func (d *day) showPaid(ctx workflow.Context) {
	err := d.startShowPaid(ctx, ShowPaidWorkflowID(d.in.Merchant, d.in.Date))
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) && showsPaidBeside(ctx) {
		err = d.startShowPaid(ctx, ShowPaidWorkflowID(d.in.Merchant, d.in.Date)+"/"+workflow.GetInfo(ctx).OriginalRunID)
	}
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		d.log.Error("orders not shown as paid", "error", err)
	}
}

func (d *day) startShowPaid(ctx workflow.Context, id string) error {
	in := ShowPaidInput{Merchant: d.in.Merchant, Date: d.in.Date, Erp: d.in.Erp, Policy: d.in.Steps}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:         "Show the orders of " + d.in.Date + " as paid",
		TypedSearchAttributes: temporal.NewSearchAttributes(SearchNeedsAttention.ValueSet(false), SearchErp.ValueSet(d.in.Erp)),
	})
	return workflow.ExecuteChildWorkflow(ctx, ShowPaid, in).GetChildWorkflowExecution().Get(ctx, nil)
}

// totals is the day in one sentence.
func (d *day) totals() string {
	day := d.view.Day
	text := fmt.Sprintf("%d rows, %d matched, %d differences", day.Rows, day.Matched, day.Differences)
	if len(day.Plans) == 0 {
		return text + "; nothing is left to post"
	}
	for _, plan := range day.Plans {
		if plan.Journal != nil {
			text += "; " + plan.Journal.Reference
		}
		if plan.Invoice != nil {
			text += "; " + plan.Invoice.Number
		}
	}
	return text
}

// stage writes where the day stands, where people and the API read it. A dry run shows it in its own run only.
func (d *day) stage(ctx workflow.Context, state activities.SettlementState, why, actor string) {
	d.view.State, d.view.Why = state, why
	if !d.in.DryRun {
		d.view.State = state.Standing(d.view.Day.Posted || len(d.view.Posted)+len(d.view.ByHand) > 0)
	}
	d.view.Stage = string(d.view.State) + ": " + why
	workflow.SetCurrentDetails(ctx, d.view.Stage)
	if d.in.DryRun {
		return // the day's record stays what the real runs made of it
	}
	// What the run itself came to is told: the record knows whether something was posted before, also where this run never learnt it.
	in := activities.RecordDayInput{Merchant: d.in.Merchant, Date: d.in.Date, State: state, Why: why, Actor: actor, Run: workflow.GetInfo(ctx).OriginalRunID}
	if err := note(ledger(ctx, "Record: "+string(state)), settlementWork.RecordDay, in); err != nil {
		d.log.Error("settlement day not written", "state", state, "error", err)
	}
}

// actorOf is who gave a step up.
func actorOf(err error) string {
	if wish, ok := err.(*undoWish); ok { //nolint:errorlint // try gives nothing else
		return wish.By
	}
	return ""
}

// ShowPaidInput starts ShowPaid.
type ShowPaidInput struct {
	Merchant string `json:"merchant"`
	Date     string `json:"date"`
	Erp      string `json:"erp"`
	Cursor   string `json:"cursor,omitempty"`
	Shown    int    `json:"shown,omitempty"`
	Policy   Policy `json:"policy"`
}

// ShowPaidWorkflowID is the ID of the process that shows a day's orders as paid.
func ShowPaidWorkflowID(merchant, date string) string {
	return SettlementWorkflowID(merchant, date) + "/paid"
}

// ShowPaid shows the orders of a settled day as paid in the ERP, page by page; a long day goes on as a new run.
func ShowPaid(ctx workflow.Context, in ShowPaidInput) (int, error) {
	const pageSize, pagesPerRun = 100, 200
	d, err := ownDesk(ctx, "")
	if err != nil {
		return in.Shown, err
	}
	for range pagesPerRun {
		var page activities.SettledPage
		err := d.try(ctx, retried(stepSettled), func(ctx workflow.Context, _ int) error {
			var err error
			page, err = read(ledger(ctx, "Orders that have settled"), settlementWork.SettledOrders, activities.SettledPageInput{
				Merchant: in.Merchant, Date: in.Date, Cursor: in.Cursor, Limit: pageSize,
			})
			return err
		})
		if err != nil {
			return in.Shown, err
		}
		for _, orders := range byErp(page.Orders, in.Erp) {
			shown, err := showPage(ctx, d, in, orders)
			in.Shown += shown
			if err != nil {
				return in.Shown, err
			}
		}
		if in.Cursor = page.Next; in.Cursor == "" {
			return in.Shown, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
		}
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return in.Shown, err
	}
	return in.Shown, workflow.NewContinueAsNewError(ctx, ShowPaid, in)
}

// byErp parts a page of orders by the ERP that each is booked in, in the order of their names.
func byErp(orders []activities.SettledOrder, ledger string) [][]activities.SettledOrder {
	for i := range orders {
		orders[i].Erp = cmp.Or(orders[i].Erp, ledger)
	}
	slices.SortStableFunc(orders, func(a, b activities.SettledOrder) int { return strings.Compare(a.Erp, b.Erp) })
	var parts [][]activities.SettledOrder
	for i, order := range orders {
		if i == 0 || orders[i-1].Erp != order.Erp {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], order)
	}
	return parts
}

// showPage shows orders of one ERP as paid there, and counts those that are; a page that people leave out counts none.
func showPage(ctx workflow.Context, d *desk, in ShowPaidInput, orders []activities.SettledOrder) (shown int, err error) {
	s := step{name: stepPaid, actions: []ResolutionKind{ResolveRetry, ResolveSkip}, deadline: in.Policy.ParkDeadline, overdue: ResolveRetry}
	err = d.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		err := do(booking(ctx, orders[0].Erp, in.Policy, fmt.Sprintf("Show %d orders as paid", len(orders))), erpWork.ShowPaid,
			activities.ShowPaidInput{Date: in.Date, Orders: orders, Attempt: attempt})
		if err == nil {
			shown = len(orders)
		}
		return err
	})
	delete(d.attempts, stepPaid) // each page counts its own
	return shown, err
}

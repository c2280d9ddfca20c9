package activities_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

const (
	batchFile      = "PaymentBatchDetailReport_Daily"
	feeFile        = "FeeDetailReport_Daily"
	chargebackFile = "ChargebackAndRetrievalDetailReport_Daily"
	reportPause    = 10 * time.Minute
	patience       = 36 * time.Hour
)

// accountReports are the files of an account that has them all.
func accountReports() []activities.WantedReport {
	return []activities.WantedReport{
		{Name: batchFile, Kind: report.PaymentBatches, Format: report.CSV, Needed: true},
		{Name: feeFile, Kind: report.Fees, Format: report.CSV},
		{Name: chargebackFile, Kind: report.Chargebacks, Format: report.CSV},
		{Name: "DepositDetailReport_Daily", Kind: report.Deposits, Format: report.CSV},
		{Name: "FundingDetailReport_Daily", Kind: report.Fundings, Format: report.CSV},
	}
}

// settling is a bank whose days are settled, with the real client, stand-in, mappings and journal.
type settling struct {
	*bank
	steps  *activities.Settlements
	policy activities.SettlementPolicy
	orders int
	runs   int
}

func newSettling(t testing.TB, change ...func(*bank, *sandbox.Config)) *settling {
	t.Helper()
	s := &settling{bank: newBank(t, append([]func(*bank, *sandbox.Config){func(b *bank, _ *sandbox.Config) {
		b.clock.now = b.clock.now.Truncate(24 * time.Hour).Add(12 * time.Hour) // far from midnight
	}}, change...)...)}
	client, is := s.payments.Gateway.(*cybersource.Client)
	require.True(t, is)
	set, err := mappingSet()
	require.NoError(t, err)
	s.steps = &activities.Settlements{
		Journal: s.store, Mappings: set, Reports: cybersource.NewReports(client, cybersource.ReportSettings{NotReadyPause: reportPause}),
		Wanted: accountReports(), Dir: t.TempDir(), Clock: s.clock.Now,
	}
	s.policy = activities.SettlementPolicy{
		Mismatch: settlement.PolicyPark, Tolerance: map[string]decimal.Decimal{"*": dec("0.05")}, Fees: settlement.FeesInJournal,
		Mode: settlement.ModeDetail, TimeZone: "UTC", Cutoff: "24:00", Patience: patience,
	}
	s.env.RegisterActivity(s.steps)
	return s
}

func (s *settling) today() string { return s.clock.Now().Format(time.DateOnly) }

// sell takes money for a new order, and gives its id and the gateway's.
func (s *settling) sell(t tb, amount, currency string) (orderID, transaction string) {
	t.Helper()
	s.orders++
	order := sampleOrder(fmt.Sprintf("WEB-%d", s.orders))
	order.Currency, order.Total, order.Shipping = currency, dec(amount), decimal.Zero
	order.Lines = []canonical.LineItem{{SKU: "A100", Description: "Widget", Quantity: dec("1"), UnitPrice: dec(amount)}}
	_, _, err := s.store.TakeOrder(context.Background(), journal.OrderRecord{
		OrderID: order.OrderID, Channel: order.Channel, BodyHash: "hash", Input: []byte("{}"), Currency: currency, Total: order.Total,
	})
	require.NoError(t, err)
	sale := must(t, s.bank, s.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	require.NotEmpty(t, sale.Payment.CaptureID)
	return order.OrderID, sale.Payment.CaptureID
}

// giveBack pays a part of an order back.
func (s *settling) giveBack(t tb, orderID, refundID, amount, currency string) string {
	t.Helper()
	money := canonical.NewMoney(dec(amount), currency)
	plan := must(t, s.bank, s.payments.PlanRefund, activities.PlanRefundInput{OrderID: orderID, RefundID: refundID, Amount: money})
	in := activities.UndoPaymentInput{OrderID: orderID, RefundID: refundID, Amount: money, Attempt: 1, Reason: "returned"}
	if plan.Way == activities.WayVoid {
		return must(t, s.bank, s.payments.VoidCapture, in).TransactionID
	}
	require.Equal(t, activities.WayRefund, plan.Way, plan.Refused)
	return must(t, s.bank, s.payments.RefundCapture, in).TransactionID
}

// settle closes a day's batch at the gateway, and plants what is wrong with its reports.
func (s *settling) settle(t tb, date string, plants map[string]any) {
	t.Helper()
	if plants == nil {
		plants = map[string]any{}
	}
	postJSON(t, s.url+"/_sandbox/settle?date="+date, plants)
}

func (s *settling) dispute(t tb, order map[string]any) {
	t.Helper()
	postJSON(t, s.url+"/_sandbox/chargebacks", order)
}

func (s *settling) input(date string) activities.ReconcileDayInput {
	return activities.ReconcileDayInput{Merchant: merchant, Date: date, Erp: "syspro", Policy: s.policy}
}

// reconcile runs the step to its end, as its retries would.
func (s *settling) reconcile(t tb, date string) activities.ReconciledDay {
	t.Helper()
	return must(t, s.bank, s.steps.ReconcileDay, s.input(date))
}

// try runs it once.
func (s *settling) try(date string) (activities.ReconciledDay, error) {
	return try(s.bank, s.steps.ReconcileDay, s.input(date))
}

// record brings the day's record forward, as the process does.
func (s *settling) record(t tb, date string, state activities.SettlementState, why string) {
	t.Helper()
	s.runs++
	require.NoError(t, s.steps.RecordDay(context.Background(), activities.RecordDayInput{
		Merchant: merchant, Date: date, State: state, Why: why, Run: fmt.Sprint("run-", s.runs),
	}))
}

// post carries a plan out, as the process does: each document is kept, then the day is posted.
func (s *settling) post(t tb, date string, day activities.ReconciledDay) {
	t.Helper()
	for _, plan := range day.Plans {
		in := activities.RecordPostingInput{Merchant: merchant, Date: date, Plan: plan}
		if plan.Journal != nil {
			in.Journal = &activities.Posted{Reference: plan.Journal.Reference, Number: "JN-" + plan.Journal.Reference}
		}
		if plan.Invoice != nil {
			in.Invoice = &activities.Posted{Reference: plan.Invoice.Number, Number: "AP-" + plan.Invoice.Number}
		}
		require.NoError(t, s.steps.RecordPosting(context.Background(), in))
	}
	s.record(t, date, activities.SettlementPosted, "posted")
}

// settled reconciles a day and posts it.
func (s *settling) settled(t tb, date string) activities.ReconciledDay {
	t.Helper()
	day := s.reconcile(t, date)
	s.post(t, date, day)
	return day
}

// books gives, per currency of the ledger and account, what is posted of a day: debits less credits.
func (s *settling) books(t tb, date string) map[string]string {
	t.Helper()
	postings, err := s.store.Postings(context.Background(), merchant, date)
	require.NoError(t, err)
	sums := map[string]decimal.Decimal{}
	for _, posting := range postings {
		if posting.Entry == nil {
			continue
		}
		require.True(t, posting.Entry.Balanced())
		for _, line := range posting.Entry.Lines {
			key := posting.Entry.Currency + " " + line.Account
			sums[key] = sums[key].Add(line.Debit).Sub(line.Credit)
		}
	}
	texts := map[string]string{}
	for key, sum := range sums {
		if !sum.IsZero() {
			texts[key] = canonical.FormatAmount(sum, key[:3])
		}
	}
	return texts
}

// file reads a file of a day.
func (s *settling) file(t tb, date, kind string) string {
	t.Helper()
	file, err := s.store.SettlementFile(context.Background(), merchant, date, kind)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(file)
	require.NoError(t, err)
	return string(content)
}

// differences lists "state transaction" of the stored report, sorted.
func (s *settling) differences(t tb, date string) []string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(s.file(t, date, "csv"))).ReadAll()
	require.NoError(t, err)
	state, transaction := slices.Index(rows[0], "state"), slices.Index(rows[0], "transaction")
	list := []string{}
	for _, row := range rows[1:] {
		list = append(list, row[state]+" "+row[transaction])
	}
	slices.Sort(list)
	return list
}

// inbox are the disputes that wait for their processes.
func (s *settling) inbox(t tb) []journal.InboxItem {
	t.Helper()
	items, _, err := s.store.Inbox(context.Background(), journal.InboxFilter{})
	require.NoError(t, err)
	return items
}

// notices takes what waits for people.
func (s *settling) notices(t tb) []journal.Notice {
	t.Helper()
	s.clock.Advance(3 * time.Minute)
	list, err := s.store.DueNotices(context.Background(), s.clock.Now(), 100)
	require.NoError(t, err)
	ids := make([]string, 0, len(list))
	for _, notice := range list {
		ids = append(ids, notice.ID)
	}
	require.NoError(t, s.store.NoticesSent(context.Background(), ids))
	return list
}

// rewriting changes the files of a gateway on their way.
type rewriting struct {
	activities.ReportSource
	change map[string]func(string) string
}

func (r rewriting) DownloadReport(ctx context.Context, name, date string, format cybersource.ReportFormat, into io.Writer) (cybersource.Download, error) {
	change := r.change[name]
	if change == nil {
		return r.ReportSource.DownloadReport(ctx, name, date, format, into)
	}
	var whole strings.Builder
	got, err := r.ReportSource.DownloadReport(ctx, name, date, format, &whole)
	if err == nil {
		_, err = io.WriteString(into, change(whole.String()))
	}
	return got, err
}

// asked counts the questions to a path of the gateway.
func (s *settling) asked(t tb, path string) int {
	t.Helper()
	return s.requests(t, http.MethodGet, path)
}

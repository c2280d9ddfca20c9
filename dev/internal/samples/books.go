package samples

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// Slugs of the orders that the settlement day at the end of a run needs.
const (
	disputedWon  = "dispute-won"
	disputedLost = "dispute-lost"
)

// The accounts of the day's entries (the chart of the ERP's sandbox).
const (
	accountClearing   = "1050"
	accountBank       = "1010"
	accountChargeback = "1210"
	accountFees       = "6100"
	accountLoss       = "6110"
	accountDisputeFee = "6120"
)

const (
	settledCurrency = "USD"
	disputeFee      = "15.00"
)

// disputes are orders whose payment is disputed once their day is settled: see Books.
func disputes() []Sample {
	return []Sample{
		{Slug: disputedWon, Title: "Chargeback, won in the end", Play: place("approve"), Want: confirmed()},
		{Slug: disputedLost, Title: "Chargeback, lost in the end", Play: place("approve"), Want: confirmed()},
	}
}

// Books settles the day of a run, over everything that the run did, and judges it by the ledgers of gateway and ERPs. The day is posted in
// the ERP from which the world is seen.
type Books struct {
	*world.World
	Merchant string
	Date     string      // business date: the day of the run
	Sold     []world.ERP // in which the orders of the run were booked
	Order    func(erp world.ERP, slug string) string
	Temporal Temporal
	Progress func(text string)

	extra    string // transaction that the gateway reported and never made
	disputes []disputed
}

// disputed is a payment of the day that is disputed.
type disputed struct {
	order   string
	caseID  string
	outcome string
}

// Part is one thing that the day must do.
type Part struct {
	Title string
	Play  func(context.Context) error
}

// Parts are to be played in this order, and no further where one fails: each stands on those before it.
func (b *Books) Parts() []Part {
	return []Part{
		{"A day with one row missing, one extra, one amount off and one twice: finance sees these four", b.withDifferences},
		{"The reports are corrected: the day posts one balanced journal, equal to the gateway's ledger", b.posted},
		{"The same day again posts nothing", b.again},
		{"A chargeback that is lost is a loss, one that is won comes back", b.decided},
		{"The orders of the day are settled, and paid in the ERP", b.paid},
	}
}

// The orders whose rows the gateway gets wrong.
const (
	rowMissing = Paid
	rowOff     = "two-steps"
	rowTwice   = "second-card"
)

// withDifferences closes the day with four errors in its reports. Two payments of the day are disputed.
func (b *Books) withDifferences(ctx context.Context) error {
	if _, err := b.CloseDay(ctx, b.Date, world.Plants{}); err != nil {
		return err
	}
	if err := b.dispute(ctx); err != nil {
		return err
	}
	want, plants, err := b.plants(ctx)
	if err != nil {
		return err
	}
	closed, err := b.CloseDay(ctx, b.Date, plants)
	if err != nil {
		return err
	}
	if len(closed.Planted.Extra) != 1 {
		return fmt.Errorf("the gateway planted %q, expected one row", closed.Planted.Extra)
	}
	b.extra = closed.Planted.Extra[0]
	want["unknown_row "+b.extra] = true
	started, err := b.Settle(ctx, b.Date, false)
	if err != nil {
		return err
	}
	if err := b.await(ctx, "mismatch"); err != nil {
		return err
	}
	if err := b.noted(ctx, want); err != nil {
		return err
	}
	journals, err := b.Journals(ctx, b.reference())
	if err != nil || len(journals) != 0 && b.fresh(ctx) {
		return errors.Join(fmt.Errorf("the ERP has %d journals of a day that finance has yet to decide", len(journals)), err)
	}
	b.Progress("finance: sees four differences, and that nothing is posted")
	return until(ctx, "finance is not asked once", func() (bool, error) {
		items, err := b.ParkedOf(ctx, started.WorkflowID)
		if err == nil && len(items) != 1 {
			err = fmt.Errorf("it is asked %d times", len(items))
		}
		return err == nil, err
	})
}

// fresh tells that the day was not settled by an earlier run on the same state.
func (b *Books) fresh(ctx context.Context) bool {
	day, err := b.Day(ctx, b.Date)
	return err == nil && len(day.Postings) == 0
}

// dispute has two payments of each ERP's orders disputed.
func (b *Books) dispute(ctx context.Context) error {
	b.disputes = nil
	for _, erp := range b.Sold {
		b.disputes = append(b.disputes,
			disputed{order: b.Order(erp, disputedWon), outcome: "won"}, disputed{order: b.Order(erp, disputedLost), outcome: "lost"})
	}
	for i := range b.disputes {
		opened, err := b.OpenDispute(ctx, b.disputes[i].order, disputeFee)
		if err != nil {
			return err
		}
		b.disputes[i].caseID = opened.Case
		b.Progress("bank: disputes " + b.disputes[i].order)
	}
	return nil
}

// plants picks the rows that are to be wrong, and how the report should name them.
func (b *Books) plants(ctx context.Context) (map[string]bool, world.Plants, error) {
	settled, err := b.Settled(ctx, b.Date, settledCurrency)
	if err != nil {
		return nil, world.Plants{}, err
	}
	of := func(erp world.ERP, slug string) string {
		order := b.Order(erp, slug)
		at := slices.IndexFunc(settled.Transactions, func(t world.Transaction) bool { return t.Of(order) && t.Kind != "refund" })
		if at < 0 {
			err = errors.Join(err, fmt.Errorf("no batch of %s has the money of %s", b.Date, order))
			return ""
		}
		return settled.Transactions[at].ID
	}
	first, last := b.Sold[0], b.Sold[len(b.Sold)-1]
	missing, off, twice := of(first, rowMissing), of(last, rowOff), of(last, rowTwice)
	want := map[string]bool{"missing_row " + missing: true, "amount_differs " + off: true, "duplicate " + twice: true}
	return want, world.Plants{
		Missing: []string{missing}, Extra: 1, AmountOff: []world.OffPlanted{{ID: off, By: "1.00"}}, Duplicate: []string{twice},
	}, err
}

// noted holds the discrepancy report, as CSV and as page, against what it should name: exactly that.
func (b *Books) noted(ctx context.Context, want map[string]bool) error {
	list, err := b.Discrepancies(ctx, b.Date)
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for _, d := range list {
		got[d.State+" "+d.TransactionID] = true
	}
	if !maps.Equal(got, want) || len(list) != len(want) {
		return fmt.Errorf("the discrepancy report names %+v, expected %q", list, slices.Sorted(maps.Keys(want)))
	}
	page, err := b.Page(ctx, b.Date)
	if err != nil {
		return err
	}
	for line := range want {
		if _, id, _ := strings.Cut(line, " "); !strings.Contains(page, id) {
			return fmt.Errorf("the page of the day does not show transaction %s", id)
		}
	}
	return nil
}

// posted has the gateway correct its reports, and finance have them read again.
func (b *Books) posted(ctx context.Context) error {
	if _, err := b.CloseDay(ctx, b.Date, world.Plants{}); err != nil {
		return err
	}
	b.Progress("gateway: reports made anew; finance: read them again")
	workflowID := workflows.SettlementWorkflowID(b.Merchant, b.Date)
	items, err := b.ParkedOf(ctx, workflowID)
	if err != nil || len(items) != 1 {
		return errors.Join(fmt.Errorf("%d items of the day wait for finance, expected one", len(items)), err)
	}
	if err := b.Resolve(ctx, items[0].ID, "retry"); err != nil {
		return err
	}
	if err := within(ctx, b.Temporal, workflowID); err != nil {
		return err
	}
	return b.equal(ctx)
}

// again runs the day once more.
func (b *Books) again(ctx context.Context) error {
	before, err := b.Journals(ctx, b.reference())
	if err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	after, err := b.Journals(ctx, b.reference())
	if err == nil && len(after) != len(before) {
		err = fmt.Errorf("the ERP had %d journals of the day, and has %d", len(before), len(after))
	}
	return err
}

// run settles the day and waits for its end.
func (b *Books) run(ctx context.Context) error {
	started, err := b.Settle(ctx, b.Date, false)
	if err != nil {
		return err
	}
	if err := within(ctx, b.Temporal, started.WorkflowID); err != nil {
		return err
	}
	return b.await(ctx, "posted")
}

// decided has the banks decide both disputes. The reports tell of it, the day is corrected by what came back, and the outcome is booked.
func (b *Books) decided(ctx context.Context) error {
	before, err := b.balances(ctx)
	if err != nil {
		return err
	}
	for _, dispute := range b.disputes {
		if err := b.caseIs(ctx, dispute, "open"); err != nil {
			return err
		}
		if _, err := b.EndDispute(ctx, dispute.caseID, dispute.outcome); err != nil {
			return err
		}
		b.Progress("bank: " + dispute.order + " is " + dispute.outcome)
	}
	if _, err := b.CloseDay(ctx, b.Date, world.Plants{}); err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	for _, dispute := range b.disputes {
		if err := b.caseIs(ctx, dispute, dispute.outcome); err != nil {
			return err
		}
		if err := within(ctx, b.Temporal, workflows.ChargebackWorkflowID(dispute.caseID)); err != nil {
			return err
		}
	}
	if err := b.equal(ctx); err != nil {
		return err
	}
	after, err := b.balances(ctx)
	if err != nil {
		return err
	}
	for _, erp := range b.ERPs {
		if err := sameSums("what the disputes left in the ledger of "+erp.Title, b.leftIn(erp), less(after[erp.Name], before[erp.Name])); err != nil {
			return err
		}
	}
	return nil
}

// leftIn is what one dispute that was won and one that was lost, of each ERP's orders, leave in the ledger of an ERP: all of it is where the day
// is posted. Won: the bank owes the money again, which settlement sees come back. Lost: the receivable is a loss.
func (b *Books) leftIn(erp world.ERP) map[string]decimal.Decimal {
	if erp.Name != b.ERP.Name {
		return nil
	}
	each := decimal.RequireFromString(total).Mul(decimal.NewFromInt(int64(len(b.Sold))))
	return map[string]decimal.Decimal{accountBank: each, accountLoss: each, accountChargeback: each.Add(each).Neg()}
}

// balances are those of every ERP's accounts, by its name.
func (b *Books) balances(ctx context.Context) (map[string]map[string]decimal.Decimal, error) {
	all := map[string]map[string]decimal.Decimal{}
	for _, erp := range b.ERPs {
		postings, err := b.In(erp).Postings(ctx)
		if err != nil {
			return nil, err
		}
		all[erp.Name] = world.ByAccount(postings, settledCurrency)
	}
	return all, nil
}

// less takes sums by account away from others.
func less(sums, away map[string]decimal.Decimal) map[string]decimal.Decimal {
	left := maps.Clone(sums)
	for account, amount := range away {
		left[account] = left[account].Sub(amount)
	}
	return even(left)
}

// caseIs waits until a dispute stands so.
func (b *Books) caseIs(ctx context.Context, dispute disputed, state string) error {
	return until(ctx, "the chargeback of "+dispute.order+" is not "+state, func() (bool, error) {
		chargeback, err := b.Chargeback(ctx, dispute.caseID)
		if err == nil && (chargeback.State != state || chargeback.OrderID != dispute.order) {
			err = fmt.Errorf("it is %+v", chargeback)
		}
		return err == nil, err
	})
}

// paid looks at an order of the day in each ERP.
func (b *Books) paid(ctx context.Context) error {
	for _, erp := range b.Sold {
		if err := b.paidIn(ctx, erp, b.Order(erp, Paid)); err != nil {
			return err
		}
	}
	return nil
}

// paidIn looks at an order of the day: settled here, paid in the ERP.
func (b *Books) paidIn(ctx context.Context, erp world.ERP, order string) error {
	return until(ctx, "order "+order+" is not shown as paid in "+erp.Title, func() (bool, error) {
		view, err := b.World.Order(ctx, order)
		if err != nil {
			return false, err
		}
		books, err := b.In(erp).Books(ctx, order)
		if err != nil || len(books.Invoices) != 1 {
			return false, errors.Join(fmt.Errorf("the ERP has %d invoices", len(books.Invoices)), err)
		}
		payment, _ := books.Invoices[0]["Payment"].(map[string]any)
		if view.PaymentStatus != "settled" || text(payment, "PaymentStatus") != "Paid" {
			return false, fmt.Errorf("its payment is %s, and %q in the ERP", view.PaymentStatus, text(payment, "PaymentStatus"))
		}
		return true, nil
	})
}

// await waits until the day is in a state.
func (b *Books) await(ctx context.Context, state string) error {
	return until(ctx, "the day is not "+state, func() (bool, error) {
		day, err := b.Day(ctx, b.Date)
		if err == nil && day.State != state {
			err = fmt.Errorf("it is %s: %s", day.State, day.Why)
		}
		return err == nil, err
	})
}

// reference is how the references of the day's journals begin.
func (b *Books) reference() string {
	return "CYB" + strings.ReplaceAll(b.Date, "-", "") + settledCurrency
}

// equal holds the day's journals against the gateway's ledger, account by account.
func (b *Books) equal(ctx context.Context) error {
	settled, err := b.Settled(ctx, b.Date, settledCurrency)
	if err != nil {
		return err
	}
	journals, err := b.Journals(ctx, b.reference())
	if err != nil {
		return err
	}
	if len(journals) == 0 {
		return errors.New("the ERP has no journal of the day")
	}
	for _, journal := range journals {
		balance := decimal.Zero
		for _, line := range journal.Lines {
			balance = balance.Add(line.Amount)
		}
		if !balance.IsZero() {
			return fmt.Errorf("journal %s is out of balance by %s", journal.Reference, balance)
		}
	}
	sums := world.ByAccount(journals, settledCurrency)
	if err := sameSums("the day's journals", expected(settled), sums); err != nil {
		return err
	}
	b.Progress(fmt.Sprintf("ERP: %d rows of the gateway's ledger are %s at the bank, in %d journal(s)",
		len(settled.Transactions), sums[accountBank].StringFixed(2), len(journals)))
	return nil
}

// expected is what the gateway's ledger makes of a day's accounts, debits positive: its reports tell of the deposit on the same day. Fees are the gateway's (sandbox/cybersource/TRIGGERS.md):
// of money in 1.51 % interchange and 0.20 % discount, each rounded, and 0.15; of money out 0.05.
func expected(day world.Settled) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	move := func(account string, amount decimal.Decimal) {
		sums[account] = sums[account].Add(amount)
		sums[accountBank] = sums[accountBank].Sub(amount)
	}
	share := func(amount decimal.Decimal, percent string) decimal.Decimal {
		return amount.Mul(decimal.RequireFromString(percent)).Shift(-2).Round(2)
	}
	for _, t := range day.Transactions {
		if t.Kind == "refund" || t.Kind == "credit" {
			move(accountClearing, t.Amount)
			move(accountFees, decimal.RequireFromString("0.05"))
			continue
		}
		move(accountClearing, t.Amount.Neg())
		move(accountFees, share(t.Amount, "1.51").Add(share(t.Amount, "0.20")).Add(decimal.RequireFromString("0.15")))
	}
	for _, d := range day.Disputes {
		account := accountChargeback
		if d.Action != "open" { // Chargeback books what becomes of the receivable
			account = accountClearing
		}
		move(account, d.Moved.Neg())
		move(accountDisputeFee, d.Fee)
	}
	return even(sums)
}

// even leaves out the accounts that are even.
func even(sums map[string]decimal.Decimal) map[string]decimal.Decimal {
	maps.DeleteFunc(sums, func(_ string, sum decimal.Decimal) bool { return sum.IsZero() })
	return sums
}

// sameSums compares sums by account, and names each account that differs.
func sameSums(what string, want, got map[string]decimal.Decimal) error {
	var differing []string
	accounts := slices.Sorted(maps.Keys(want))
	for account := range got {
		if _, known := want[account]; !known {
			accounts = append(accounts, account)
		}
	}
	for _, account := range accounts {
		if !want[account].Equal(got[account]) {
			differing = append(differing, fmt.Sprintf("%s has %s, expected %s", account, got[account].StringFixed(2), want[account].StringFixed(2)))
		}
	}
	if len(differing) > 0 {
		return fmt.Errorf("%s: account %s", what, strings.Join(differing, "; account "))
	}
	return nil
}

// Day is the business date of a moment: the embedded run settles by UTC.
func Day(now time.Time) string { return now.UTC().Format(time.DateOnly) }

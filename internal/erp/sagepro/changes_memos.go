package sagepro

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const (
	streamMemos = "creditmemos"

	// Credit memos that people write are found by their id, which grows. A transaction may take one and commit after others that took theirs
	// later: so each look goes back by many, and by days.
	memoOverlap     = 200
	memoOverlapDays = 2
)

// ListCreditMemos lists the credit memos of orders that were made here, whoever wrote them, by their last change.
func (c *Client) ListCreditMemos(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[erp.CreditMemo], error) {
	l := &memoLook{client: c}
	return list(ctx, c, "ListCreditMemos", query, feed[erp.CreditMemo]{
		name: streamMemos, look: l.look, more: func() bool { return l.last > l.mark+memoOverlap }, keep: l.keep,
		wanted: func(memo erp.CreditMemo, query erp.ChangeQuery) bool {
			return !query.Pending || memo.RefundStatus == erp.RefundPending
		},
	})
}

// memoLook looks at credit memos.
type memoLook struct {
	client     *Client
	mark, last whole // the id that is kept, and the last one that was seen
}

// look gives credit memos as they stand: those that are named, or all that are known and not finished, and all that came lately.
func (l *memoLook) look(ctx context.Context, q querier, numbers []string) (map[string]sight[erp.CreditMemo], error) {
	if numbers == nil {
		var err error
		if numbers, err = l.candidates(ctx, q); err != nil {
			return nil, err
		}
	}
	return q.readMemos(ctx, numbers)
}

func (l *memoLook) candidates(ctx context.Context, q querier) ([]string, error) {
	ours, err := q.unfinished(ctx, entityCreditMemo, streamMemos)
	if err != nil {
		return nil, err
	}
	noted, err := q.current(ctx, streamMemos)
	if err != nil {
		return nil, err
	}
	lately, err := l.lately(ctx, q)
	if err != nil {
		return nil, err
	}
	numbers := slices.Concat(noted, lately)
	for _, each := range ours {
		numbers = append(numbers, string(each.ErpKey))
	}
	return distinct(numbers), nil
}

// current lists what a stream has noted and is to be looked at.
func (q querier) current(ctx context.Context, stream string) ([]string, error) {
	at, err := databaseTime(ctx, q)
	if err != nil {
		return nil, err
	}
	var found []string
	return found, q.list(ctx, &found, "SELECT {cyb_change.number} FROM {cyb_change} WHERE {cyb_change.company} = ? AND {cyb_change.stream} = ?"+
		" AND ({cyb_change.state} <> ? OR {cyb_change.changed} >= ?)", q.value("cyb_change.company", q.site.company), q.value("cyb_change.stream", stream),
		q.value("cyb_change.state", stateFinished), q.value("cyb_change.changed", at.Add(-afterlife)))
}

// lately lists the credit memos that came after the kept id, or shortly before it.
func (l *memoLook) lately(ctx context.Context, q querier) ([]string, error) {
	var marks []struct {
		LastID   whole `db:"lastid"`
		LastDate day   `db:"lastdate"`
	}
	err := q.list(ctx, &marks, "SELECT {cyb_watermark: lastid lastdate} FROM {cyb_watermark} WHERE {cyb_watermark.company} = ? AND {cyb_watermark.stream} = ?",
		q.value("cyb_watermark.company", q.site.company), q.value("cyb_watermark.stream", streamMemos))
	if err != nil {
		return nil, err
	}
	since := day("")
	if len(marks) > 0 {
		l.mark, since = marks[0].LastID, marks[0].LastDate
	}
	query := "SELECT {armast: invno id_col} FROM {armast} WHERE {armast.artype} = ? AND ({armast.id_col} > ?"
	arguments := []any{q.value("armast.artype", typeCreditMemo), q.value("armast.id_col", l.mark-memoOverlap)}
	if _, dated := q.site.column("armast", "adddate"); dated && since != "" {
		query += " OR {armast.adddate} >= ?"
		arguments = append(arguments, q.value("armast.adddate", string(since)))
	}
	var found []struct {
		InvNo text  `db:"invno"`
		IDCol whole `db:"id_col"`
	}
	if err := q.list(ctx, &found, query+")", arguments...); err != nil {
		return nil, err
	}
	l.last = l.mark
	numbers := make([]string, 0, len(found))
	for _, each := range found {
		l.last = max(l.last, each.IDCol)
		numbers = append(numbers, string(each.InvNo))
	}
	return numbers, nil
}

// keep moves the id up.
func (l *memoLook) keep(ctx context.Context, t *tx) error {
	return t.updateOne(ctx, "cyb_watermark", row{"company": t.site.company, "stream": streamMemos},
		row{"lastid": l.last, "lastdate": t.now.AddDate(0, 0, -memoOverlapDays).Format(time.DateOnly)})
}

// memoReading reads what there is to know of some credit memos, each kind of row at once.
type memoReading struct {
	memos        map[string]invoiceRow
	order        map[string]string          // sales order by memo
	orders       map[string]string          // our order number by sales order
	transactions map[string]string          // by sales order
	invoices     map[string]string          // the last one by sales order
	ours         map[string]xref            // by memo
	acknowledged map[string]xref            // by memo
	refunded     map[string]decimal.Decimal // by memo
}

// readMemos gives credit memos as they stand. Those of orders that we know nothing of are left out.
func (q querier) readMemos(ctx context.Context, numbers []string) (map[string]sight[erp.CreditMemo], error) {
	r := memoReading{memos: map[string]invoiceRow{}, order: map[string]string{}}
	rows, err := inBoth[invoiceRow](ctx, q, "armast", invoiceColumns, "invno", numbers)
	if err != nil {
		return nil, err
	}
	for _, each := range rows {
		if each.ArType == typeCreditMemo {
			r.memos[string(each.InvNo)], r.order[string(each.InvNo)] = each, string(each.OrNum)
		}
	}
	for _, read := range []func(context.Context, querier) error{r.readLines, r.readOrders, r.readPayments, r.readInvoices, r.readOurs, r.readRefunds} {
		if err := read(ctx, q); err != nil {
			return nil, err
		}
	}
	seen := map[string]sight[erp.CreditMemo]{}
	for number, memo := range r.memos {
		if _, known := r.orders[r.order[number]]; !known {
			continue
		}
		document, err := r.memo(number)
		if err != nil {
			return nil, err
		}
		seen[number] = sight[erp.CreditMemo]{document: document, finished: memo.Balance.IsZero() && document.RefundStatus != erp.RefundPending, gone: memo.ArStat == statVoid}
	}
	return seen, nil
}

func (r *memoReading) numbers() []string {
	numbers := make([]string, 0, len(r.memos))
	for number := range r.memos {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}

func (r *memoReading) salesOrders() []string {
	numbers := make([]string, 0, len(r.order))
	for _, number := range r.order {
		numbers = append(numbers, number)
	}
	return distinct(numbers)
}

// readLines finds the sales order of memos that name none in the orders of their lines.
func (r *memoReading) readLines(ctx context.Context, q querier) error {
	var nameless []string
	for number, order := range r.order {
		if order == "" {
			nameless = append(nameless, number)
		}
	}
	lines, err := inBoth[invoiceLine](ctx, q, "artran", "{@: invno sono}", "invno", nameless)
	for _, line := range lines {
		if line.SoNo != "" {
			r.order[string(line.InvNo)] = string(line.SoNo)
		}
	}
	return err
}

// readOrders finds our numbers of the orders; those that we only know a payment of have the ERP's.
func (r *memoReading) readOrders(ctx context.Context, q querier) error {
	r.orders = map[string]string{}
	ours, err := q.xrefsIn(ctx, entityOrder, "erpkey", r.salesOrders())
	for _, each := range ours {
		r.orders[string(each.ErpKey)] = string(each.ExtRef)
	}
	return err
}

// readPayments finds the payment that each order was paid by: the last one of which money was taken, else the last one.
func (r *memoReading) readPayments(ctx context.Context, q querier) error {
	r.transactions = map[string]string{}
	captured := map[string]bool{}
	for page := range slices.Chunk(r.salesOrders(), mostKeys) {
		var found []struct {
			SoNo   text `db:"sono"`
			CybTxn text `db:"cybtxn"`
			Status text `db:"paystatus"`
		}
		err := q.list(ctx, &found, "SELECT {cyb_paystat: sono cybtxn paystatus} FROM {cyb_paystat} WHERE {cyb_paystat.company} = ? AND {cyb_paystat.sono} IN ("+
			marks(len(page))+") ORDER BY {cyb_paystat.updated}, {cyb_paystat.cybtxn}", append([]any{q.value("cyb_paystat.company", q.site.company)}, q.values("cyb_paystat.sono", page)...)...)
		if err != nil {
			return err
		}
		for _, each := range found {
			order, taken := string(each.SoNo), tookMoney(string(each.Status))
			if taken || !captured[order] {
				r.transactions[order], captured[order] = string(each.CybTxn), taken
			}
			if _, known := r.orders[order]; !known {
				r.orders[order] = ""
			}
		}
	}
	return nil
}

// tookMoney tells whether a payment status is that of a capture, whatever came after. The column has no room for all of the longest ones.
func tookMoney(status string) bool {
	for _, tag := range []erp.PaymentTag{erp.TagCaptured, erp.TagPaid, erp.TagPartiallyRefunded, erp.TagRefunded, erp.TagChargedBack, erp.TagDisputeWon} {
		if status != "" && strings.HasPrefix(string(tag), status) {
			return true
		}
	}
	return false
}

// readInvoices finds the last invoice of each order, which is the one that a memo credits which does not say.
func (r *memoReading) readInvoices(ctx context.Context, q querier) error {
	r.invoices = map[string]string{}
	found, err := inBoth[invoiceRow](ctx, q, "armast", invoiceColumns, "ornum", r.salesOrders())
	slices.SortFunc(found, invoiceRow.compare)
	for _, each := range found {
		if each.ArType == typeInvoice && each.ArStat != statVoid {
			r.invoices[string(each.OrNum)] = string(each.InvNo)
		}
	}
	return err
}

func (r *memoReading) readOurs(ctx context.Context, q querier) error {
	ours, err := q.xrefsIn(ctx, entityCreditMemo, "erpkey", r.numbers())
	if err != nil {
		return err
	}
	r.ours = map[string]xref{}
	for _, each := range ours {
		r.ours[string(each.ErpKey)] = each
	}
	told, err := q.xrefsIn(ctx, entityAcknowledged, "extref", r.numbers())
	r.acknowledged = map[string]xref{}
	for _, each := range told {
		r.acknowledged[string(each.ExtRef)] = each
	}
	return err
}

// readRefunds finds what was paid back here of memos.
func (r *memoReading) readRefunds(ctx context.Context, q querier) error {
	r.refunded = map[string]decimal.Decimal{}
	paid, err := q.xrefsIn(ctx, entityReceipt, "erpkey", r.numbers())
	for _, each := range paid {
		if each.State == statePosted {
			r.refunded[string(each.ErpKey)] = r.refunded[string(each.ErpKey)].Add(each.Amount.Decimal)
		}
	}
	return err
}

// memo puts together what was read.
func (r *memoReading) memo(number string) (erp.CreditMemo, error) {
	held, order := r.memos[number], r.order[number]
	memo := erp.CreditMemo{Number: number, CustomerCode: string(held.CustNo), SalesOrder: order, OrderNumber: r.orders[order], Invoice: r.invoices[order],
		Amount: held.InvAmt.Neg(), Tax: held.Tax.Neg(), Currency: string(held.CurrID), TransactionID: r.transactions[order]}
	credited := receivable{invoiceRow: held}
	if named := credited.names(); named != "" {
		memo.Invoice = named
	}
	_, memo.Reason, _ = strings.Cut(string(held.ArNotes), ": ")
	memo.Reason, _, _ = strings.Cut(memo.Reason, ": ")
	if ours, known := r.ours[number]; known {
		record, err := ours.credit()
		if err != nil {
			return memo, err
		}
		memo.Reference, memo.Invoice, memo.Reason = string(ours.ExtRef), record.Invoice, record.Reason
	}
	if memo.RefundStatus = r.refundStatus(number, memo.TransactionID); memo.RefundStatus == erp.RefundPending && memo.Reference == "" {
		r.reduce(&memo)
	}
	return memo, nil
}

// reduce takes off a memo of people what they have set off against an invoice: that was given to the customer already.
func (r *memoReading) reduce(memo *erp.CreditMemo) {
	due := r.refunded[memo.Number].Sub(r.memos[memo.Number].Balance.Decimal)
	if !due.IsPositive() || due.GreaterThanOrEqual(memo.Amount) {
		return
	}
	memo.Tax = canonical.RoundAmount(memo.Tax.Mul(due).Div(memo.Amount), memo.Currency)
	memo.Amount = due
}

// refundStatus is where the refund stands that a memo asks for: as it was acknowledged; else pending while there is something to pay back, or what
// was paid back here was not acknowledged yet. A memo that people have set off or paid out themselves asks for none.
func (r *memoReading) refundStatus(number, transaction string) erp.RefundStatus {
	if told, known := r.acknowledged[number]; known {
		return erp.RefundStatus(told.State)
	}
	if transaction != "" && (r.memos[number].Balance.IsNegative() || r.refunded[number].IsPositive()) {
		return erp.RefundPending
	}
	return ""
}

// entityAcknowledged is that of credit memos whose refund was told of: extref is the memo, state where its refund stands.
const entityAcknowledged = "memorefund"

// AcknowledgeCreditMemo notes what became of a credit memo's refund. A memo that was refunded by another transaction is a Conflict.
func (c *Client) AcknowledgeCreditMemo(ctx context.Context, key string, a erp.Acknowledgement) error {
	number := strings.TrimSpace(a.Number)
	if number == "" {
		return c.bug("an acknowledgement needs a credit memo")
	}
	_, err := mutate(ctx, c, key, "AcknowledgeCreditMemo", a, func(ctx context.Context, t *tx) (struct{}, error) {
		memo, err := t.lockReceivable(ctx, number)
		if err != nil {
			return struct{}{}, err
		}
		if !memo.credit() {
			return struct{}{}, c.refuse(fault.MissingReference, codeCreditMemo, number+" is no credit memo")
		}
		if a.Amount.GreaterThan(memo.InvAmt.Neg()) {
			return struct{}{}, c.refuse(fault.Conflict, codeOverpaid, fmt.Sprintf("%s is of %s", memo.describe(), memo.InvAmt.Neg()))
		}
		return struct{}{}, t.acknowledge(ctx, &memo, a)
	})
	return err
}

func (t *tx) acknowledge(ctx context.Context, memo *receivable, a erp.Acknowledgement) error {
	number, told := string(memo.InvNo), acknowledged(a)
	held, err := t.claim(ctx, entityAcknowledged, number, told)
	if err != nil {
		return err
	}
	switch {
	case held == nil:
	case held.State == text(erp.RefundDone):
		if !a.Refunded || a.TransactionID != "" && held.CybTxn != "" && held.CybTxn != told.CybTxn {
			return t.client.refuse(fault.Conflict, codeStatus, fmt.Sprintf("%s is refunded by %s", memo.describe(), held.CybTxn))
		}
		return nil
	case held.State == told.State && held.Answer == told.Answer:
		return nil
	default:
		err := t.setXref(ctx, entityAcknowledged, number, row{"state": told.State, "cybtxn": told.CybTxn, "amount": told.Amount, "currid": told.CurrID, "answer": told.Answer})
		if err != nil {
			return err
		}
	}
	if memo.Moved == 0 {
		if err := t.noteRefund(ctx, memo, a); err != nil {
			return err
		}
	}
	// Even a memo in history is worth another look now.
	_, err = t.update(ctx, "cyb_change", row{"company": t.site.company, "stream": streamMemos, "number": number}, row{"state": ""})
	return err
}

// acknowledged is what is kept of an acknowledgement.
func acknowledged(a erp.Acknowledgement) xref {
	if !a.Refunded {
		return xref{State: text(erp.RefundFailed), CurrID: text(a.Currency), Answer: text(strings.TrimSpace(a.Failure))}
	}
	return xref{State: text(erp.RefundDone), CybTxn: text(a.TransactionID), Amount: amount{a.Amount}, CurrID: text(a.Currency)}
}

// noteRefund tells people in the notes of the credit memo what became of its refund. What does not fit is cut; what stood there stays.
func (t *tx) noteRefund(ctx context.Context, memo *receivable, a erp.Acknowledgement) error {
	told := "refund failed: " + a.Failure
	if a.Refunded {
		told = fmt.Sprintf("refunded %s %s", canonical.NewMoney(a.Amount, a.Currency), a.TransactionID)
	}
	notes := strings.TrimPrefix(string(memo.ArNotes)+"; "+told, "; ")
	_, err := t.update(ctx, "armast", row{"invno": memo.InvNo}, row{"arnotes": t.cut("armast", "arnotes", notes)})
	return err
}

package erptest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// Run holds an adapter against the contract of erp.Port, and of those ports beside it that it has.
func Run(t *testing.T, h Harness) {
	require.NotEmpty(t, h.Setbacks, "every connection can be lost")
	require.NotNil(t, h.Hold, "people have records open in every ERP")
	require.NotNil(t, h.Drift, "every ERP keeps running totals")
	s := newStage(h)
	t.Run("reach and credential", s.testCheck)
	t.Run("customer", s.testCustomer)
	t.Run("stock", s.testStock)
	t.Run("sales order", s.testSalesOrder)
	t.Run("sales order refused", s.testSalesOrderRefused)
	t.Run("sales order states", s.testSalesOrderStates)
	t.Run("sales order cancelled", s.testSalesOrderCancelled)
	t.Run("invoice and receipt", s.testInvoiceAndReceipt)
	t.Run("credit memo", s.testCreditMemo)
	t.Run("refund", s.testRefund)
	t.Run("payment status", s.testPaymentStatus)
	t.Run("closed period", s.testClosedPeriod)
	t.Run("credit memos that changed", s.testListCreditMemos)
	t.Run("credit memo of a clerk", s.testCreditMemoOfClerk)
	t.Run("shipments that changed", s.testListShipments)
	t.Run("sales orders that changed", s.testListSalesOrders)
	t.Run("pages", s.testPages)
	t.Run("rows committed late", s.testLateRows)
	t.Run("documents posted late", s.testPostedLate)
	t.Run("deposit", s.testDeposit)
	t.Run("deposit of several invoices", s.testDepositOfSeveral)
	t.Run("acknowledgement", s.testAcknowledge)
	t.Run("tracking", s.testTracking)
	t.Run("journal", s.testJournal)
	t.Run("closed ledger", s.testClosedLedger)
	t.Run("AP invoice", s.testAPInvoice)
	t.Run("near stock codes", s.testNearStockCodes)
	t.Run("near customers", s.testNearCustomers)
	t.Run("open periods", s.testOpenPeriods)
	t.Run("exchange rates", s.testExchangeRates)
	t.Run("refused", s.testRefusals)
	t.Run("field limits", s.testFieldLimits)
	t.Run("longest names", s.testLongestNames)
	t.Run("record held", s.testRecordHeld)
	t.Run("exclusive use", s.testExclusiveUse)
	t.Run("together", s.testTogether)
	for _, m := range s.mutations() {
		t.Run(m.name(), func(t *testing.T) {
			t.Run("answer lost", func(t *testing.T) { s.testAnswerLost(t, m) })
			for _, setback := range s.Setbacks {
				t.Run(setback.Name, func(t *testing.T) { s.testSetback(t, m, setback) })
			}
			t.Run("repeated", func(t *testing.T) { s.testRepeated(t, m) })
			t.Run("at once", func(t *testing.T) { s.testAtOnce(t, m) })
			t.Run("given up before", func(t *testing.T) { s.testGivenUp(t, m) })
			if m.named {
				t.Run("same document, another key", func(t *testing.T) { s.testAdopted(t, m) })
			}
			if m.varies {
				t.Run("another document, same key", func(t *testing.T) { s.testKeyReused(t, m) })
			}
			switch {
			case m.replaces:
				t.Run("another document, same name", func(t *testing.T) { s.testReplaced(t, m) })
			case m.named && m.varies:
				t.Run("another document, same name", func(t *testing.T) { s.testDifferent(t, m) })
			}
		})
	}
	t.Run("nothing drifted", s.testNothingDrifted)
}

func requireKind(t *testing.T, err error, kinds ...fault.Kind) *fault.Fault {
	t.Helper()
	require.Error(t, err)
	f := fault.As(err)
	require.NotNil(t, f, "adapters fail with *fault.Fault, got %v", err)
	require.Contains(t, kinds, f.Kind, "%v: %v", err, f.Err)
	require.NotEmpty(t, f.System)
	return f
}

func requireAmount(t *testing.T, want, got decimal.Decimal) {
	t.Helper()
	require.True(t, want.Equal(got), "want %s, got %s", want, got)
}

func (s *stage) testCheck(t *testing.T) {
	ctx := s.ctx(t)
	require.NoError(t, s.Port.Check(ctx))
	requireKind(t, s.Unreachable.Check(ctx), fault.Connection)
	_, err := s.Unreachable.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(s.salesOrder()))
	requireKind(t, err, fault.Connection)
	if s.Unauthorised == nil {
		return // nobody has to tell who they are
	}
	requireKind(t, s.Unauthorised.Check(ctx), fault.Credentials)
	_, err = s.Unauthorised.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(s.salesOrder()))
	requireKind(t, err, fault.Credentials)
}

func (s *stage) testCustomer(t *testing.T) {
	ctx := s.ctx(t)
	_, err := s.Port.FindCustomer(ctx, erp.CustomerRef{Code: s.customerCode()})
	requireKind(t, err, fault.NotFound)
	_, err = s.Port.FindCustomer(ctx, erp.CustomerRef{ExternalID: s.name("X")})
	requireKind(t, err, fault.NotFound)

	held, err := s.Port.FindCustomer(ctx, erp.CustomerRef{Code: s.Company.HeldCustomer})
	require.NoError(t, err)
	require.True(t, held.OnHold)

	wanted := Customer{Code: s.customerCode(), ExternalID: s.name("X"), Name: "Ada Park", Currency: s.Company.Currency}
	made, err := s.Port.PutCustomer(ctx, s.key(), s.Documents.Customer(wanted))
	require.NoError(t, err)
	require.Equal(t, wanted.Code, made.Code)
	require.Equal(t, wanted.Currency, made.Currency)
	require.False(t, made.OnHold)
	for _, ref := range []erp.CustomerRef{{Code: wanted.Code}, {ExternalID: wanted.ExternalID}} {
		found, err := s.Port.FindCustomer(ctx, ref)
		require.NoError(t, err)
		require.Equal(t, made.Code, found.Code)
	}
}

func (s *stage) testStock(t *testing.T) {
	ctx := s.ctx(t)
	unknown := s.stockCode()
	for _, warehouse := range []string{"", s.Company.Warehouse} {
		balances, err := s.Port.Stock(ctx, erp.StockQuery{StockCodes: []string{unknown, s.Company.StockCode}, Warehouse: warehouse})
		require.NoError(t, err)
		require.Len(t, balances, 2)
		require.Equal(t, unknown, balances[0].StockCode, "answers come in the order of the query")
		require.False(t, balances[0].Known)
		require.Equal(t, s.Company.StockCode, balances[1].StockCode)
		require.True(t, balances[1].Known)
		require.True(t, balances[1].Available.IsPositive())
	}
	nothing, err := s.Port.Stock(ctx, erp.StockQuery{StockCodes: []string{unknown}})
	require.NoError(t, err, "a code that the ERP does not have is an answer")
	require.Equal(t, []erp.StockBalance{{StockCode: unknown}}, nothing)

	many := make([]string, 0, 121)
	for range 120 {
		many = append(many, s.stockCode())
	}
	balances, err := s.Port.Stock(ctx, erp.StockQuery{StockCodes: append(many, s.Company.StockCode)})
	require.NoError(t, err)
	require.Len(t, balances, 121)
	require.True(t, balances[120].Known)

	none, err := s.Port.Stock(ctx, erp.StockQuery{})
	require.NoError(t, err)
	require.Empty(t, none)
}

func (s *stage) testSalesOrder(t *testing.T) {
	ctx := s.ctx(t)
	wanted := s.salesOrder()
	_, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: wanted.OrderNumber, CustomerCode: wanted.Customer})
	requireKind(t, err, fault.NotFound)

	made, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(wanted))
	require.NoError(t, err)
	require.NotEmpty(t, made.Number)
	require.Len(t, made.Lines, 1)
	require.Equal(t, wanted.StockCode, made.Lines[0].StockCode)
	requireAmount(t, wanted.Quantity, made.Lines[0].Allocated)
	for _, ref := range []erp.SalesOrderRef{
		{Number: made.Number},
		{OrderNumber: wanted.OrderNumber},
		{OrderNumber: wanted.OrderNumber, CustomerCode: wanted.Customer},
	} {
		found, err := s.Port.FindSalesOrder(ctx, ref)
		require.NoError(t, err)
		require.Equal(t, made.Number, found.Number)
		require.Equal(t, wanted.OrderNumber, found.OrderNumber)
		require.Equal(t, wanted.Customer, found.CustomerCode)
		require.Equal(t, wanted.Currency, found.Currency)
		require.Equal(t, wanted.Currency, made.Currency)
		require.False(t, found.OnHold)
		requireAmount(t, total, found.Total)
		requireAmount(t, total, made.Total)
	}
}

func (s *stage) testSalesOrderRefused(t *testing.T) {
	cases := []struct {
		name  string
		kind  fault.Kind
		spoil func(*SalesOrder)
	}{
		{"unknown customer", fault.MissingReference, func(o *SalesOrder) { o.Customer = s.customerCode() }},
		{"unknown stock code", fault.MissingReference, func(o *SalesOrder) { o.StockCode = s.stockCode() }},
		{"customer on hold", fault.DeclinedByPolicy, func(o *SalesOrder) { o.Customer = s.Company.HeldCustomer }},
		{"order number too long", fault.Value, func(o *SalesOrder) {
			o.OrderNumber += strings.Repeat("x", s.Company.Longest.Order+1-len(o.OrderNumber))
		}},
		{"negative quantity", fault.Value, func(o *SalesOrder) { o.Quantity = decimal.NewFromInt(-1) }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			ctx, key, good := s.ctx(t), s.key(), s.salesOrder()
			bad := good
			tc.spoil(&bad)
			_, err := s.Port.CreateSalesOrder(ctx, key, s.Documents.SalesOrder(bad))
			f := requireKind(t, err, tc.kind)
			require.NotEmpty(t, f.Message, "a person has to understand it")
			require.Zero(t, s.Count(t, SalesOrders, bad.OrderNumber), "a refusal leaves nothing behind")

			_, err = s.Port.CreateSalesOrder(ctx, key, s.Documents.SalesOrder(good))
			require.NoError(t, err, "what was refused may be corrected under the same key")
		})
	}
}

func (s *stage) makeOrder(t *testing.T) canonical.SalesOrder {
	t.Helper()
	order, err := s.Port.CreateSalesOrder(s.ctx(t), s.key(), s.Documents.SalesOrder(s.salesOrder()))
	require.NoError(t, err)
	return order
}

func (s *stage) change(t *testing.T, number string, state erp.SalesOrderState) canonical.SalesOrder {
	t.Helper()
	order, err := s.Port.ChangeSalesOrder(s.ctx(t), s.key(), erp.SalesOrderChange{Number: number, State: state})
	require.NoError(t, err)
	require.Equal(t, number, order.Number)
	require.Equal(t, state == erp.SalesOrderHold, order.OnHold)
	return order
}

func (s *stage) testSalesOrderStates(t *testing.T) {
	ctx := s.ctx(t)
	wanted := s.salesOrder()
	wanted.Hold = true
	order, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(wanted))
	require.NoError(t, err)
	require.True(t, order.OnHold)

	s.change(t, order.Number, erp.SalesOrderHold) // it is on hold already
	open := s.change(t, order.Number, erp.SalesOrderOpen)
	require.Equal(t, open.Status, s.change(t, order.Number, erp.SalesOrderOpen).Status, "a repeated change is a success")
	s.change(t, order.Number, erp.SalesOrderHold)
	s.change(t, order.Number, erp.SalesOrderOpen)
	ready := s.change(t, order.Number, erp.SalesOrderReady)
	require.NotEqual(t, open.Status, ready.Status)
	require.Equal(t, open.Status, s.change(t, order.Number, erp.SalesOrderOpen).Status, "ready can be taken back")

	found, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: order.Number})
	require.NoError(t, err)
	require.Equal(t, open.Status, found.Status)

	_, err = s.Port.ChangeSalesOrder(ctx, s.key(), erp.SalesOrderChange{Number: s.number(), State: erp.SalesOrderHold})
	requireKind(t, err, fault.MissingReference)
}

func (s *stage) cancellation(number string) erp.SalesOrderCancellation {
	return erp.SalesOrderCancellation{Number: number, Reason: s.Company.CancelReason}
}

func (s *stage) testSalesOrderCancelled(t *testing.T) {
	ctx := s.ctx(t)
	wanted := s.salesOrder()
	order, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(wanted))
	require.NoError(t, err)
	cancelled, err := s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(order.Number))
	require.NoError(t, err)
	require.NotEqual(t, order.Status, cancelled.Status)
	again, err := s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(order.Number))
	require.NoError(t, err, "a repeated cancellation is a success")
	require.Equal(t, cancelled.Status, again.Status)

	_, err = s.Port.ChangeSalesOrder(ctx, s.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderReady})
	requireKind(t, err, fault.Conflict)
	_, err = s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(wanted))
	requireKind(t, err, fault.Conflict)
	_, err = s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(s.number()))
	requireKind(t, err, fault.MissingReference)

	invoiced, _ := s.makeInvoice(t)
	_, err = s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(invoiced.Number))
	requireKind(t, err, fault.Conflict)
}

func (s *stage) makeReady(t *testing.T) canonical.SalesOrder {
	t.Helper()
	return s.change(t, s.makeOrder(t).Number, erp.SalesOrderReady)
}

func (s *stage) makeInvoice(t *testing.T) (canonical.SalesOrder, canonical.Invoice) {
	t.Helper()
	order := s.makeOrder(t)
	return order, s.invoiceOf(t, order)
}

// invoiceOf invoices an order as a whole.
func (s *stage) invoiceOf(t *testing.T, order canonical.SalesOrder) canonical.Invoice {
	t.Helper()
	s.change(t, order.Number, erp.SalesOrderReady)
	invoice, err := s.Port.CreateInvoice(s.ctx(t), s.key(), s.Documents.Invoice(order.Number))
	require.NoError(t, err)
	return invoice
}

func (s *stage) receipt(invoice string) Receipt {
	return Receipt{Reference: s.name("P"), Customer: s.Company.Customer, Invoice: invoice, Currency: s.Company.Currency, Amount: total}
}

func (s *stage) reversal(receipt canonical.Receipt) erp.ReceiptReversal {
	return erp.ReceiptReversal{Reference: s.name("R"), Source: receipt.Reference, CustomerCode: s.Company.Customer, Date: s.Company.Today,
		Amount: receipt.Amount, Currency: receipt.Currency, BankCode: s.Company.BankCode}
}

func (s *stage) makeReceipt(t *testing.T) (canonical.Invoice, canonical.Receipt) {
	t.Helper()
	_, invoice := s.makeInvoice(t)
	receipt, err := s.Port.PostReceipt(s.ctx(t), s.key(), s.Documents.Receipt(s.receipt(invoice.Number)))
	require.NoError(t, err)
	return invoice, receipt
}

func (s *stage) requireBalance(t *testing.T, invoice string, balance decimal.Decimal) {
	t.Helper()
	found, err := s.Port.FindInvoice(s.ctx(t), erp.InvoiceRef{Number: invoice})
	require.NoError(t, err)
	requireAmount(t, balance, found.Balance)
}

func (s *stage) testInvoiceAndReceipt(t *testing.T) {
	ctx := s.ctx(t)
	_, err := s.Port.CreateInvoice(ctx, s.key(), s.Documents.Invoice(s.number()))
	requireKind(t, err, fault.MissingReference)
	_, err = s.Port.FindInvoice(ctx, erp.InvoiceRef{Number: s.number()})
	requireKind(t, err, fault.NotFound)
	_, err = s.Port.FindReceipt(ctx, s.name("P"))
	requireKind(t, err, fault.NotFound)

	order, invoice := s.makeInvoice(t)
	require.NotEmpty(t, invoice.Number)
	require.Equal(t, order.Number, invoice.SalesOrder)
	requireAmount(t, total, invoice.Total)
	for _, ref := range []erp.InvoiceRef{{Number: invoice.Number}, {SalesOrder: order.Number}} {
		found, err := s.Port.FindInvoice(ctx, ref)
		require.NoError(t, err)
		require.Equal(t, invoice.Number, found.Number)
		require.Equal(t, s.Company.Currency, found.Currency)
		requireAmount(t, total, found.Balance)
	}

	over := s.receipt(invoice.Number)
	over.Amount = total.Add(decimal.NewFromInt(1))
	_, err = s.Port.PostReceipt(ctx, s.key(), s.Documents.Receipt(over))
	requireKind(t, err, fault.Conflict)

	wanted := s.receipt(invoice.Number)
	receipt, err := s.Port.PostReceipt(ctx, s.key(), s.Documents.Receipt(wanted))
	require.NoError(t, err)
	require.Equal(t, wanted.Reference, receipt.Reference)
	require.Equal(t, invoice.Number, receipt.Invoice)
	found, err := s.Port.FindReceipt(ctx, wanted.Reference)
	require.NoError(t, err)
	requireAmount(t, total, found.Amount)
	require.Equal(t, s.Company.Currency, found.Currency)
	require.Equal(t, invoice.Number, found.Invoice)
	s.requireBalance(t, invoice.Number, decimal.Zero)

	_, err = s.Port.ReverseReceipt(ctx, s.key(), s.reversal(receipt))
	require.NoError(t, err)
	s.requireBalance(t, invoice.Number, total)
}

func (s *stage) creditMemo(invoice string) CreditMemo {
	return CreditMemo{Reference: s.name("M"), Customer: s.Company.Customer, Invoice: invoice, Currency: s.Company.Currency, Amount: total}
}

func (s *stage) testCreditMemo(t *testing.T) {
	ctx, since := s.ctx(t), time.Now()
	_, err := s.Port.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: s.name("M"), Since: since})
	requireKind(t, err, fault.NotFound)

	_, invoice := s.makeInvoice(t)
	wanted := s.creditMemo(invoice.Number)
	made, err := s.Port.CreateCreditMemo(ctx, s.key(), s.Documents.CreditMemo(wanted))
	require.NoError(t, err)
	require.NotEmpty(t, made.Number)
	require.EventuallyWithT(t, func(c *assert.CollectT) { // lists may hold young rows back
		found, err := s.Port.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: wanted.Reference, Invoice: invoice.Number, Since: since})
		require.NoError(c, err)
		require.Equal(c, made.Number, found.Number)
		require.Equal(c, wanted.Currency, found.Currency)
		require.True(c, wanted.Amount.Equal(found.Amount))
	}, time.Minute, 50*time.Millisecond)
	_, err = s.Port.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: wanted.Reference, Invoice: s.number(), Since: since})
	requireKind(t, err, fault.NotFound)

	unknown := s.creditMemo(s.number())
	_, err = s.Port.CreateCreditMemo(ctx, s.key(), s.Documents.CreditMemo(unknown))
	requireKind(t, err, fault.MissingReference)
}

// makeCreditMemo credits an invoice that is paid, so that all of it can be refunded.
func (s *stage) makeCreditMemo(t *testing.T) canonical.CreditMemo {
	t.Helper()
	invoice, _ := s.makeReceipt(t)
	memo, err := s.Port.CreateCreditMemo(s.ctx(t), s.key(), s.Documents.CreditMemo(s.creditMemo(invoice.Number)))
	require.NoError(t, err)
	return memo
}

func (s *stage) refund(memo canonical.CreditMemo) erp.RefundPosting {
	reference := s.name("F")
	return erp.RefundPosting{Reference: reference, CustomerCode: s.Company.Customer, CreditMemo: memo.Number, Amount: memo.Amount,
		Currency: memo.Currency, Date: s.Company.Today, BankCode: s.Company.BankCode, Narration: "Conformance", TransactionID: reference}
}

func (s *stage) testRefund(t *testing.T) {
	ctx, memo := s.ctx(t), s.makeCreditMemo(t)
	half := s.refund(memo)
	half.Amount = total.Div(decimal.NewFromInt(2))
	_, err := s.Port.FindReceipt(ctx, half.Reference)
	requireKind(t, err, fault.NotFound)
	posted, err := s.Port.PostRefund(ctx, s.key(), half)
	require.NoError(t, err)
	require.Equal(t, half.Reference, posted.Reference)
	requireAmount(t, half.Amount, posted.Amount)
	found, err := s.Port.FindReceipt(ctx, half.Reference)
	require.NoError(t, err)
	requireAmount(t, half.Amount, found.Amount)
	require.Equal(t, half.Currency, found.Currency)

	over := s.refund(memo)
	over.Amount = half.Amount.Add(decimal.RequireFromString("0.01"))
	_, err = s.Port.PostRefund(ctx, s.key(), over)
	requireKind(t, err, fault.Conflict)
	over.Amount = half.Amount
	_, err = s.Port.PostRefund(ctx, s.key(), over)
	require.NoError(t, err, "the other half")

	unknown := s.refund(memo)
	unknown.CreditMemo = s.number()
	_, err = s.Port.PostRefund(ctx, s.key(), unknown)
	requireKind(t, err, fault.MissingReference)

	elsewhere := half
	elsewhere.CreditMemo = s.makeCreditMemo(t).Number
	_, err = s.Port.PostRefund(ctx, s.key(), elsewhere)
	requireKind(t, err, fault.Conflict)
}

func (s *stage) paymentStatus(order string, tag erp.PaymentTag) erp.PaymentStatusChange {
	return erp.PaymentStatusChange{SalesOrder: order, TransactionID: s.name("T"), Status: tag, Amount: total, Currency: s.Company.Currency, At: time.Now()}
}

func (s *stage) testPaymentStatus(t *testing.T) {
	ctx, order := s.ctx(t), s.makeOrder(t)
	for _, tag := range []erp.PaymentTag{
		erp.TagAuthorized, erp.TagCaptured, erp.TagCaptured, erp.TagPaid, erp.TagPartiallyRefunded, erp.TagRefunded, erp.TagChargedBack, erp.TagDisputeWon,
		erp.TagFailed, erp.TagVoided,
	} {
		require.NoError(t, s.Port.SetPaymentStatus(ctx, s.key(), s.paymentStatus(order.Number, tag)), tag)
	}
	for _, paid := range []canonical.SalesOrder{order, s.makeOrder(t)} {
		voided := s.paymentStatus(paid.Number, erp.TagVoided)
		voided.TransactionID = ""
		require.NoError(t, s.Port.SetPaymentStatus(ctx, s.key(), voided), "an order may end before there was any transaction")
	}
	_, invoice := s.makeInvoice(t)
	paid := s.paymentStatus("", erp.TagPaid)
	paid.Invoice = invoice.Number
	require.NoError(t, s.Port.SetPaymentStatus(ctx, s.key(), paid), "an invoice alone tells its order")
	err := s.Port.SetPaymentStatus(ctx, s.key(), s.paymentStatus(s.number(), erp.TagCaptured))
	requireKind(t, err, fault.MissingReference)
}

func (s *stage) testClosedPeriod(t *testing.T) {
	if s.ClosePeriod == nil {
		t.Skip("this ERP has no periods to close")
	}
	ctx, key, order := s.ctx(t), s.key(), s.makeReady(t)
	open := s.ClosePeriod(t)
	defer open()
	_, err := s.Port.CreateInvoice(ctx, key, s.Documents.Invoice(order.Number))
	requireKind(t, err, fault.ClosedPeriod)
	open()
	_, err = s.Port.CreateInvoice(ctx, key, s.Documents.Invoice(order.Number))
	require.NoError(t, err, "once the period is open the same key serves")
}

func (s *stage) journal() canonical.JournalEntry {
	amount := decimal.RequireFromString("11.24")
	return canonical.JournalEntry{Reference: s.name("J"), Date: s.Company.Today, Currency: s.Company.Currency, Description: "Conformance",
		Lines: []canonical.JournalLine{{Account: s.Company.Accounts[0], Debit: amount}, {Account: s.Company.Accounts[1], Credit: amount}}}
}

func (s *stage) testJournal(t *testing.T) {
	if s.Journals == nil {
		t.Skip("this adapter posts no journals")
	}
	ctx, wanted := s.ctx(t), s.journal()
	_, err := s.Journals.FindJournal(ctx, wanted.Reference)
	requireKind(t, err, fault.NotFound)

	unbalanced := s.journal()
	unbalanced.Lines[0].Debit = decimal.RequireFromString("11.25")
	_, err = s.Journals.PostJournal(ctx, s.key(), unbalanced)
	requireKind(t, err, fault.Value)
	unknown := s.journal()
	unknown.Lines[0].Account = s.account()
	_, err = s.Journals.PostJournal(ctx, s.key(), unknown)
	requireKind(t, err, fault.MissingReference)

	posted, err := s.Journals.PostJournal(ctx, s.key(), wanted)
	require.NoError(t, err)
	require.NotEmpty(t, posted.Number)
	found, err := s.Journals.FindJournal(ctx, wanted.Reference)
	require.NoError(t, err)
	require.Equal(t, posted.Number, found.Number)
	requireAmount(t, wanted.Lines[0].Debit, found.Total)
	require.True(t, found.Is(wanted), "the same journal is known by what it moves")
	turned := wanted
	turned.Lines = []canonical.JournalLine{
		{Account: wanted.Lines[0].Account, Credit: wanted.Lines[0].Debit}, {Account: wanted.Lines[1].Account, Debit: wanted.Lines[1].Credit},
	}
	require.False(t, found.Is(turned), "one that moves the same amounts the other way round is another")
}

func (s *stage) testClosedLedger(t *testing.T) {
	if s.CloseLedger == nil || s.Journals == nil {
		t.Skip("this ERP's ledger has no periods to close")
	}
	ctx, key, wanted := s.ctx(t), s.key(), s.journal()
	open := s.CloseLedger(t)
	defer open()
	_, err := s.Journals.PostJournal(ctx, key, wanted)
	requireKind(t, err, fault.ClosedPeriod)
	require.Zero(t, s.Count(t, Journals, wanted.Reference))
	open()
	_, err = s.Journals.PostJournal(ctx, key, wanted)
	require.NoError(t, err, "once the period is open the same key serves")

	future := s.journal()
	today, err := time.Parse(time.DateOnly, s.Company.Today)
	require.NoError(t, err)
	future.Date = today.AddDate(0, 2, 0).Format(time.DateOnly)
	_, err = s.Journals.PostJournal(ctx, s.key(), future)
	requireKind(t, err, fault.ClosedPeriod)
}

func (s *stage) apInvoice() APInvoice {
	return APInvoice{Number: s.name("F"), Supplier: s.Company.Supplier, Account: s.Company.Accounts[0], Currency: s.Company.Currency,
		Amount: decimal.RequireFromString("387.18")}
}

func (s *stage) testAPInvoice(t *testing.T) {
	if s.Journals == nil {
		t.Skip("this adapter posts no AP invoices")
	}
	ctx, wanted := s.ctx(t), s.apInvoice()
	ref := erp.APInvoiceRef{SupplierCode: wanted.Supplier, Number: wanted.Number}
	_, err := s.Journals.FindAPInvoice(ctx, ref)
	requireKind(t, err, fault.NotFound)
	unknown := s.apInvoice()
	unknown.Supplier = s.supplier()
	_, err = s.Journals.PostAPInvoice(ctx, s.key(), s.Documents.APInvoice(unknown))
	requireKind(t, err, fault.MissingReference)

	_, err = s.Journals.PostAPInvoice(ctx, s.key(), s.Documents.APInvoice(wanted))
	require.NoError(t, err)
	found, err := s.Journals.FindAPInvoice(ctx, ref)
	require.NoError(t, err)
	require.Equal(t, wanted.Number, found.Number)
	require.Equal(t, wanted.Currency, found.Currency)
	requireAmount(t, wanted.Amount, found.Total)
}

// testAnswerLost: the ERP commits, nobody hears of it. The adapter must say that it does not know, and the repeat must find what is there.
func (s *stage) testAnswerLost(t *testing.T, m mutation) {
	ctx, key, doc := s.ctx(t), s.key(), m.prepare(t)
	s.DropAfter(t, m.operation)
	_, err := doc.send(ctx, key)
	requireKind(t, err, fault.UnknownOutcome)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name), "the first try was committed")
	id, err := doc.send(ctx, key)
	require.NoError(t, err)
	again, err := doc.send(ctx, key)
	require.NoError(t, err)
	require.Equal(t, id, again)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

func (s *stage) testRepeated(t *testing.T, m mutation) {
	ctx, key, doc := s.ctx(t), s.key(), m.prepare(t)
	first, err := doc.send(ctx, key)
	require.NoError(t, err)
	second, err := doc.send(ctx, key)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

// testAtOnce: workers that race with one operation make one document; who comes too early is told to wait.
func (s *stage) testAtOnce(t *testing.T, m mutation) {
	ctx, key, doc := s.ctx(t), s.key(), m.prepare(t)
	const workers = 10
	ids, failures := make([]string, workers), make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			ids[worker], failures[worker] = patiently(ctx, key, doc.send)
		})
	}
	group.Wait()
	for worker := range workers {
		require.NoError(t, failures[worker])
		require.Equal(t, ids[0], ids[worker])
	}
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

func (s *stage) testAdopted(t *testing.T, m mutation) {
	ctx, doc := s.ctx(t), m.prepare(t)
	first, err := doc.send(ctx, s.key())
	require.NoError(t, err)
	second, err := doc.send(ctx, s.key())
	require.NoError(t, err, "an identical document is adopted")
	require.Equal(t, first, second)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

func (s *stage) testDifferent(t *testing.T, m mutation) {
	ctx, doc := s.ctx(t), m.prepare(t)
	_, err := doc.send(ctx, s.key())
	require.NoError(t, err)
	_, err = doc.sendOther(ctx, s.key())
	requireKind(t, err, fault.Conflict)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

// testReplaced: the document of the same name takes the place of the former one.
func (s *stage) testReplaced(t *testing.T, m mutation) {
	ctx, doc := s.ctx(t), m.prepare(t)
	first, err := doc.send(ctx, s.key())
	require.NoError(t, err)
	second, err := doc.sendOther(ctx, s.key())
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

func (s *stage) testKeyReused(t *testing.T, m mutation) {
	ctx, key, doc := s.ctx(t), s.key(), m.prepare(t)
	_, err := doc.send(ctx, key)
	require.NoError(t, err)
	_, err = doc.sendOther(ctx, key)
	requireKind(t, err, fault.Bug, fault.Conflict)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

// testGivenUp: a caller that gave up before it began has sent nothing.
func (s *stage) testGivenUp(t *testing.T, m mutation) {
	ctx, doc := s.ctx(t), m.prepare(t)
	before := s.Count(t, m.ledger, doc.name)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := doc.send(gone, s.key())
	requireKind(t, err, fault.Connection)
	require.Equal(t, before, s.Count(t, m.ledger, doc.name))
}

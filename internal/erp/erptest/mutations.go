package erptest

import (
	"context"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
)

// mutation is one operation as the suite repeats, races and cuts it. However often it is sent, one document is left.
type mutation struct {
	operation Operation
	ledger    Ledger
	variant   string // what sets it apart from another mutation of the same operation
	named     bool   // a repeat under another key is recognised; otherwise the idempotency key alone tells repeats from new ones
	varies    bool   // two documents can share a name and differ otherwise: sendOther
	replaces  bool   // the later one of those takes the place of the former
	prepare   func(t *testing.T) document
}

func (m mutation) name() string { return strings.TrimSpace(string(m.operation) + " " + m.variant) }

// send sends a prepared document under a key and gives what names the outcome.
type send func(ctx context.Context, key string) (id string, err error)

// document is a mutation ready to be sent.
type document struct {
	name      string
	send      send
	sendOther send // the same name with another amount or text, where there is such a thing
}

func (s *stage) mutations() []mutation {
	all := []mutation{
		{operation: PutCustomer, ledger: Customers, named: true, varies: true, replaces: true, prepare: s.preparePutCustomer},
		{operation: CreateSalesOrder, ledger: SalesOrders, named: true, varies: true, prepare: s.prepareCreateSalesOrder},
		{operation: ChangeSalesOrder, ledger: SalesOrders, named: true, prepare: s.prepareChangeSalesOrder},
		{operation: ChangeSalesOrder, variant: "out of hold", ledger: SalesOrders, named: true, prepare: s.prepareReleaseSalesOrder},
		{operation: CancelSalesOrder, ledger: SalesOrders, named: true, prepare: s.prepareCancelSalesOrder},
		{operation: CreateInvoice, ledger: Invoices, named: true, prepare: s.prepareCreateInvoice},
		{operation: PostReceipt, ledger: Payments, named: true, varies: true, prepare: s.preparePostReceipt},
		{operation: PostReceipt, variant: "without invoice", ledger: Payments, named: true, varies: true, prepare: s.preparePostDeposit},
		{operation: ReverseReceipt, ledger: Payments, named: true, varies: true, prepare: s.prepareReverseReceipt},
		{operation: PostRefund, ledger: Payments, named: true, varies: true, prepare: s.preparePostRefund},
		{operation: CreateCreditMemo, ledger: CreditMemos, varies: true, prepare: s.prepareCreateCreditMemo},
		{operation: SetPaymentStatus, ledger: SalesOrders, named: true, prepare: s.prepareSetPaymentStatus},
	}
	if s.Changes != nil {
		all = append(all,
			mutation{operation: Acknowledge, ledger: CreditMemos, named: true, prepare: s.prepareAcknowledge},
			mutation{operation: SetTracking, ledger: SalesOrders, named: true, prepare: s.prepareSetTracking},
			mutation{operation: ApplyDeposit, ledger: Payments, named: true, varies: true, prepare: s.prepareApplyDeposit})
	}
	if s.Journals != nil {
		all = append(all,
			mutation{operation: PostJournal, ledger: Journals, named: true, varies: true, prepare: s.preparePostJournal},
			mutation{operation: PostAPInvoice, ledger: APInvoices, named: true, varies: true, prepare: s.preparePostAPInvoice})
	}
	return all
}

// another amount than the given one.
func another(amount decimal.Decimal) decimal.Decimal { return amount.Sub(decimal.NewFromInt(1)) }

func (s *stage) preparePutCustomer(*testing.T) document {
	wanted := Customer{Code: s.customerCode(), ExternalID: s.name("X"), Name: "Ada Park", Currency: s.Company.Currency}
	put := func(customer Customer) send {
		return func(ctx context.Context, key string) (string, error) {
			made, err := s.Port.PutCustomer(ctx, key, s.Documents.Customer(customer))
			return made.Code, err
		}
	}
	other := wanted
	other.Name = "Ada Lovelace"
	return document{name: wanted.Code, send: put(wanted), sendOther: put(other)}
}

func (s *stage) prepareCreateSalesOrder(*testing.T) document {
	wanted := s.salesOrder()
	create := func(order SalesOrder) send {
		return func(ctx context.Context, key string) (string, error) {
			made, err := s.Port.CreateSalesOrder(ctx, key, s.Documents.SalesOrder(order))
			return made.Number, err
		}
	}
	other := wanted
	other.UnitPrice = another(wanted.UnitPrice)
	return document{name: wanted.OrderNumber, send: create(wanted), sendOther: create(other)}
}

func (s *stage) prepareChangeSalesOrder(t *testing.T) document {
	return s.changeOf(s.makeOrder(t), erp.SalesOrderHold)
}

func (s *stage) prepareReleaseSalesOrder(t *testing.T) document {
	order := s.makeOrder(t)
	s.change(t, order.Number, erp.SalesOrderHold)
	return s.changeOf(order, erp.SalesOrderOpen)
}

func (s *stage) changeOf(order canonical.SalesOrder, state erp.SalesOrderState) document {
	return document{name: order.OrderNumber, send: func(ctx context.Context, key string) (string, error) {
		changed, err := s.Port.ChangeSalesOrder(ctx, key, erp.SalesOrderChange{Number: order.Number, State: state})
		return changed.Number + changed.Status, err
	}}
}

func (s *stage) prepareCancelSalesOrder(t *testing.T) document {
	order := s.makeOrder(t)
	return document{name: order.OrderNumber, send: func(ctx context.Context, key string) (string, error) {
		cancelled, err := s.Port.CancelSalesOrder(ctx, key, s.cancellation(order.Number))
		return cancelled.Number + cancelled.Status, err
	}}
}

func (s *stage) prepareCreateInvoice(t *testing.T) document {
	order := s.makeReady(t)
	return document{name: order.Number, send: func(ctx context.Context, key string) (string, error) {
		invoice, err := s.Port.CreateInvoice(ctx, key, s.Documents.Invoice(order.Number))
		return invoice.Number, err
	}}
}

func (s *stage) preparePostReceipt(t *testing.T) document {
	_, invoice := s.makeInvoice(t)
	return s.posting(s.receipt(invoice.Number))
}

func (s *stage) preparePostDeposit(*testing.T) document { return s.posting(s.receipt("")) }

func (s *stage) posting(wanted Receipt) document {
	post := func(receipt Receipt) send {
		return func(ctx context.Context, key string) (string, error) {
			posted, err := s.Port.PostReceipt(ctx, key, s.Documents.Receipt(receipt))
			return posted.Reference + posted.Journal, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Reference, send: post(wanted), sendOther: post(other)}
}

func (s *stage) prepareReverseReceipt(t *testing.T) document {
	_, receipt := s.makeReceipt(t)
	wanted := s.reversal(receipt)
	reverse := func(reversal erp.ReceiptReversal) send {
		return func(ctx context.Context, key string) (string, error) {
			posted, err := s.Port.ReverseReceipt(ctx, key, reversal)
			return posted.Reference + posted.Journal, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Reference, send: reverse(wanted), sendOther: reverse(other)}
}

func (s *stage) preparePostRefund(t *testing.T) document {
	wanted := s.refund(s.makeCreditMemo(t))
	post := func(refund erp.RefundPosting) send {
		return func(ctx context.Context, key string) (string, error) {
			posted, err := s.Port.PostRefund(ctx, key, refund)
			return posted.Reference + posted.Journal, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Reference, send: post(wanted), sendOther: post(other)}
}

func (s *stage) prepareCreateCreditMemo(t *testing.T) document {
	_, invoice := s.makeInvoice(t)
	wanted := s.creditMemo(invoice.Number)
	create := func(memo CreditMemo) send {
		return func(ctx context.Context, key string) (string, error) {
			made, err := s.Port.CreateCreditMemo(ctx, key, s.Documents.CreditMemo(memo))
			return made.Number, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Reference, send: create(wanted), sendOther: create(other)}
}

func (s *stage) prepareSetPaymentStatus(t *testing.T) document {
	order := s.makeOrder(t)
	change := s.paymentStatus(order.Number, erp.TagCaptured)
	return document{name: order.OrderNumber, send: func(ctx context.Context, key string) (string, error) {
		return "", s.Port.SetPaymentStatus(ctx, key, change)
	}}
}

func (s *stage) prepareAcknowledge(t *testing.T) document {
	memo := s.makeCreditMemo(t)
	acknowledged := s.acknowledgement(memo)
	return document{name: memo.Reference, send: func(ctx context.Context, key string) (string, error) {
		return "", s.Changes.AcknowledgeCreditMemo(ctx, key, acknowledged)
	}}
}

func (s *stage) prepareSetTracking(t *testing.T) document {
	order := s.makeOrder(t)
	tracking := s.tracking(order.Number)
	return document{name: order.OrderNumber, send: func(ctx context.Context, key string) (string, error) {
		return "", s.Changes.SetTracking(ctx, key, tracking)
	}}
}

func (s *stage) prepareApplyDeposit(t *testing.T) document {
	_, invoice := s.makeInvoice(t)
	wanted := s.application(s.makeDeposit(t), invoice.Number)
	apply := func(application erp.DepositApplication) send {
		return func(ctx context.Context, key string) (string, error) {
			applied, err := s.Changes.ApplyDeposit(ctx, key, application)
			return applied.Reference + applied.Journal, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Reference, send: apply(wanted), sendOther: apply(other)}
}

func (s *stage) preparePostJournal(*testing.T) document {
	wanted, other := s.journal(), s.journal()
	other.Reference = wanted.Reference
	other.Lines[0].Debit, other.Lines[1].Credit = another(other.Lines[0].Debit), another(other.Lines[1].Credit)
	return document{
		name: wanted.Reference,
		send: func(ctx context.Context, key string) (string, error) {
			posted, err := s.Journals.PostJournal(ctx, key, wanted)
			return posted.Number, err
		},
		sendOther: func(ctx context.Context, key string) (string, error) {
			posted, err := s.Journals.PostJournal(ctx, key, other)
			return posted.Number, err
		},
	}
}

func (s *stage) preparePostAPInvoice(*testing.T) document {
	wanted := s.apInvoice()
	post := func(invoice APInvoice) send {
		return func(ctx context.Context, key string) (string, error) {
			posted, err := s.Journals.PostAPInvoice(ctx, key, s.Documents.APInvoice(invoice))
			return posted.Number, err
		}
	}
	other := wanted
	other.Amount = another(wanted.Amount)
	return document{name: wanted.Number, send: post(wanted), sendOther: post(other)}
}

package erptest

import (
	"context"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// refusal is a call that the ERP has to refuse. Codes are part of the contract: by them a process chooses what it suggests to a person.
type refusal struct {
	name string
	kind fault.Kind
	code string // "": adapters may differ
	call func(ctx context.Context, t *testing.T) error
}

// refusedSomehow stands for Conflict or DeclinedByPolicy: whether it is a state or a rule that forbids a step is for the ERP to say.
const refusedSomehow fault.Kind = ""

// testRefusals holds an adapter to the kinds and codes of what can't be done.
func (s *stage) testRefusals(t *testing.T) {
	cases := append(s.refusedOrders(), s.refusedReceivables()...)
	if s.Changes != nil {
		cases = append(cases, s.refusedChanges()...)
	}
	if s.Journals != nil {
		cases = append(cases, s.refusedLedger()...)
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			kinds := []fault.Kind{tc.kind}
			if tc.kind == refusedSomehow {
				kinds = []fault.Kind{fault.Conflict, fault.DeclinedByPolicy}
			}
			f := requireKind(t, tc.call(s.ctx(t), t), kinds...)
			require.NotEmpty(t, f.Message, "a person has to understand it")
			if tc.code != "" {
				require.Equal(t, tc.code, f.Code)
			}
		})
	}
}

const (
	unknownOrder    = "ORDER_NOT_FOUND"
	unknownCustomer = "CUSTOMER_NOT_FOUND"
	unknownStock    = "STOCK_NOT_FOUND"
	unknownInvoice  = "INVOICE_NOT_FOUND" // credit memos too
	unknownPayment  = "PAYMENT_NOT_FOUND"
	unknownAccount  = "ACCOUNT_NOT_FOUND"
	unknownSupplier = "SUPPLIER_NOT_FOUND"
	overpaid        = "INVOICE_OVERPAID"
	sameReference   = "DUPLICATE_REFERENCE"
)

func (s *stage) refusedOrders() []refusal {
	create := func(spoil func(*SalesOrder)) func(context.Context, *testing.T) error {
		return func(ctx context.Context, _ *testing.T) error {
			order := s.salesOrder()
			spoil(&order)
			_, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(order))
			return err
		}
	}
	return []refusal{
		{"order of an unknown customer", fault.MissingReference, unknownCustomer, create(func(o *SalesOrder) { o.Customer = s.customerCode() })},
		{"order of an unknown item", fault.MissingReference, unknownStock, create(func(o *SalesOrder) { o.StockCode = s.stockCode() })},
		{"order of a customer on hold", fault.DeclinedByPolicy, "CUSTOMER_ON_HOLD", create(func(o *SalesOrder) { o.Customer = s.Company.HeldCustomer })},
		{"order number that is taken", fault.Conflict, sameReference, func(ctx context.Context, t *testing.T) error {
			other := s.salesOrder()
			other.OrderNumber, other.UnitPrice = s.makeOrder(t).OrderNumber, another(other.UnitPrice)
			_, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(other))
			return err
		}},
		{"state of an unknown order", fault.MissingReference, unknownOrder, func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.ChangeSalesOrder(ctx, s.key(), erp.SalesOrderChange{Number: s.number(), State: erp.SalesOrderReady})
			return err
		}},
		{"state that there is not", fault.Bug, "", func(ctx context.Context, t *testing.T) error {
			_, err := s.Port.ChangeSalesOrder(ctx, s.key(), erp.SalesOrderChange{Number: s.makeOrder(t).Number, State: "asleep"})
			return err
		}},
		{"cancellation of an unknown order", fault.MissingReference, unknownOrder, func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(s.number()))
			return err
		}},
		{"cancellation of what is invoiced", fault.Conflict, "ORDER_NOT_CANCELLABLE", func(ctx context.Context, t *testing.T) error {
			order, _ := s.makeInvoice(t)
			_, err := s.Port.CancelSalesOrder(ctx, s.key(), s.cancellation(order.Number))
			return err
		}},
		{"payment status of an unknown order", fault.MissingReference, unknownOrder, func(ctx context.Context, _ *testing.T) error {
			return s.Port.SetPaymentStatus(ctx, s.key(), s.paymentStatus(s.number(), erp.TagCaptured))
		}},
		{"payment status of an unknown invoice", fault.MissingReference, unknownInvoice, func(ctx context.Context, _ *testing.T) error {
			change := s.paymentStatus("", erp.TagPaid)
			change.Invoice = s.number()
			return s.Port.SetPaymentStatus(ctx, s.key(), change)
		}},
		{"no key", fault.Bug, "", func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.CreateSalesOrder(ctx, "", s.Documents.SalesOrder(s.salesOrder()))
			return err
		}},
		{"no document", fault.Value, "", func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.CreateSalesOrder(ctx, s.key(), erp.Document{Body: []byte(`"an order"`)})
			return err
		}},
		{"look-up without a number", fault.Bug, "", func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{})
			return err
		}},
	}
}

func (s *stage) refusedReceivables() []refusal {
	receive := func(spoil func(*Receipt)) func(context.Context, *testing.T) error {
		return func(ctx context.Context, t *testing.T) error {
			_, invoice := s.makeInvoice(t)
			receipt := s.receipt(invoice.Number)
			spoil(&receipt)
			_, err := s.Port.PostReceipt(ctx, s.key(), s.Documents.Receipt(receipt))
			return err
		}
	}
	refund := func(spoil func(*erp.RefundPosting)) func(context.Context, *testing.T) error {
		return func(ctx context.Context, t *testing.T) error {
			posting := s.refund(s.makeCreditMemo(t))
			spoil(&posting)
			_, err := s.Port.PostRefund(ctx, s.key(), posting)
			return err
		}
	}
	return []refusal{
		{"invoice of an unknown order", fault.MissingReference, unknownOrder, func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.CreateInvoice(ctx, s.key(), s.Documents.Invoice(s.number()))
			return err
		}},
		{"receipt on an unknown invoice", fault.MissingReference, unknownInvoice, receive(func(r *Receipt) { r.Invoice = s.number() })},
		{"receipt of an unknown customer", fault.MissingReference, unknownCustomer, receive(func(r *Receipt) { r.Customer = s.customerCode() })},
		{"receipt of more than is open", fault.Conflict, overpaid, receive(func(r *Receipt) { r.Amount = total.Add(cent) })},
		{"receipt of nothing", fault.Value, "", receive(func(r *Receipt) { r.Amount = decimal.Zero })},
		{"reversal of an unknown receipt", fault.MissingReference, unknownPayment, func(ctx context.Context, t *testing.T) error {
			_, receipt := s.makeReceipt(t)
			reversal := s.reversal(receipt)
			reversal.Source = s.name("P")
			_, err := s.Port.ReverseReceipt(ctx, s.key(), reversal)
			return err
		}},
		{"reversal of what is reversed", refusedSomehow, "", func(ctx context.Context, t *testing.T) error {
			_, receipt := s.makeReceipt(t)
			_, err := s.Port.ReverseReceipt(ctx, s.key(), s.reversal(receipt))
			require.NoError(t, err)
			_, err = s.Port.ReverseReceipt(ctx, s.key(), s.reversal(receipt))
			return err
		}},
		{"credit of an unknown invoice", fault.MissingReference, unknownInvoice, func(ctx context.Context, _ *testing.T) error {
			_, err := s.Port.CreateCreditMemo(ctx, s.key(), s.Documents.CreditMemo(s.creditMemo(s.number())))
			return err
		}},
		{"refund against an unknown credit memo", fault.MissingReference, unknownInvoice, refund(func(r *erp.RefundPosting) { r.CreditMemo = s.number() })},
		{"credit of more than was invoiced", refusedSomehow, "", func(ctx context.Context, t *testing.T) error {
			_, invoice := s.makeInvoice(t)
			memo := s.creditMemo(invoice.Number)
			memo.Amount = total.Add(cent)
			_, err := s.Port.CreateCreditMemo(ctx, s.key(), s.Documents.CreditMemo(memo))
			return err
		}},
		{"refund of more than was credited", fault.Conflict, overpaid, refund(func(r *erp.RefundPosting) { r.Amount = total.Add(cent) })},
	}
}

func (s *stage) refusedChanges() []refusal {
	apply := func(spoil func(*erp.DepositApplication)) func(context.Context, *testing.T) error {
		return func(ctx context.Context, t *testing.T) error {
			_, invoice := s.makeInvoice(t)
			application := s.application(s.makeDeposit(t), invoice.Number)
			spoil(&application)
			_, err := s.Changes.ApplyDeposit(ctx, s.key(), application)
			return err
		}
	}
	return []refusal{
		{"tracking of an unknown order", fault.MissingReference, unknownOrder, func(ctx context.Context, _ *testing.T) error {
			return s.Changes.SetTracking(ctx, s.key(), s.tracking(s.number()))
		}},
		{"acknowledgement of an unknown credit memo", fault.MissingReference, unknownInvoice, func(ctx context.Context, t *testing.T) error {
			acknowledgement := s.acknowledgement(s.makeCreditMemo(t))
			acknowledgement.Number = s.number()
			return s.Changes.AcknowledgeCreditMemo(ctx, s.key(), acknowledgement)
		}},
		{"application of an unknown deposit", fault.MissingReference, unknownPayment, apply(func(a *erp.DepositApplication) { a.Source = s.name("P") })},
		{"application to an unknown invoice", fault.MissingReference, unknownInvoice, apply(func(a *erp.DepositApplication) { a.Invoice = s.number() })},
		{"application of more than is open", fault.Conflict, overpaid, func(ctx context.Context, t *testing.T) error {
			invoice, _ := s.makeReceipt(t) // paid
			_, err := s.Changes.ApplyDeposit(ctx, s.key(), s.application(s.makeDeposit(t), invoice.Number))
			return err
		}},
		{"look-up of an unknown deposit", fault.NotFound, "", func(ctx context.Context, _ *testing.T) error {
			_, err := s.Changes.FindDeposit(ctx, s.name("P"))
			return err
		}},
	}
}

func (s *stage) refusedLedger() []refusal {
	owe := func(spoil func(*APInvoice)) func(context.Context, *testing.T) error {
		return func(ctx context.Context, _ *testing.T) error {
			invoice := s.apInvoice()
			spoil(&invoice)
			_, err := s.Journals.PostAPInvoice(ctx, s.key(), s.Documents.APInvoice(invoice))
			return err
		}
	}
	return []refusal{
		{"journal on an unknown account", fault.MissingReference, unknownAccount, func(ctx context.Context, _ *testing.T) error {
			entry := s.journal()
			entry.Lines[1].Account = s.account()
			_, err := s.Journals.PostJournal(ctx, s.key(), entry)
			return err
		}},
		{"journal reference that is taken", fault.Conflict, sameReference, func(ctx context.Context, t *testing.T) error {
			entry := s.journal()
			_, err := s.Journals.PostJournal(ctx, s.key(), entry)
			require.NoError(t, err)
			other := s.journal()
			other.Reference = entry.Reference
			other.Lines[0].Debit, other.Lines[1].Credit = cent, cent
			_, err = s.Journals.PostJournal(ctx, s.key(), other)
			return err
		}},
		{"invoice of an unknown supplier", fault.MissingReference, unknownSupplier, owe(func(i *APInvoice) { i.Supplier = s.supplier() })},
		{"invoice on an unknown account", fault.MissingReference, unknownAccount, owe(func(i *APInvoice) { i.Account = s.account() })},
	}
}

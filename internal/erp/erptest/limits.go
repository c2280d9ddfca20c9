package erptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// draft is a document that the ERP would take, before somebody writes too much into it.
type draft struct {
	operation Operation
	ledger    Ledger
	make      func(t *testing.T) (name string, doc erp.Document)
	send      func(ctx context.Context, key string, doc erp.Document) error
}

// drafts are the operations that take a mapped document.
func (s *stage) drafts() []draft {
	all := []draft{
		{PutCustomer, Customers, func(*testing.T) (string, erp.Document) {
			wanted := Customer{Code: s.customerCode(), ExternalID: s.name("X"), Name: "Ada Park", Currency: s.Company.Currency}
			return wanted.Code, s.Documents.Customer(wanted)
		}, func(ctx context.Context, key string, doc erp.Document) error {
			_, err := s.Port.PutCustomer(ctx, key, doc)
			return err
		}},
		{CreateSalesOrder, SalesOrders, func(*testing.T) (string, erp.Document) {
			wanted := s.salesOrder()
			return wanted.OrderNumber, s.Documents.SalesOrder(wanted)
		}, func(ctx context.Context, key string, doc erp.Document) error {
			_, err := s.Port.CreateSalesOrder(ctx, key, doc)
			return err
		}},
		{CreateInvoice, Invoices, func(t *testing.T) (string, erp.Document) {
			order := s.makeReady(t)
			return order.Number, s.Documents.Invoice(order.Number)
		}, func(ctx context.Context, key string, doc erp.Document) error {
			_, err := s.Port.CreateInvoice(ctx, key, doc)
			return err
		}},
		{PostReceipt, Payments, func(t *testing.T) (string, erp.Document) {
			_, invoice := s.makeInvoice(t)
			wanted := s.receipt(invoice.Number)
			return wanted.Reference, s.Documents.Receipt(wanted)
		}, func(ctx context.Context, key string, doc erp.Document) error {
			_, err := s.Port.PostReceipt(ctx, key, doc)
			return err
		}},
		{CreateCreditMemo, CreditMemos, func(t *testing.T) (string, erp.Document) {
			_, invoice := s.makeInvoice(t)
			wanted := s.creditMemo(invoice.Number)
			return wanted.Reference, s.Documents.CreditMemo(wanted)
		}, func(ctx context.Context, key string, doc erp.Document) error {
			_, err := s.Port.CreateCreditMemo(ctx, key, doc)
			return err
		}},
	}
	if s.Journals == nil {
		return all
	}
	return append(all, draft{PostAPInvoice, APInvoices, func(*testing.T) (string, erp.Document) {
		wanted := s.apInvoice()
		return wanted.Number, s.Documents.APInvoice(wanted)
	}, func(ctx context.Context, key string, doc erp.Document) error {
		_, err := s.Journals.PostAPInvoice(ctx, key, doc)
		return err
	}})
}

// testFieldLimits: what fits a field to its last character is taken, in whatever letters; one character more is refused by the field's name
// with what fits, and never cut.
func (s *stage) testFieldLimits(t *testing.T) {
	for _, d := range s.drafts() {
		limits := s.Limits[d.operation]
		require.NotEmpty(t, limits, "the harness names the text fields of every document")
		t.Run(string(d.operation)+" filled", func(t *testing.T) {
			name, doc := d.make(t)
			for _, limit := range limits {
				if !limit.Names {
					doc = with(t, doc, limit.Field, strings.Repeat("é", limit.Longest))
				}
			}
			require.NoError(t, d.send(s.ctx(t), s.key(), doc))
			require.Equal(t, 1, s.Count(t, d.ledger, name))
		})
		t.Run(string(d.operation)+" over", func(t *testing.T) {
			name, good := d.make(t)
			for _, limit := range limits {
				err := d.send(s.ctx(t), s.key(), with(t, good, limit.Field, strings.Repeat("X", limit.Longest+1)))
				f := requireKind(t, err, fault.Value)
				at := slices.IndexFunc(f.Fields, func(field fault.Field) bool { return field.Path == limit.Field })
				require.GreaterOrEqual(t, at, 0, "%s: %v", limit.Field, err)
				require.Equal(t, fmt.Sprintf("FIELD_TOO_LONG: at most %d characters", limit.Longest), f.Fields[at].Rule, limit.Field)
				require.Zero(t, s.Count(t, d.ledger, name), limit.Field)
			}
			require.NoError(t, d.send(s.ctx(t), s.key(), good))
		})
	}
}

// with gives a copy of a document with a text at a path such as "LineItems[0].Description". What is not there on the way is made.
func with(t *testing.T, doc erp.Document, path, text string) erp.Document {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(doc.Body))
	decoder.UseNumber()
	var body any
	require.NoError(t, decoder.Decode(&body))
	written, err := json.Marshal(put(t, body, strings.Split(strings.ReplaceAll(path, "[", ".["), "."), text))
	require.NoError(t, err)
	doc.Body = written
	return doc
}

func put(t *testing.T, at any, path []string, text string) any {
	t.Helper()
	if len(path) == 0 {
		return text
	}
	if index, isIndex := strings.CutPrefix(path[0], "["); isIndex {
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		require.NoError(t, err)
		list, _ := at.([]any)
		for len(list) <= i {
			list = append(list, nil)
		}
		list[i] = put(t, list[i], path[1:], text)
		return list
	}
	object, isObject := at.(map[string]any)
	if !isObject {
		object = map[string]any{}
	}
	object[path[0]] = put(t, object[path[0]], path[1:], text)
	return object
}

// testLongestNames: names that take all of a key and differ in their last character are two, and each is found by the whole of it.
func (s *stage) testLongestNames(t *testing.T) {
	ctx := s.ctx(t)
	orders := map[string]string{}
	for _, name := range s.full("O", s.Company.Longest.Order) {
		wanted := s.salesOrder()
		wanted.OrderNumber = name
		made, err := s.Port.CreateSalesOrder(ctx, s.key(), s.Documents.SalesOrder(wanted))
		require.NoError(t, err)
		require.NotContains(t, orders, made.Number)
		orders[made.Number] = name
	}
	for number, name := range orders {
		found, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: name})
		require.NoError(t, err)
		require.Equal(t, number, found.Number)
		require.Equal(t, name, found.OrderNumber)
	}

	s.twoOf(t, "P", s.Port.FindReceipt, func(reference string) error {
		wanted := s.receipt("")
		wanted.Reference = reference
		_, err := s.Port.PostReceipt(ctx, s.key(), s.Documents.Receipt(wanted))
		return err
	})
	memo := s.makeCreditMemo(t)
	s.twoOf(t, "F", s.Port.FindReceipt, func(reference string) error {
		wanted := s.refund(memo)
		wanted.Reference, wanted.Amount = reference, cent
		_, err := s.Port.PostRefund(ctx, s.key(), wanted)
		return err
	})
	for _, reference := range s.full("M", s.Company.Longest.Reference) {
		_, invoice := s.makeInvoice(t)
		wanted := s.creditMemo(invoice.Number)
		wanted.Reference = reference
		made, err := s.Port.CreateCreditMemo(ctx, s.key(), s.Documents.CreditMemo(wanted))
		require.NoError(t, err)
		require.Equal(t, reference, made.Reference)
		require.Equal(t, 1, s.Count(t, CreditMemos, reference))
	}
	if s.Journals == nil {
		return
	}
	numbers := map[string]bool{}
	for _, reference := range s.full("J", s.Company.Longest.Reference) {
		entry := s.journal()
		entry.Reference = reference
		_, err := s.Journals.PostJournal(ctx, s.key(), entry)
		require.NoError(t, err)
		found, err := s.Journals.FindJournal(ctx, reference)
		require.NoError(t, err)
		require.Equal(t, reference, found.Reference)
		numbers[found.Number] = true
	}
	require.Len(t, numbers, 2)
}

// twoOf posts two payments of references that differ in the last character, and finds both.
func (s *stage) twoOf(t *testing.T, kind string, find func(context.Context, string) (canonical.Receipt, error), post func(reference string) error) {
	t.Helper()
	for _, reference := range s.full(kind, s.Company.Longest.Reference) {
		_, err := find(s.ctx(t), reference)
		requireKind(t, err, fault.NotFound)
		require.NoError(t, post(reference))
		found, err := find(s.ctx(t), reference)
		require.NoError(t, err)
		require.Equal(t, reference, found.Reference)
		require.Equal(t, 1, s.Count(t, Payments, reference))
	}
}

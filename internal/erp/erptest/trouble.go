package erptest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// testSetback: a call that comes to nothing says so, leaves nothing behind, and is made up for under the same key.
func (s *stage) testSetback(t *testing.T, m mutation, setback Setback) {
	ctx, key, doc := s.ctx(t), s.key(), m.prepare(t)
	before := s.Count(t, m.ledger, doc.name)
	setback.Plant(t, m.operation)
	_, err := doc.send(ctx, key)
	requireKind(t, err, setback.Kind)
	require.Equal(t, before, s.Count(t, m.ledger, doc.name), "nothing is left of it")
	id, err := doc.send(ctx, key)
	require.NoError(t, err)
	again, err := doc.send(ctx, key)
	require.NoError(t, err)
	require.Equal(t, id, again)
	require.Equal(t, 1, s.Count(t, m.ledger, doc.name))
}

// testRecordHeld: while a person works on an order, who wants to change it is told to wait. Who only looks is not; and once the person has
// left, the same key serves.
func (s *stage) testRecordHeld(t *testing.T) {
	change := func(state erp.SalesOrderState) func(context.Context, string, string) error {
		return func(ctx context.Context, key, order string) error {
			_, err := s.Port.ChangeSalesOrder(ctx, key, erp.SalesOrderChange{Number: order, State: state})
			return err
		}
	}
	for name, tc := range map[string]struct {
		ready bool
		send  func(ctx context.Context, key, order string) error
	}{
		"hold":  {send: change(erp.SalesOrderHold)},
		"ready": {send: change(erp.SalesOrderReady)},
		"cancel": {send: func(ctx context.Context, key, order string) error {
			_, err := s.Port.CancelSalesOrder(ctx, key, s.cancellation(order))
			return err
		}},
		"invoice": {ready: true, send: func(ctx context.Context, key, order string) error {
			_, err := s.Port.CreateInvoice(ctx, key, s.Documents.Invoice(order))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, key, order := s.ctx(t), s.key(), s.makeOrder(t)
			if tc.ready {
				order = s.change(t, order.Number, erp.SalesOrderReady)
			}
			release := sync.OnceFunc(s.Hold(t, order.Number))
			defer release()
			requireKind(t, tc.send(ctx, key, order.Number), fault.Busy)
			found, err := s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: order.Number})
			require.NoError(t, err)
			require.Equal(t, order.Status, found.Status, "it is as it was")
			require.Zero(t, s.Count(t, Invoices, order.Number))
			release()
			require.NoError(t, tc.send(ctx, key, order.Number))
		})
	}
}

// testExclusiveUse: while somebody uses the ERP alone, everything waits, and is told for how long, so that it is tried for hours.
func (s *stage) testExclusiveUse(t *testing.T) {
	if s.Exclusive == nil {
		t.Skip("nobody can use this ERP alone")
	}
	ctx, key, order, wanted := s.ctx(t), s.key(), s.makeOrder(t), s.salesOrder()
	busy := func(err error) {
		f := requireKind(t, err, fault.Busy)
		require.Positive(t, f.RetryAfter, "%v", err)
		require.Equal(t, "ERP_BUSY", f.Code)
	}
	release := sync.OnceFunc(s.Exclusive(t))
	defer release()
	_, err := s.Port.CreateSalesOrder(ctx, key, s.Documents.SalesOrder(wanted))
	busy(err)
	_, err = s.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: order.Number})
	busy(err)
	_, err = s.Port.ChangeSalesOrder(ctx, s.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderHold})
	busy(err)
	release()
	require.Zero(t, s.Count(t, SalesOrders, wanted.OrderNumber))
	_, err = s.Port.CreateSalesOrder(ctx, key, s.Documents.SalesOrder(wanted))
	require.NoError(t, err)
	require.Equal(t, 1, s.Count(t, SalesOrders, wanted.OrderNumber))
}

// testTogether: workers that do different things to one customer and one item at the same time all get through, or are told to wait, and the
// ERP's running totals are right afterwards.
func (s *stage) testTogether(t *testing.T) {
	ctx := s.ctx(t)
	own := newStage(s.Harness)
	own.Company.Customer = s.customerCode()
	customer := own.Documents.Customer(Customer{Code: own.Company.Customer, ExternalID: s.name("X"), Name: "Ada Park", Currency: s.Company.Currency})
	_, err := s.Port.PutCustomer(ctx, s.key(), customer)
	require.NoError(t, err)

	type job struct {
		mutation mutation
		document document
		err      error
	}
	var jobs []*job
	for _, m := range own.mutations() {
		jobs = append(jobs, &job{mutation: m, document: m.prepare(t)})
	}
	jobs = append(jobs, &job{mutation: mutation{operation: PutCustomer, ledger: Customers}, document: document{name: own.Company.Customer,
		send: func(ctx context.Context, key string) (string, error) {
			made, err := s.Port.PutCustomer(ctx, key, customer)
			return made.Code, err
		}}})
	require.GreaterOrEqual(t, len(jobs), 10)

	var group sync.WaitGroup
	for _, each := range jobs {
		key := s.key()
		group.Go(func() { _, each.err = patiently(ctx, key, each.document.send) })
	}
	group.Wait()
	for _, each := range jobs {
		require.NoError(t, each.err, each.mutation.name())
		require.Equal(t, 1, s.Count(t, each.mutation.ledger, each.document.name), each.mutation.name())
	}
	require.Empty(t, s.Drift(t))
}

// patiently sends again what is told to wait.
func patiently(ctx context.Context, key string, send send) (id string, err error) {
	id, err = send(ctx, key)
	for fault.Is(err, fault.Busy) && ctx.Err() == nil {
		id, err = send(ctx, key)
	}
	return id, err
}

// testNothingDrifted comes last: whatever the suite did, the running totals are what the documents come to.
func (s *stage) testNothingDrifted(t *testing.T) { require.Empty(t, s.Drift(t)) }

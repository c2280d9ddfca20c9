package sagepro_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// However a transaction comes to its end, the fault says what is known of it, and the same key brings it to the one right end.
func TestAnOrderSurvivesWhateverTheDatabaseDoes(t *testing.T) {
	cases := []struct {
		route, mode, code string
		kind              fault.Kind
		made              bool
	}{
		{"INSERT somast", "drop_after", "COMMIT_UNANSWERED", fault.UnknownOutcome, true},
		{"INSERT somast", "drop_before", "COMMIT_UNANSWERED", fault.UnknownOutcome, false},
		{"INSERT sotran", "deadlock", "DEADLOCK", fault.Busy, false},
		{"UPDATE arcust", "locked", "RECORD_LOCKED", fault.Busy, false},
		{"UPDATE sycnext", "busy", "ERP_BUSY", fault.Busy, false},
	}
	onEach(t, func(t *testing.T, d *desk) {
		for _, tc := range cases {
			t.Run(tc.mode, func(t *testing.T) {
				order, key := d.order(), d.key()
				d.plant(t, tc.route, tc.mode)
				_, err := d.CreateSalesOrder(t.Context(), key, order.document(t))
				f := requireFault(t, err, tc.kind, tc.code)
				require.Equal(t, tc.code == "ERP_BUSY", f.RetryAfter == 30*time.Second)
				_, err = d.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: order["orderNumber"].(string)})
				require.Equal(t, tc.made, err == nil, "%v", err)
				first, err := d.CreateSalesOrder(t.Context(), key, order.document(t))
				require.NoError(t, err)
				again, err := d.CreateSalesOrder(t.Context(), key, order.document(t))
				require.NoError(t, err)
				require.Equal(t, first, again, "the stored answer")
				require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM somast WHERE ponum = ?", order["orderNumber"]))
				d.requireNoDrift(t)
			})
		}
		_, err := d.CreateSalesOrder(t.Context(), "", d.order().document(t))
		require.True(t, fault.Is(err, fault.Bug), "a mutation without a key")
		key := d.key()
		_, err = d.CreateSalesOrder(t.Context(), key, d.order().document(t))
		require.NoError(t, err)
		_, err = d.CreateSalesOrder(t.Context(), key, d.order().document(t))
		requireFault(t, err, fault.Bug, "IDEMPOTENCY_KEY_REUSED")
		order := d.place(t, d.order())
		_, err = d.ChangeSalesOrder(t.Context(), key, erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderHold})
		requireFault(t, err, fault.Bug, "IDEMPOTENCY_KEY_REUSED")
	})
}

// A read that comes to nothing may be repeated: nothing is unknown about it.
func TestALookUpThatBreaksOffIsAConnectionFault(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.place(t, d.order())
		d.plant(t, "SELECT somast", "drop_after")
		_, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: "10245"})
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
		d.plant(t, "SELECT icitem", "busy")
		_, err = d.Stock(t.Context(), erp.StockQuery{StockCodes: []string{"A100"}})
		requireFault(t, err, fault.Busy, "ERP_BUSY")
	})
}

func TestARecordThatIsOpenOnAScreenIsWaitedFor(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		patient := d.client(t, func(c *sagepro.Config) { c.StaleLock = time.Hour })
		hold := func(client *sagepro.Client) error {
			_, err := client.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderHold})
			return err
		}
		d.Post(t, "locks", paper{"Table": "somast", "Key": order.Number, "User": "ANNA", "MinutesAgo": 120}, nil)
		f := requireFault(t, hold(d.Client), fault.Busy, "RECORD_LOCKED")
		require.Contains(t, f.Message, "ANNA")
		_, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: order.Number})
		require.NoError(t, err, "looking disturbs nobody")
		require.NoError(t, hold(patient), "a lock of a screen that died long ago, where the site says so")
		require.Empty(t, d.ask(t, "SELECT trim(lckstat) FROM somast"))

		d.Post(t, "locks", paper{"Table": "arcust", "Key": "WEB", "User": "BERT", "MinutesAgo": 5}, nil)
		_, err = patient.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.Busy, "RECORD_LOCKED")
		d.set(t, "UPDATE arcust SET lckdate = NULL")
		_, err = patient.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.Busy, "RECORD_LOCKED")
		d.Delete(t, "locks")
		_, err = patient.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		require.NoError(t, err)
	})
}

// A site's dates must not be NULL: no date is the one that stands for none there.
func TestADateThatMustNotBeNullIsBlank(t *testing.T) {
	d := openDesk(t, sagepro.Postgres, func(c *sagepro.Config) { c.StaleLock = time.Hour })
	for _, column := range []string{"somast.lckdate", "sotran.rqdate"} {
		table, name, _ := strings.Cut(column, ".")
		d.set(t, "ALTER TABLE "+table+" ALTER COLUMN "+name+" SET NOT NULL")
	}
	wanted := d.order()
	wanted.line(0)["rqdate"] = ""
	order := d.place(t, wanted)
	d.Post(t, "locks", paper{"Table": "somast", "Key": order.Number, "User": "ANNA", "MinutesAgo": 120}, nil)
	_, err := d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderHold})
	require.NoError(t, err, "a lock of a screen that died long ago")
	require.Equal(t, "1900-01-01", d.ask(t, "SELECT to_char(lckdate, 'YYYY-MM-DD') FROM somast"))
}

// A caller whose time is up has sent nothing, and the breaker holds nothing against the ERP for it.
func TestGuardedCalls(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		var calls []outbound.Call
		guard := outbound.NewGuard(outbound.Config{System: "erp-sagepro", Breaker: outbound.Breaker{MinRequests: 2, OpenFor: time.Hour},
			Observe: func(call outbound.Call) { calls = append(calls, call) }})
		client := d.client(t, func(c *sagepro.Config) { c.Guard = guard })
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			_, err := client.CreateSalesOrder(gone, d.key(), d.order().document(t))
			require.True(t, fault.Is(err, fault.Connection), "%v", err)
		}
		_, err := client.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: "999"})
		requireFault(t, err, fault.NotFound, "ORDER_NOT_FOUND")
		ctx, recorder := outbound.WithRecorder(t.Context())
		order, err := client.CreateSalesOrder(ctx, "order/1:book:1", d.order().document(t))
		require.NoError(t, err)
		require.NotEmpty(t, order.Number)
		recorded := recorder.Calls()
		require.Len(t, recorded, 1)
		require.Equal(t, "WRITE", recorded[0].Method)
		require.Equal(t, "CreateSalesOrder", recorded[0].Route)
		require.Equal(t, erp.IdempotencyKey("order/1:book:1"), recorded[0].OperationKey)
		require.Empty(t, recorded[0].Error)
		require.Equal(t, "READ", calls[len(calls)-2].Method)
		require.Equal(t, "not_found/ORDER_NOT_FOUND", calls[len(calls)-2].Error)

		d.Post(t, "faults", paper{"route": "* *", "mode": "drop_before"}, nil)
		for !fault.Is(err, fault.RateLimit) {
			_, err = client.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
			require.Error(t, err)
		}
		requireFault(t, err, fault.RateLimit, outbound.CodeBreakerOpen)
	})
}

package sagepro_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

// Whatever is ordered, held, cancelled, shipped by people and invoiced, in whatever order: no running total goes astray, and what was invoiced of
// an order never comes to more than the order.
func TestNoRunningTotalGoesAstray(t *testing.T) {
	d := openDesk(t, sagepro.SQLite)
	rapid.Check(t, func(rt *rapid.T) {
		type placed struct{ number, total string }
		var orders []placed
		pick := func() placed { return orders[rapid.IntRange(0, len(orders)-1).Draw(rt, "order")] }
		expected := func(err error) {
			f := fault.As(err)
			require.True(rt, err == nil || f != nil && (f.Kind == fault.Conflict || f.Kind == fault.DeclinedByPolicy), "%v", err)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			step := rapid.IntRange(0, 5).Draw(rt, "step")
			if len(orders) == 0 {
				step = 0
			}
			switch step {
			case 0, 1:
				order := d.simple(rapid.SampledFrom([]string{"A100", "LOW3", "C100", "OUT0"}).Draw(rt, "item"), rapid.Int64Range(1, 4).Draw(rt, "quantity"),
					rapid.Int64Range(0, 90).Draw(rt, "price"))
				freight := rapid.Int64Range(0, 7).Draw(rt, "freight")
				order["freight"], order["total"] = freight, order["total"].(int64)+freight
				made := d.place(t, order)
				orders = append(orders, placed{made.Number, made.Total.String()})
			case 2:
				_, err := d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: pick().number, Reason: "FRAUD"})
				expected(err)
			case 3:
				state := rapid.SampledFrom([]erp.SalesOrderState{erp.SalesOrderOpen, erp.SalesOrderHold, erp.SalesOrderReady}).Draw(rt, "state")
				_, err := d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: pick().number, State: state})
				expected(err)
			case 4:
				_, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(pick().number).document(t))
				expected(err)
			case 5:
				order, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: pick().number})
				require.NoError(rt, err)
				if order.Status == "O" && order.Lines[0].Allocated.IsPositive() {
					d.Ship(t, order.Number, 1, "UPS", "")
				}
			}
		}
		d.requireNoDrift(t)
		for _, order := range orders {
			invoiced := d.ask(t, "SELECT coalesce(sum(invamt), 0) FROM armast WHERE trim(ornum) = ?", order.number)
			require.True(rt, dec(invoiced).LessThanOrEqual(dec(order.total)), "%s of %s", invoiced, order.total)
		}
	})
}

package sagepro_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

func paths(f *fault.Fault) []string {
	var all []string
	for _, field := range f.Fields {
		all = append(all, field.Path)
	}
	return all
}

// A site calls its tables and columns what it likes: what is missing is named at once, and named right it serves.
func TestASiteHasNamesOfItsOwn(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		require.NoError(t, d.Check(t.Context()))
		for _, statement := range []string{
			"ALTER TABLE somast RENAME COLUMN ordamt TO openamt",
			"ALTER TABLE soymst RENAME COLUMN ordamt TO openamt",
			`ALTER TABLE arcust RENAME COLUMN "limit" TO credlimit`,
			"ALTER TABLE iciloc RENAME COLUMN lonhand TO qonhand",
			"ALTER TABLE iciloc RENAME COLUMN lsoaloc TO qsoaloc",
			"ALTER TABLE iciloc RENAME TO iciqty",
			"ALTER TABLE somast RENAME COLUMN orderstat TO webhold",
			"ALTER TABLE soymst RENAME COLUMN orderstat TO webhold",
			"DROP TABLE ictran", "DROP TABLE arytrn",
		} {
			d.set(t, statement)
		}
		err := d.client(t).Check(t.Context())
		f := requireFault(t, err, fault.MissingReference, "SITE_MISMATCH")
		require.Equal(t, []string{"arcust.limit", "arytrn", "iciloc", "somast.ordamt", "somast.orderstat", "soymst.ordamt"}, paths(f))

		names := sagepro.Names{
			Tables: map[string]string{"iciloc": "iciqty", "arytrn": ""},
			Columns: map[string]map[string]string{"somast": {"ordamt": "openamt"}, "arcust": {"limit": "credlimit"},
				"iciloc": {"lonhand": "qonhand", "lsoaloc": "qsoaloc"}},
			Hold: sagepro.Hold{Column: "webhold", Held: "WAIT", Ready: "GO", Open: "OPEN"},
		}
		client := d.client(t, func(c *sagepro.Config) { c.Names = names })
		require.NoError(t, client.Check(t.Context()))
		order, err := client.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		require.NoError(t, err)
		require.Equal(t, "OPEN", d.ask(t, "SELECT trim(webhold) FROM somast"))
		held, err := client.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderHold})
		require.NoError(t, err)
		require.True(t, held.OnHold)
		require.Equal(t, "WAIT", d.ask(t, "SELECT trim(webhold) FROM somast"))
		_, err = client.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderReady})
		require.NoError(t, err)
		invoice, err := client.CreateInvoice(t.Context(), d.key(), d.invoice(order.Number).document(t))
		require.NoError(t, err)
		requireAmount(t, "48.19", invoice.Total)
		requireAmount(t, "999998", dec(d.ask(t, "SELECT qonhand FROM iciqty WHERE item = 'A100           ' AND loctid = 'N  '")))
		customer, err := client.FindCustomer(t.Context(), erp.CustomerRef{Code: "LIMIT"})
		require.NoError(t, err)
		requireAmount(t, "1", customer.CreditLimit)
	})
}

// A site's own columns come in by documents alone, and those that must not be NULL are filled.
func TestASiteHasColumnsOfItsOwn(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for _, statement := range []string{
			"ALTER TABLE somast ADD COLUMN webref VARCHAR(10)",
			"ALTER TABLE sotran ADD COLUMN giftwrap CHAR(1)",
			"ALTER TABLE somast ADD COLUMN margin NUMERIC(9,2)",
			"ALTER TABLE somast ADD COLUMN cardno VARCHAR(20)",
		} {
			d.set(t, statement)
		}
		if d.dialect == sagepro.Postgres {
			for _, column := range []string{"region CHAR(3) NOT NULL", "weight NUMERIC(9,2) NOT NULL", "due DATE NOT NULL", "boxes INT NOT NULL", "urgent BOOLEAN NOT NULL"} {
				d.set(t, "ALTER TABLE somast ADD COLUMN "+column)
			}
		}
		targets := []string{"somast.webref", "sotran[].giftwrap", "orderNumber", "payment.cybtxn", "arcust.custno", "somast.pterms"}
		require.NoError(t, d.CheckTargets(t.Context(), targets))
		err := d.CheckTargets(t.Context(), append(targets, "somast.webreff", "sotran[].ordamt", "somast.ordamt", "arcust.ccno", "somast.cardno", "somast.WebRef"))
		f := requireFault(t, err, fault.MissingReference, "SITE_MISMATCH")
		require.Equal(t, []string{"arcust.ccno: a card column is never written", "somast.WebRef: the site has no such column",
			"somast.cardno: a card column is never written", "somast.ordamt: only the adapter writes it", "somast.webreff: the site has no such column",
			"sotran.ordamt: the site has no such column"}, paths(f))

		order := d.order()
		order.at("somast")["webref"], order.at("somast")["margin"] = "W-1", 12.5
		order.line(0)["giftwrap"] = "Y"
		d.place(t, order)
		require.Equal(t, "W-1", d.ask(t, "SELECT webref FROM somast"))
		requireAmount(t, "12.5", dec(d.ask(t, "SELECT margin FROM somast")))
		require.Equal(t, "Y", d.ask(t, "SELECT giftwrap FROM sotran WHERE tranlineno = 1"))

		order = d.order()
		order.at("somast")["webref"] = "W-123456789"
		_, err = d.CreateSalesOrder(t.Context(), d.key(), order.document(t))
		require.Equal(t, []fault.Field{{Path: "somast.webref", Rule: "FIELD_TOO_LONG: at most 10 characters"}}, requireFault(t, err, fault.Value, "FIELD_TOO_LONG").Fields)
	})
}

// What a stock Sage Pro may lack of comment lines and tracking numbers stops nobody.
func TestASiteHasLittleRoomForRemarks(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.set(t, "DROP TABLE socomm")
		d.set(t, "CREATE TABLE socomm (sono CHAR(10), comment VARCHAR(65))")
		for _, statement := range []string{"somast DROP COLUMN sotrack", "soymst DROP COLUMN sotrack", "somast DROP COLUMN shipvia", "soymst DROP COLUMN shipvia"} {
			d.set(t, "ALTER TABLE "+statement)
		}
		require.NoError(t, d.Check(t.Context()))
		wanted := d.order()
		delete(wanted.at("somast"), "shipvia")
		order := d.place(t, wanted)
		require.NoError(t, d.SetTracking(t.Context(), d.key(), erp.Tracking{SalesOrder: order.Number, Carrier: "UPS", Number: "1Z1"}))
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM socomm WHERE comment = 'Tracking: 1Z1 UPS'"))
		_, err := d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: order.Number, Reason: "FRAUD"})
		require.NoError(t, err)
		rows := d.orders(t)
		require.Len(t, rows, 1)
		require.Equal(t, erp.OrderCancelled, rows[0].Document.State)
		require.Equal(t, "FRAUD", rows[0].Document.Reason)
	})
}

// An order that is to wait must not be written where nothing can say that it waits.
func TestASiteWithoutTheColumnOfHoldsIsNotBookedIn(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		misspelt := d.client(t, func(c *sagepro.Config) { c.Names.Hold.Column = "webhlod" })
		require.Equal(t, []string{"somast.webhlod"}, paths(requireFault(t, misspelt.Check(t.Context()), fault.MissingReference, "SITE_MISMATCH")))
		held := d.order()
		held["status"] = "hold"
		_, err := misspelt.CreateSalesOrder(t.Context(), d.key(), held.document(t))
		requireFault(t, err, fault.MissingReference, "SITE_MISMATCH")
		require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM somast"))
	})
}

// The side tables are made by their owner, as often as one likes, and what is there already stays.
func TestSideTables(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for _, table := range []string{"cyb_xref", "cyb_paystat", "cyb_watermark", "cyb_change"} {
			d.set(t, "DROP TABLE "+table)
		}
		client := d.client(t)
		f := requireFault(t, client.Check(t.Context()), fault.MissingReference, "SITE_MISMATCH")
		require.Equal(t, []string{"cyb_change", "cyb_paystat", "cyb_watermark", "cyb_xref"}, paths(f))
		for _, statement := range client.SideTables() {
			d.set(t, statement)
		}
		require.NoError(t, client.Check(t.Context()))
		order, err := client.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		require.NoError(t, err)
		require.NoError(t, client.SetUp(t.Context()))
		found, err := client.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: order.OrderNumber})
		require.NoError(t, err)
		require.Equal(t, order.Number, found.Number)
	})
}

// Two references of ours that differ in their capitals are two, at sites whose databases know no case, too.
func TestReferencesAreKeptExactly(t *testing.T) {
	d := openDesk(t, sagepro.SQLite)
	for dialect, column := range map[sagepro.Dialect]string{sagepro.SQLServer: "extref VARCHAR(64) COLLATE Latin1_General_BIN2 NOT NULL,", sagepro.Postgres: "extref VARCHAR(64) NOT NULL,"} {
		client := d.client(t, func(c *sagepro.Config) { c.Dialect = dialect })
		require.Contains(t, client.SideTables()[0], column)
	}
}

// What people make while a worker runs is seen by its next try.
func TestATableThatIsMadeLaterIsSeen(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.set(t, "ALTER TABLE cyb_xref RENAME COLUMN answer TO answered")
		_, err := d.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.MissingReference, "SITE_MISMATCH")
		d.set(t, "ALTER TABLE cyb_xref RENAME COLUMN answered TO answer")
		d.place(t, d.order())

		order := d.order()
		order.at("somast")["webref"] = "W-1"
		_, err = d.CreateSalesOrder(t.Context(), d.key(), order.document(t))
		requireFault(t, err, fault.Value, "INVALID_FIELD")
		d.set(t, "ALTER TABLE somast ADD COLUMN webref VARCHAR(10)")
		d.place(t, order)
	})
}

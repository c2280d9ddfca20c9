package sagepro_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

func TestAnInvoiceChargesAllThatIsOpen(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		require.Equal(t, order.Number, invoice.SalesOrder)
		require.Equal(t, "USD", invoice.Currency)
		require.Equal(t, "Open", invoice.Status)
		requireAmount(t, "48.19", invoice.Total)
		requireAmount(t, "48.19", invoice.Balance)
		d.requireNoDrift(t)
		require.Equal(t, "C", d.ask(t, "SELECT sostat FROM somast"))
		requireAmount(t, "48.19", dec(d.ask(t, "SELECT balance FROM arcust WHERE custno = 'WEB   '")))
		requireAmount(t, "0", dec(d.ask(t, "SELECT onorder FROM arcust WHERE custno = 'WEB   '")))
		requireAmount(t, "999998", dec(d.ask(t, "SELECT lonhand FROM iciloc WHERE item = 'A100           ' AND loctid = 'N  '")))
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM ictran WHERE trantyp = 'I'"), "freight moves no stock")
		require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM artran"), "but is charged")
		require.Equal(t, order.OrderNumber, d.ask(t, "SELECT ponum FROM armast"))

		again := d.bill(t, order.Number)
		require.Equal(t, invoice.Number, again.Number, "an order is invoiced once")
		for _, moved := range []bool{false, true} {
			if moved { // what is paid goes to history
				d.set(t, "UPDATE arcust SET balance = '0'")
				d.set(t, "UPDATE armast SET paidamt = invamt, balance = '0'")
				d.Post(t, "close-period", paper{}, nil)
				require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM arymst"))
			}
			for _, ref := range []erp.InvoiceRef{{Number: invoice.Number}, {SalesOrder: order.Number}} {
				found, err := d.FindInvoice(t.Context(), ref)
				require.NoError(t, err)
				require.Equal(t, invoice.Number, found.Number)
				require.Equal(t, moved, found.Status == "Paid")
			}
		}
		_, err := d.FindInvoice(t.Context(), erp.InvoiceRef{Number: "999"})
		requireFault(t, err, fault.NotFound, "INVOICE_NOT_FOUND")
		_, err = d.FindInvoice(t.Context(), erp.InvoiceRef{SalesOrder: "999"})
		requireFault(t, err, fault.NotFound, "INVOICE_NOT_FOUND")
	})
}

// What people have shipped and invoiced is theirs; the rest, with what is left of tax and freight, is ours.
func TestAnInvoiceChargesWhatPeopleLeft(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		part := d.place(t, d.order())
		first := d.Ship(t, part.Number, 1, "UPS", "1Z999")
		theirs, err := d.FindInvoice(t.Context(), erp.InvoiceRef{Number: first})
		require.NoError(t, err)
		ours := d.bill(t, part.Number)
		require.NotEqual(t, first, ours.Number)
		requireAmount(t, "48.19", theirs.Total.Add(ours.Total))
		d.requireNoDrift(t)

		whole := d.place(t, d.order())
		all := d.Ship(t, whole.Number, 2, "UPS", "1Z998")
		require.Equal(t, all, d.bill(t, whole.Number).Number, "the invoice of the whole order is adopted, whoever made it")
		d.requireNoDrift(t)

		twice := d.place(t, d.order())
		d.Ship(t, twice.Number, 1, "UPS", "1Z997")
		d.Ship(t, twice.Number, 1, "UPS", "1Z996")
		_, err = d.CreateInvoice(t.Context(), d.key(), d.invoice(twice.Number).document(t))
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
	})
}

// A line whose price people correct while it is being invoiced is read again.
func TestAPriceThatChangesMeanwhileIsNotMissed(t *testing.T) {
	var d *desk
	meddling := false
	d = openDesk(t, sagepro.Postgres, func(c *sagepro.Config) {
		c.StaleLock = time.Hour
		c.Clock = func() time.Time { // is asked how old the customer's lock is, after the lines were read
			if meddling {
				d.set(t, "UPDATE sotran SET extprice = extprice + 1")
				d.set(t, "UPDATE somast SET ordamt = ordamt + 1")
			}
			return time.Now()
		}
	})
	order := d.place(t, d.simple("A100", 1, 10))
	d.Post(t, "locks", paper{"Table": "arcust", "Key": "WEB", "User": "ANNA", "MinutesAgo": 120}, nil)
	meddling = true
	_, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(order.Number).document(t))
	requireFault(t, err, fault.Busy, "RECORD_LOCKED")
	meddling = false
	requireAmount(t, d.ask(t, "SELECT extprice FROM sotran"), d.bill(t, order.Number).Total)
}

func TestAnInvoiceIsRefusedAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		short := d.place(t, d.simple("OUT0", 1, 15))
		_, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(short.Number).document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "INSUFFICIENT_STOCK")

		order := d.place(t, d.order())
		early := d.invoice(order.Number)
		early["invdte"] = "2001-01-01"
		_, err = d.CreateInvoice(t.Context(), d.key(), early.document(t))
		requireFault(t, err, fault.ClosedPeriod, "PERIOD_CLOSED")
		key, open := d.key(), d.Closing("AR")(t)
		_, err = d.CreateInvoice(t.Context(), key, d.invoice(order.Number).document(t))
		requireFault(t, err, fault.ClosedPeriod, "PERIOD_CLOSED")
		open()
		_, err = d.CreateInvoice(t.Context(), key, d.invoice(order.Number).document(t))
		require.NoError(t, err)

		for name, tc := range map[string]struct {
			doc  paper
			kind fault.Kind
			code string
		}{
			"no such order": {d.invoice("999"), fault.MissingReference, "ORDER_NOT_FOUND"},
			"no date":       {paper{"sono": order.Number}, fault.Value, "MISSING_FIELD"},
			"our own total": {paper{"sono": order.Number, "invdte": today(), "armast": paper{"invamt": 1}}, fault.Value, "INVALID_FIELD"},
		} {
			_, err := d.CreateInvoice(t.Context(), d.key(), tc.doc.document(t))
			require.True(t, fault.Is(err, tc.kind), "%s: %v", name, err)
			require.Equal(t, tc.code, fault.As(err).Code, name)
		}
		d.requireNoDrift(t)
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM armast"))
	})
}

func TestAPaymentStatusIsToldBesideTheOrder(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		change := erp.PaymentStatusChange{SalesOrder: order.Number, TransactionID: "7031234567890123456702", Status: erp.TagPaid, Amount: dec("48.19"), Currency: "USD",
			At: time.Now()}
		require.NoError(t, d.SetPaymentStatus(t.Context(), d.key(), change))
		require.Equal(t, "Paid", d.ask(t, "SELECT paystatus FROM cyb_paystat"))
		require.Equal(t, "1111", d.ask(t, "SELECT last4 FROM cyb_paystat"), "what is not told this time stays")

		invoice := d.bill(t, order.Number)
		change.SalesOrder, change.Invoice, change.Status = "", invoice.Number, erp.TagRefunded
		require.NoError(t, d.SetPaymentStatus(t.Context(), d.key(), change))
		require.Equal(t, "Refunded", d.ask(t, "SELECT paystatus FROM cyb_paystat"))

		change.Invoice = "999"
		requireFault(t, d.SetPaymentStatus(t.Context(), d.key(), change), fault.MissingReference, "INVOICE_NOT_FOUND")
		change.SalesOrder = "999"
		requireFault(t, d.SetPaymentStatus(t.Context(), d.key(), change), fault.MissingReference, "ORDER_NOT_FOUND")
		change.SalesOrder, change.TransactionID, change.Status = order.Number, "", erp.TagVoided
		require.NoError(t, d.SetPaymentStatus(t.Context(), d.key(), change))
		require.Equal(t, "Voided", d.ask(t, "SELECT paystatus FROM cyb_paystat"), "without a transaction it is told of all")
	})
}

// A customer is numbered once, keeps what a document leaves out, and has cards nobody touches.
func TestACustomerIsPut(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		wanted := paper{
			"externalId": "C-2001",
			"arcust":     paper{"company": "Ada Park", "currency": "usd", "address1": "1 Market St", "city": "San Francisco", "email": "ada@example.com", "pterms": "VISA", "limit": 500},
			"arcadr":     paper{"company": "Ada Park", "address1": "2 Pier Rd"},
		}
		made, err := d.PutCustomer(t.Context(), d.key(), wanted.document(t))
		require.NoError(t, err)
		require.Equal(t, "W00012", made.Code)
		require.Equal(t, "USD", made.Currency)
		require.Equal(t, "VISA", made.TermsCode)
		requireAmount(t, "500", made.AvailableCredit)
		require.Equal(t, "2 Pier Rd", d.ask(t, "SELECT address1 FROM arcadr WHERE custno = 'W00012'"))

		change := paper{"externalId": "C-2001", "arcust": paper{"city": "", "address1": "3 Main St"}, "arcadr": paper{"address1": "4 Pier Rd"}}
		again, err := d.PutCustomer(t.Context(), d.key(), change.document(t))
		require.NoError(t, err)
		require.Equal(t, made.Code, again.Code)
		require.Equal(t, "3 Main St", d.ask(t, "SELECT address1 FROM arcust WHERE custno = 'W00012'"))
		require.Equal(t, "4 Pier Rd", d.ask(t, "SELECT address1 FROM arcadr WHERE custno = 'W00012'"))
		require.Empty(t, d.ask(t, "SELECT city FROM arcust WHERE custno = 'W00012'"), "cleared")
		require.Equal(t, "Ada Park", d.ask(t, "SELECT company FROM arcust WHERE custno = 'W00012'"), "left alone")
		for _, ref := range []erp.CustomerRef{{ExternalID: "C-2001"}, {Code: "w00012"}} {
			found, err := d.FindCustomer(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, made.Code, found.Code)
			require.False(t, found.OnHold)
		}

		web := paper{"arcust": paper{"custno": "web", "phone": "+1 415 555 0100"}}
		_, err = d.PutCustomer(t.Context(), d.key(), web.document(t))
		require.NoError(t, err)
		require.Equal(t, "4111111111111111", d.ask(t, "SELECT ccno FROM arcust WHERE custno = 'WEB   '"), "left as an old version left it")
		named := paper{"externalId": "C-2002", "arcust": paper{"custno": "Ada", "company": "Ada", "currency": "USD"}}
		_, err = d.PutCustomer(t.Context(), d.key(), named.document(t))
		require.NoError(t, err)
		require.Equal(t, "ADA   ", d.ask(t, "SELECT custno FROM arcust WHERE company = 'Ada'"))
		next, err := d.PutCustomer(t.Context(), d.key(), paper{"externalId": "C-2003", "arcust": paper{"company": "Bea", "currency": "USD"}}.document(t))
		require.NoError(t, err)
		require.Equal(t, "W00013", next.Code)
		d.requireNoDrift(t)
	})
}

func TestACustomerIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for name, tc := range map[string]struct {
			doc  paper
			kind fault.Kind
			code string
		}{
			"nobody":            {paper{"arcust": paper{"company": "Ada"}}, fault.Value, "MISSING_FIELD"},
			"no name":           {paper{"externalId": "C-1", "arcust": paper{"currency": "USD"}}, fault.Value, "MISSING_FIELD"},
			"a card":            {paper{"externalId": "C-1", "arcust": paper{"company": "Ada", "ccno": "x"}}, fault.Value, "INVALID_FIELD"},
			"a balance":         {paper{"externalId": "C-1", "arcust": paper{"company": "Ada", "balance": 1}}, fault.Value, "INVALID_FIELD"},
			"a release":         {paper{"arcust": paper{"custno": "ONHOLD", "credstat": ""}}, fault.Value, "INVALID_FIELD"},
			"an id too long":    {paper{"externalId": strings.Repeat("x", 65), "arcust": paper{"company": "Ada"}}, fault.Value, "FIELD_TOO_LONG"},
			"another currency":  {paper{"arcust": paper{"custno": "WEB", "currency": "EUR"}}, fault.Conflict, "DUPLICATE_REFERENCE"},
			"no column":         {paper{"externalId": "C-1", "arcust": paper{"company": "Ada", "shoe": "9"}}, fault.Value, "INVALID_FIELD"},
			"no such member":    {paper{"externalID": "C-1", "arcust": paper{"custno": "ADA", "company": "Ada"}}, fault.Value, "INVALID_FIELD"},
			"a name too long":   {paper{"externalId": "C-1", "arcust": paper{"company": strings.Repeat("x", 36)}}, fault.Value, "FIELD_TOO_LONG"},
			"a number as text":  {paper{"externalId": "C-1", "arcust": paper{"company": "Ada", "limit": "5"}}, fault.Value, "INVALID_FIELD"},
			"a limit in floats": {paper{"externalId": "C-1", "arcust": paper{"company": "Ada", "limit": json.Number("1e2")}}, fault.Value, "INVALID_FIELD"},
		} {
			_, err := d.PutCustomer(t.Context(), d.key(), tc.doc.document(t))
			require.True(t, fault.Is(err, tc.kind), "%s: %v", name, err)
			require.Equal(t, tc.code, fault.As(err).Code, name)
		}
		require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM cyb_xref"), "a refusal leaves nothing behind")

		owner := paper{"externalId": "C-1", "arcust": paper{"custno": "ADA", "company": "Ada", "currency": "USD"}}
		_, err := d.PutCustomer(t.Context(), d.key(), owner.document(t))
		require.NoError(t, err)
		owner.at("arcust")["custno"] = "BEA"
		_, err = d.PutCustomer(t.Context(), d.key(), owner.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")

		d.set(t, "UPDATE sycnext SET nextval = 100000 WHERE keyname = 'custno'")
		_, err = d.PutCustomer(t.Context(), d.key(), paper{"externalId": "C-9", "arcust": paper{"company": "Cyd"}}.document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "NO_FREE_NUMBER")
		_, err = d.FindCustomer(t.Context(), erp.CustomerRef{ExternalID: "C-9"})
		requireFault(t, err, fault.NotFound, "CUSTOMER_NOT_FOUND")
		_, err = d.FindCustomer(t.Context(), erp.CustomerRef{Code: "CYD"})
		requireFault(t, err, fault.NotFound, "CUSTOMER_NOT_FOUND")
	})
}

// A stock Sage Pro counts no customers: then the count is kept beside it.
func TestCustomersAreCountedBesideTheERP(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.set(t, "DELETE FROM sycnext WHERE keyname = 'custno'")
		for _, want := range []string{"W00001", "W00002"} {
			made, err := d.PutCustomer(t.Context(), d.key(), paper{"externalId": d.name("C"), "arcust": paper{"company": "Ada"}}.document(t))
			require.NoError(t, err)
			require.Equal(t, want, made.Code)
		}
	})
}

// A period close puts documents into history before it takes them away: who reads meanwhile sees them in both, and counts them once.
func TestWhatAPeriodCloseIsMovingCountsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 4, 10))
		first := d.Ship(t, order.Number, 1, "UPS", "1Z1")
		seen := d.shipments(t)
		require.Len(t, seen, 1)
		d.typed(t, "P-1", first, "10.00")
		for current, history := range map[string]string{"armast": "arymst", "artran": "arytrn", "arcash": "arycash"} {
			d.set(t, "INSERT INTO "+history+" SELECT * FROM "+current)
		}
		found, err := d.FindReceipt(t.Context(), "P-1")
		require.NoError(t, err)
		requireAmount(t, "10", found.Amount)
		d.set(t, "UPDATE arymst SET id_col = id_col + 1000000")
		requireAmount(t, "30", d.bill(t, order.Number).Total)
		last, err := d.FindInvoice(t.Context(), erp.InvoiceRef{SalesOrder: order.Number})
		require.NoError(t, err)
		require.NotEqual(t, first, last.Number, "ids of history tell nothing of those that are current")
		memo := d.memo(first, "5.00")
		memo["restock"] = []paper{{"tranlineno": 1, "quantity": 4}}
		d.credit(t, memo)

		d.set(t, "INSERT INTO soytrn SELECT * FROM sotran")
		d.set(t, "INSERT INTO soymst SELECT * FROM somast")
		orders, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: order.Number})
		require.NoError(t, err)
		require.Len(t, orders.Lines, 1)
		require.Equal(t, seen[0].Document.Lines, d.shipments(t)[0].Document.Lines)
	})
}

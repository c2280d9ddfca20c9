package activities_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp/syspro"
	"github.com/tenderline/tenderline/internal/fault"
)

// refusedBy is what a step is told when it parks.
func (b *books) refusedBy(step string, class fault.Kind, code string, fields ...fault.Field) activities.SuggestFixInput {
	return activities.SuggestFixInput{
		OrderID: b.order.OrderID, Step: step, Class: class, Order: b.order, Site: site(), Date: b.today(),
		Answer: &activities.FaultDetail{System: "erp-syspro", Code: code, Fields: fields},
	}
}

// suggested asks for fixes; each has its evidence, and a correction where it says so.
func (b *books) suggested(t *testing.T, in activities.SuggestFixInput) []activities.Fix {
	t.Helper()
	fixes := must(t, b.bank, b.booking.SuggestFix, in).Fixes
	for _, fix := range fixes {
		require.NotEmpty(t, fix.Text)
		require.NotEmpty(t, fix.Evidence, "never a fix without evidence")
		require.Equal(t, fix.Resolution == "retry_with", fix.Correction != nil)
		require.NotContains(t, fix.Text+fix.Evidence, b.order.Customer.Email)
	}
	return fixes
}

func orderCorrection(pairs ...string) *activities.Correction {
	order := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		order[pairs[i]] = pairs[i+1]
	}
	return &activities.Correction{Order: order}
}

func TestAFixForAnUnknownStockCode(t *testing.T) {
	withLines := func(skus ...string) *books {
		b := newBooks(t, "A100", "2")
		b.order.Lines = nil
		for _, sku := range skus {
			b.order.Lines = append(b.order.Lines, canonical.LineItem{SKU: sku, Quantity: dec("1"), UnitPrice: dec("1")})
		}
		return b
	}
	ask := func(b *books) []activities.Fix {
		return b.suggested(t, b.refusedBy("sales-order", fault.MissingReference, "STOCK_NOT_FOUND"))
	}
	t.Run("one, on two lines", func(t *testing.T) {
		fixes := ask(withLines("A100", "a-2O0", "B100", "a-2O0"))
		require.Len(t, fixes, 1)
		require.Equal(t, orderCorrection("/lines/1/sku", "A200", "/lines/3/sku", "A200"), fixes[0].Correction)
		require.Contains(t, fixes[0].Evidence, "A200 exists, 500000 free in warehouse N")
	})
	t.Run("two", func(t *testing.T) {
		fixes := ask(withLines("A0100", "GIFTT"))
		require.Len(t, fixes, 3)
		require.Equal(t, orderCorrection("/lines/0/sku", "A100", "/lines/1/sku", "GIFT"), fixes[0].Correction, "all at once comes first")
		require.Equal(t, orderCorrection("/lines/0/sku", "A100"), fixes[1].Correction)
		require.Equal(t, orderCorrection("/lines/1/sku", "GIFT"), fixes[2].Correction)
	})
	t.Run("several codes are near", func(t *testing.T) {
		fixes := ask(withLines("A400"))
		require.Len(t, fixes, 3)
		require.Equal(t, []any{"A100", "A200", "A300"}, []any{
			fixes[0].Correction.Order["/lines/0/sku"], fixes[1].Correction.Order["/lines/0/sku"], fixes[2].Correction.Order["/lines/0/sku"],
		})
	})
	t.Run("nothing is near", func(t *testing.T) { require.Empty(t, ask(withLines("SOMETHING-ELSE-4711"))) })
	t.Run("one of two is near", func(t *testing.T) {
		fixes := ask(withLines("SOMETHING-ELSE-4711", "A-100"))
		require.Len(t, fixes, 1, "not both at once")
		require.Equal(t, orderCorrection("/lines/1/sku", "A100"), fixes[0].Correction)
	})
	t.Run("more than are asked for", func(t *testing.T) {
		b := withLines("A-100", "B-100", "B-200", "B-300")
		for _, fix := range b.suggested(t, b.refusedBy("sales-order", fault.MissingReference, "STOCK_NOT_FOUND")) {
			require.Len(t, fix.Correction.Order, 1, "not all at once: the fourth is not looked at yet")
		}
	})
	t.Run("far down in a long order", func(t *testing.T) {
		skus := make([]string, 120)
		for i := range skus {
			skus[i] = fmt.Sprintf("NOT-LIKE-ANYTHING-%d", i)
		}
		skus[100], skus[110] = "B-100", "GIFTT"
		b := withLines(skus...)
		fixes := b.suggested(t, b.refusedBy("sales-order", fault.MissingReference, "STOCK_NOT_FOUND",
			fault.Field{Path: "LineItems[100].StockCode", Rule: "STOCK_NOT_FOUND"}, fault.Field{Path: "lines[].sku=GIFTT", Rule: "must exist in the ERP"},
			fault.Field{Path: "lines[].sku=NOT-OF-THE-ORDER", Rule: "must exist in the ERP"}, fault.Field{Path: "LineItems[999].StockCode"}))
		require.Len(t, fixes, 2)
		require.Equal(t, orderCorrection("/lines/100/sku", "B100"), fixes[0].Correction)
		require.Equal(t, orderCorrection("/lines/110/sku", "GIFT"), fixes[1].Correction)
	})
	t.Run("all are known by now", func(t *testing.T) { require.Empty(t, ask(withLines("A100"))) })
	t.Run("not in the refund of it", func(t *testing.T) {
		b := withLines("A-100")
		require.Empty(t, b.suggested(t, b.refusedBy("credit-memo", fault.MissingReference, "STOCK_NOT_FOUND")))
	})
}

// TestAFixIsLookedUpWithAFewCalls: an order of hundreds of unknown codes makes no hundreds of calls.
func TestAFixIsLookedUpWithAFewCalls(t *testing.T) {
	var calls, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		most.Store(max(most.Load(), int64(len(r.URL.Query()["StockCode"]))))
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"Status":"Error","Errors":[{"Code":"STOCK_NOT_FOUND","Message":"not found"}]}`))
	}))
	t.Cleanup(server.Close)
	b := newBooks(t, "A100", "2")
	port, err := syspro.New(syspro.Config{BaseURL: server.URL, APIKey: "key-1"})
	require.NoError(t, err)
	b.booking.Port = port
	b.order.Lines = nil
	for i := range 500 {
		b.order.Lines = append(b.order.Lines, canonical.LineItem{SKU: fmt.Sprintf("UNKNOWN-ARTICLE-%d", i), Quantity: dec("1")})
	}
	require.Empty(t, b.suggested(t, b.refusedBy("sales-order", fault.MissingReference, "STOCK_NOT_FOUND")))
	require.LessOrEqual(t, calls.Load(), int64(10))
	require.LessOrEqual(t, most.Load(), int64(40))
}

func TestAFixForAnUnknownCustomer(t *testing.T) {
	create := orderCorrection("/customer/erpCode", "")
	for name, c := range map[string]struct {
		customers []map[string]any
		erpCode   string
		code      string // the process's own, where the shop knows none
		want      []*activities.Correction
	}{
		"misspelt":                  {nil, "WE-B", "", []*activities.Correction{orderCorrection("/customer/erpCode", "WEB"), create}},
		"nobody near":               {nil, "CUST-4711", "", []*activities.Correction{create}},
		"nothing to correct":        {nil, "", "CUST-4711", nil},
		"another currency's is not": {nil, "WE-BEUR", "", []*activities.Correction{create}},
		"known by the shop's id": {
			[]map[string]any{{"CustomerCode": "ADA", "Name": "Ada Park", "ExternalId": "C-2001", "Email": "other@example.com"}},
			"CUST-4711", "", []*activities.Correction{orderCorrection("/customer/erpCode", "ADA")},
		},
		"known by e-mail": {
			[]map[string]any{{"CustomerCode": "ADA", "Name": "Ada Park", "ExternalId": "C-1", "Email": "ADA@example.com"}},
			"CUST-4711", "", []*activities.Correction{orderCorrection("/customer/erpCode", "ADA"), create},
		},
		"an address of two says nothing": {
			[]map[string]any{
				{"CustomerCode": "ADA", "Name": "Ada Park", "ExternalId": "C-1", "Email": "ada@example.com"},
				{"CustomerCode": "ADA2", "Name": "Ada Park", "ExternalId": "C-2", "Email": "ada@example.com"},
			},
			"CUST-4711", "", []*activities.Correction{create},
		},
		"there by now": {[]map[string]any{{"CustomerCode": "CUST-4711", "Name": "Ada Park"}}, "CUST-4711", "", []*activities.Correction{nil, create}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			for _, customer := range c.customers {
				postJSON(t, b.url+"/_sandbox/customers", customer)
			}
			b.order.Customer.ErpCode = c.erpCode
			in := b.refusedBy("check", fault.MissingReference, "CUSTOMER_NOT_FOUND", fault.Field{Path: "customer.erpCode", Rule: "must exist in the ERP"})
			in.CustomerCode = c.code
			var got []*activities.Correction
			for _, fix := range b.suggested(t, in) {
				got = append(got, fix.Correction)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestAFixForAClosedPeriod(t *testing.T) {
	period := func(year, month int, open ...string) map[string]any {
		return map[string]any{"Module": "AR", "CurrentYear": year, "CurrentPeriod": month, "Open": append([]string{}, open...)}
	}
	for name, c := range map[string]struct {
		period map[string]any
		date   string
		want   []string // dates; "" is to try again
	}{
		"the next one is open":              {period(2026, 11, "C"), "2026-10-31", []string{"2026-11-01"}},
		"the one after next is open":        {period(2026, 11, "C"), "2026-08-15", []string{"2026-11-01"}},
		"the current one is before":         {period(2026, 9, "C", "P"), "2026-10-02", []string{"2026-09-30"}},
		"over the turn of the year":         {period(2027, 1, "C"), "2026-12-31", []string{"2027-01-01"}},
		"it is open by now":                 {period(2026, 11, "C", "P"), "2026-10-31", []string{""}},
		"none is open":                      {period(2026, 11), "2026-10-31", nil},
		"a period before the current alone": {period(2026, 11, "P"), "2026-11-05", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			postJSON(t, b.url+"/_sandbox/periods", c.period)
			for _, step := range []string{"invoice", "credit-memo"} {
				in := b.refusedBy(step, fault.ClosedPeriod, "PERIOD_CLOSED")
				in.Date = c.date
				var got []string
				for _, fix := range b.suggested(t, in) {
					require.Contains(t, fix.Evidence, "open periods")
					date := ""
					if fix.Correction != nil {
						date = fix.Correction.Date
						require.Empty(t, fix.Correction.Order)
					}
					got = append(got, date)
				}
				require.Equal(t, c.want, got, step)
			}
		})
	}
	t.Run("the fix works", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		in := b.booked(order.Number, "")
		in.Document = b.docs.Invoice
		in.Date = b.clock.Now().AddDate(0, -6, 0).Format(time.DateOnly)
		_, err := finish(b.bank, b.booking.InvoiceSalesOrder, in)
		requireFault(t, err, fault.ClosedPeriod, true)
		ask := b.refusedBy("invoice", fault.ClosedPeriod, code(t, err))
		ask.Date = in.Date
		in.Date, in.Attempt = b.suggested(t, ask)[0].Correction.Date, 2
		must(t, b.bank, b.booking.InvoiceSalesOrder, in)
	})
}

func TestFiguresForACustomerOnHoldOrOverItsLimit(t *testing.T) {
	for name, c := range map[string]struct {
		customer, code string
		text, evidence string
	}{
		"on hold":            {"ONHOLD", "CUSTOMER_ON_HOLD", "Take customer ONHOLD off hold", "on hold, no credit limit is checked"},
		"over its limit":     {"LIMIT", "CREDIT_LIMIT_EXCEEDED", "by 47.19 USD", "1.00 USD of credit available, the limit is 1.00 USD"},
		"told by the check":  {"LIMIT", "", "the order is of 48.19 USD", "not on hold, 1.00 USD of credit available"},
		"overdue":            {"OVERDUE", "CREDIT_LIMIT_EXCEEDED", "Clear the credit status of customer OVERDUE", "not on hold, no credit limit is checked"},
		"off hold by now":    {"ACCOUNT", "CUSTOMER_ON_HOLD", "not on hold any more", "100000.00 USD of credit available, the limit is 100000.00 USD"},
		"another rule":       {"LIMIT", "BUSINESS_RULE", "", ""},
		"no rule of credit":  {"WEB", "", "", ""},
		"no such customer":   {"NOBODY", "CUSTOMER_ON_HOLD", "", ""},
		"short of the stock": {"ACCOUNT", "INSUFFICIENT_STOCK", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			in := b.refusedBy("sales-order", fault.DeclinedByPolicy, c.code)
			in.CustomerCode = c.customer
			if c.code == "" {
				in.Step, in.Answer = "check", nil
			}
			fixes := b.suggested(t, in)
			if c.text == "" {
				require.Empty(t, fixes)
				return
			}
			require.Len(t, fixes, 1)
			require.Equal(t, "retry", fixes[0].Resolution)
			require.Contains(t, fixes[0].Text, c.text)
			require.Contains(t, fixes[0].Evidence, c.evidence)
		})
	}
}

func TestAFixForAValueThatIsTooLong(t *testing.T) {
	const long = "The Old Customs House, Entrance B, Staircase 12"
	for name, c := range map[string]struct {
		step, path, rule string
		want             *activities.Correction
	}{
		"a field of the order":       {"sales-order", "ShipToAddress.City", "FIELD_TOO_LONG: at most 12 characters", orderCorrection("/shipTo/city", "Llanfairpwll")},
		"told by the mapping":        {"check", "BillToAddress.City", "max_length: has 21 characters, at most 10 fit", orderCorrection("/billTo/city", "Llanfairpw")},
		"between words":              {"sales-order", "ShipToAddress.Name", "FIELD_TOO_LONG: at most 15 characters", orderCorrection("/shipTo/name", "Ada Augusta")},
		"a field of a line":          {"sales-order", "LineItems[0].Description", "FIELD_TOO_LONG: at most 3 characters", orderCorrection("/lines/0/description", "Wid")},
		"of several fields":          {"sales-order", "ShipToAddress.Line1", "FIELD_TOO_LONG: at most 30 characters", &activities.Correction{Document: map[string]any{"/ShipToAddress/Line1": "The Old Customs House,"}}},
		"a setting of the site":      {"sales-order", "ShippingInstrs", "FIELD_TOO_LONG: at most 5 characters", &activities.Correction{Document: map[string]any{"/ShippingInstrs": "UPS G"}}},
		"a stock code names an item": {"sales-order", "LineItems[0].StockCode", "FIELD_TOO_LONG: at most 2 characters", nil},
		"a number names an order":    {"sales-order", "OrderNumber", "FIELD_TOO_LONG: at most 2 characters", nil},
		"half an address is none":    {"check", "Email", "FIELD_TOO_LONG: at most 5 characters", nil},
		"completed when it is sent":  {"sales-order", "Payment.ReconciliationId", "FIELD_TOO_LONG: at most 2 characters", nil},
		"it fits":                    {"sales-order", "ShipToAddress.City", "FIELD_TOO_LONG: at most 40 characters", nil},
		"nobody told the length":     {"sales-order", "ShipToAddress.City", "FIELD_TOO_LONG", nil},
		"another rule":               {"sales-order", "ShipToAddress.City", "INVALID_FIELD: at most 12 characters", nil},
		"no field of the document":   {"sales-order", "ShipToAddress.Planet", "FIELD_TOO_LONG: at most 12 characters", nil},
		"no line of the order":       {"sales-order", "LineItems[7].Description", "FIELD_TOO_LONG: at most 3 characters", nil},
		"a step without a document":  {"ar-refund", "ShipToAddress.City", "FIELD_TOO_LONG: at most 12 characters", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			b.order.ShipTo.City, b.order.BillTo.City = "Llanfairpwllgwyngyllgogerychwyrndrobwll", "Llanfairpwllgwyngyll "
			b.order.ShipTo.Name, b.order.ShipTo.Line1 = "Ada Augusta  Parkinson", long
			in := b.refusedBy(c.step, fault.Value, "FIELD_TOO_LONG", fault.Field{Path: c.path, Rule: c.rule})
			in.Site = activities.Site{"shippingInstrs": "UPS GROUND"}
			fixes := b.suggested(t, in)
			if c.want == nil {
				require.Empty(t, fixes)
				return
			}
			require.Len(t, fixes, 1)
			require.Equal(t, c.want, fixes[0].Correction)
			require.True(t, strings.HasPrefix(fixes[0].Evidence, c.path))
		})
	}
}

// sagePro makes the books those of a site with Sage Pro: documents in the words of its tables. The catalog that is asked stays.
func (b *books) sagePro() *books {
	b.booking.Name = "sagepro"
	return b
}

// TestFixesInTheWordsOfAnotherErp: nothing here knows how an ERP calls its lines and fields; its mappings do.
func TestFixesInTheWordsOfAnotherErp(t *testing.T) {
	t.Run("unknown stock codes by their lines", func(t *testing.T) {
		b := newBooks(t, "A100", "2").sagePro()
		b.order.Lines = nil
		for i := range 120 {
			b.order.Lines = append(b.order.Lines, canonical.LineItem{SKU: fmt.Sprintf("NOT-LIKE-ANYTHING-%d", i), Quantity: dec("1"), UnitPrice: dec("1")})
		}
		b.order.Lines[100].SKU, b.order.Lines[110].SKU = "B-100", "GIFTT"
		fixes := b.suggested(t, b.refusedBy("sales-order", fault.MissingReference, "STOCK_NOT_FOUND",
			fault.Field{Path: "sotran[100].item", Rule: "must exist in the ERP"}, fault.Field{Path: "sotran[110].item", Rule: "must exist in the ERP"},
			fault.Field{Path: "sotran[999].item"}, fault.Field{Path: "soaddr[0].company"}, fault.Field{Path: "LineItems[3].StockCode"}))
		require.Len(t, fixes, 2)
		require.Equal(t, orderCorrection("/lines/100/sku", "B100"), fixes[0].Correction)
		require.Equal(t, orderCorrection("/lines/110/sku", "GIFT"), fixes[1].Correction)
	})
	document := func(pointer, value string) *activities.Correction {
		return &activities.Correction{Document: map[string]any{pointer: value}}
	}
	for name, c := range map[string]struct {
		step, path string
		most       int
		want       *activities.Correction
	}{
		"a field of a line":           {"sales-order", "sotran[0].descrip", 3, orderCorrection("/lines/0/description", "Wid")},
		"a field of the order":        {"check", "arcust.city", 10, orderCorrection("/billTo/city", "Llanfairpw")},
		"the ship-to's":               {"check", "arcadr.company", 15, orderCorrection("/shipTo/name", "Ada Augusta")},
		"of several fields":           {"sales-order", "soaddr[0].address1", 30, document("/soaddr/0/address1", "The Old Customs House,")},
		"a column that two rows have": {"sales-order", "soaddr[1].company", 3, document("/soaddr/1/company", "Ada")},
		"a setting of the site":       {"sales-order", "somast.shipvia", 5, document("/somast/shipvia", "UPS G")},
		"a customer's company":        {"check", "arcust.company", 7, document("/arcust/company", "Ada Par")},
		"an item":                     {"sales-order", "sotran[0].item", 2, nil},
		"a customer":                  {"sales-order", "somast.custno", 2, nil},
		"a postal code":               {"check", "arcust.zip", 2, nil},
		"half an address is none":     {"check", "arcust.email", 5, nil},
		"terms name how it was paid":  {"sales-order", "somast.pterms", 2, nil},
		"an account":                  {"receipt", "bankacct", 2, nil},
		"a territory":                 {"check", "arcust.terr", 1, nil},
		"completed when it is sent":   {"sales-order", "payment.cybtxn", 2, nil},
		"it fits":                     {"check", "arcust.city", 40, nil},
		"no column of the document":   {"sales-order", "somast.planet", 2, nil},
		"no line of the order":        {"sales-order", "sotran[7].descrip", 3, nil},
		"another ERP's field":         {"sales-order", "ShipToAddress.City", 12, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2").sagePro()
			b.order.BillTo.City = "Llanfairpwllgwyngyll "
			b.order.ShipTo.Name, b.order.ShipTo.Line1 = "Ada Augusta  Parkinson", "The Old Customs House, Entrance B, Staircase 12"
			in := b.refusedBy(c.step, fault.Value, "FIELD_TOO_LONG",
				fault.Field{Path: c.path, Rule: fmt.Sprintf("FIELD_TOO_LONG: at most %d characters", c.most)})
			in.Site = activities.Site{"shipVia": "UPS GROUND", "territory": "NE", "bank": "1050-00"}
			fixes := b.suggested(t, in)
			if c.want == nil {
				require.Empty(t, fixes)
				return
			}
			require.Len(t, fixes, 1)
			require.Equal(t, c.want, fixes[0].Correction)
			require.True(t, strings.HasPrefix(fixes[0].Evidence, c.path))
		})
	}
}

func TestThereIsNoFixWhereTheErpKnowsNone(t *testing.T) {
	b := newBooks(t, "A100", "2")
	for _, in := range []activities.SuggestFixInput{
		b.refusedBy("sales-order", fault.Conflict, "STATUS_CONFLICT"),
		b.refusedBy("sales-order", fault.Bug, ""),
		b.refusedBy("sales-order", fault.MissingReference, "ACCOUNT_NOT_FOUND"),
		b.refusedBy("sales-order", fault.Credentials, "LICENCE_MISSING"),
		{Step: "sales-order", Class: fault.Value, Order: b.order},
		{},
	} {
		require.Empty(t, b.suggested(t, in))
	}
	t.Run("an ERP that is down is asked again", func(t *testing.T) {
		postJSON(t, b.url+"/_sandbox/faults", map[string]any{"route": "GET /APIServices/GLJournalService/GetPeriodStatus", "mode": "status", "status": 503, "times": 1})
		in := b.refusedBy("invoice", fault.ClosedPeriod, "PERIOD_CLOSED")
		_, err := try(b.bank, b.booking.SuggestFix, in)
		requireFault(t, err, fault.Connection, false)
		require.NotEmpty(t, b.suggested(t, in))
	})
}

package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// correcting is an order that waits at a step, with its documents mapped by the real mappings.
type correcting struct {
	*bank
	orders *activities.Orders
	input  activities.CorrectOrderInput
}

func newCorrecting(t testing.TB, step string) *correcting {
	t.Helper()
	set, err := mappingSet()
	require.NoError(t, err)
	c := &correcting{bank: newBank(t)}
	c.orders = &activities.Orders{Mappings: set, Journal: c.store, Clock: c.clock.Now}
	order := sampleOrder("WEB-1")
	c.takeIn(t, order)
	prepared, err := c.orders.PrepareOrder(t.Context(), activities.PrepareOrderInput{Order: order, Erp: "syspro", Site: correctedSite()})
	require.NoError(t, err)
	c.input = activities.CorrectOrderInput{
		AttentionID: "att-1", Step: step, Actor: "olivia", Reason: "by phone", Order: order, Documents: prepared.Documents, Erp: "syspro", Site: correctedSite(),
	}
	return c
}

func correctedSite() activities.Site {
	return activities.Site{"branch": "10", "warehouse": "N", "taxCode": "A", "creditLimit": "500"}
}

// timed is a test with a context: rapid's too.
type timed interface {
	tb
	Context() context.Context
}

func (c *correcting) correct(t timed, correction activities.Correction) (activities.CorrectedOrder, error) {
	t.Helper()
	in := c.input
	in.Correction = correction
	return c.orders.CorrectOrder(t.Context(), in)
}

func member(t tb, document mappings.Document, path ...string) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(document.Body))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value))
	for _, name := range path {
		if list, isList := value.([]any); isList {
			value = list[int(name[0]-'0')]
			continue
		}
		value = value.(map[string]any)[name]
	}
	return value
}

// audits are the corrections that the audit holds.
func (c *correcting) audits(t testing.TB) (actions []journal.Action) {
	t.Helper()
	audit, err := c.store.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	for _, entry := range audit {
		if entry.Action != nil && entry.Action.Action == "correct" {
			actions = append(actions, *entry.Action)
		}
	}
	return actions
}

func TestAnOrderIsCorrected(t *testing.T) {
	c := newCorrecting(t, "sales-order")
	correction := activities.Correction{
		Order: map[string]any{
			"/billTo/line1": "99 Elm St", "/billTo/line2": "Flat 1", "/customer/email": "ada@example.org", "/lines/0/sku": "B200",
			"/custom/crmAccount": "0015", "/merchantDefinedData/2": "gold", "/device": map[string]any{"ipAddress": "203.0.113.7"}, "/customer/phone": nil,
		},
		Date: "2026-12-01",
	}
	var first activities.CorrectedOrder
	for i := range 2 {
		corrected, err := c.correct(t, correction)
		require.NoError(t, err)
		if i == 0 {
			first = corrected
		}
		require.Equal(t, first, corrected)
	}
	order := first.Order
	require.Equal(t, []string{"99 Elm St", "Flat 1", "ada@example.org", "B200", "0015", "gold", "203.0.113.7", ""}, []string{
		order.BillTo.Line1, order.BillTo.Line2, order.Customer.Email, order.Lines[0].SKU, order.Custom["crmAccount"], order.MerchantDefinedData["2"],
		order.Device.IPAddress, order.Customer.Phone,
	})
	require.Equal(t, "1 Market St", order.ShipTo.Line1)
	require.Equal(t, "B200", member(t, first.Documents.SalesOrder, "LineItems", "0", "StockCode"))
	require.Equal(t, "99 Elm St Flat 1", member(t, first.Documents.SalesOrder, "BillToAddress", "Line1"))
	require.Equal(t, "ada@example.org", member(t, first.Documents.Customer, "Email"))
	require.Equal(t, c.input.Documents.Invoice, first.Documents.Invoice, "the correction does not touch it")

	record, err := c.store.Order(t.Context(), "WEB-1")
	require.NoError(t, err)
	var stored, original canonical.Order
	require.NoError(t, json.Unmarshal(record.Input, &stored))
	require.NoError(t, json.Unmarshal(record.Original, &original))
	require.Equal(t, "99 Elm St", stored.BillTo.Line1)
	require.Equal(t, "1 Market St", original.BillTo.Line1)
	actions := c.audits(t)
	require.Len(t, actions, 1)
	require.Equal(t, []string{"olivia", "by phone"}, []string{actions[0].Actor, actions[0].Reason})
	require.Equal(t, map[string]string{
		"attentionId": "att-1", "step": "sales-order",
		"changed": "/billTo/line1 /billTo/line2 /custom/crmAccount /customer/email /customer/phone /device /lines/0/sku /merchantDefinedData/2 date",
	}, actions[0].Detail)
}

func TestADocumentIsCorrected(t *testing.T) {
	for step, change := range map[string]struct {
		pointer string
		value   any
		path    []string
	}{
		"sales-order": {"/LineItems/0/TaxCode", "B", []string{"LineItems", "0", "TaxCode"}},
		"invoice":     {"/PostingPeriod", "P", []string{"PostingPeriod"}},
		"receipt":     {"/BankCode", "CYB2", []string{"BankCode"}},
		"check":       {"/ShipToAddress/Line4", "Gate 4", []string{"ShipToAddress", "Line4"}}, // the mapping knows it, and left it out
	} {
		t.Run(step, func(t *testing.T) {
			c := newCorrecting(t, step)
			corrected, err := c.correct(t, activities.Correction{Document: map[string]any{change.pointer: change.value}})
			require.NoError(t, err)
			d := corrected.Documents
			document := map[string]mappings.Document{"sales-order": d.SalesOrder, "invoice": d.Invoice, "receipt": d.Receipt, "check": d.Customer}[step]
			require.Equal(t, change.value, member(t, document, change.path...))
			require.Equal(t, c.input.Order, corrected.Order)
			record, err := c.store.Order(t.Context(), "WEB-1")
			require.NoError(t, err)
			require.Nil(t, record.Original, "the order itself was not corrected")
			require.Equal(t, change.pointer, c.audits(t)[0].Detail["changed"])
		})
	}
}

// TestADocumentKeepsWhatWasCorrectedBefore corrects the order of a step whose document was corrected by hand in an earlier try.
func TestADocumentKeepsWhatWasCorrectedBefore(t *testing.T) {
	c := newCorrecting(t, "sales-order")
	corrected, err := c.correct(t, activities.Correction{Document: map[string]any{"/LineItems/0/TaxCode": "B", "/Warehouse": "S"}})
	require.NoError(t, err)
	c.input.Order, c.input.Documents, c.input.AttentionID = corrected.Order, corrected.Documents, "att-2"

	corrected, err = c.correct(t, activities.Correction{Order: map[string]any{"/shipTo/city": "Oakland"}, Document: map[string]any{"/Warehouse": "E"}})
	require.NoError(t, err)
	document := corrected.Documents.SalesOrder
	require.Equal(t, "Oakland", member(t, document, "ShipToAddress", "City"))
	require.Equal(t, "B", member(t, document, "LineItems", "0", "TaxCode"))
	require.Equal(t, "E", member(t, document, "Warehouse"))
	require.Equal(t, []string{"OrderNumber", "OrderDate"}, firstMembers(t, document, 2), "in the order of the rules")
	require.Len(t, c.audits(t), 2)
}

func firstMembers(t *testing.T, document mappings.Document, number int) (names []string) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(document.Body))
	_, err := decoder.Token()
	require.NoError(t, err)
	for range number {
		name, err := decoder.Token()
		require.NoError(t, err)
		names = append(names, name.(string))
		var value json.RawMessage
		require.NoError(t, decoder.Decode(&value))
	}
	return names
}

func TestACorrectionIsRefused(t *testing.T) {
	const pan = "4111111111111111"
	in := func(pointer string, value any) activities.Correction {
		return activities.Correction{Order: map[string]any{pointer: value}}
	}
	doc := func(pointer string, value any) activities.Correction {
		return activities.Correction{Document: map[string]any{pointer: value}}
	}
	for name, c := range map[string]struct {
		correction activities.Correction
		field      string // path and rule
	}{
		"nothing":                 {activities.Correction{}, " required"},
		"date":                    {activities.Correction{Date: "2026-02-30"}, "/date pattern"},
		"date with a time":        {activities.Correction{Date: "2026-02-03T00:00:00Z"}, "/date pattern"},
		"the whole order":         {in("", map[string]any{}), "/order pointer"},
		"no pointer":              {in("billTo/line1", "x"), "/orderbillTo/line1 pointer"},
		"bad escape":              {in("/billTo~2", "x"), "/order/billTo~2 pointer"},
		"order id":                {in("/orderId", "WEB-2"), "/order/orderId not_correctable"},
		"channel":                 {in("/channel", "web-eu"), "/order/channel not_correctable"},
		"placed at":               {in("/placedAt", "2026-11-20T14:03:22Z"), "/order/placedAt not_correctable"},
		"currency":                {in("/currency", "EUR"), "/order/currency not_correctable"},
		"total":                   {in("/total", "1.00"), "/order/total not_correctable"},
		"shipping":                {in("/shipping", "0"), "/order/shipping not_correctable"},
		"discount":                {in("/discount", "1"), "/order/discount not_correctable"},
		"payment":                 {in("/payment", map[string]any{}), "/order/payment not_correctable"},
		"token":                   {in("/payment/token/value", "x"), "/order/payment/token/value not_correctable"},
		"quantity":                {in("/lines/0/quantity", "1"), "/order/lines/0/quantity not_correctable"},
		"price":                   {in("/lines/0/unitPrice", "1"), "/order/lines/0/unitPrice not_correctable"},
		"line discount":           {in("/lines/0/discount", "1"), "/order/lines/0/discount not_correctable"},
		"tax":                     {in("/lines/0/tax", "1"), "/order/lines/0/tax not_correctable"},
		"a line":                  {in("/lines/0", map[string]any{}), "/order/lines/0 not_correctable"},
		"all lines":               {in("/lines", []any{}), "/order/lines not_correctable"},
		"another line":            {in("/lines/1/sku", "B"), "/order/lines/1/sku pointer"},
		"the line behind the end": {in("/lines/-/sku", "B"), "/order/lines/-/sku pointer"},
		"a line with zeros":       {in("/lines/00/sku", "B"), "/order/lines/00/sku pointer"},
		"through a text":          {in("/billTo/line1/x", "B"), "/order/billTo/line1/x pointer"},
		"unknown member":          {in("/billTo/line3", "x"), "/order/billTo/line3 unknown_field"},
		"other spelling":          {in("/Total", "1"), "/order/Total unknown_field"},
		"type":                    {in("/billTo/line1", 5), "/order/billTo/line1 type"},
		"required":                {in("/billTo/line1", ""), "/order/billTo/line1 required"},
		"rule of an order":        {in("/billTo/postalCode", "ABC"), "/order/billTo/postalCode postal_code"},
		"card":                    {in("/billTo/line2", pan), "/order/billTo/line2 card_number"},
		"card as article":         {in("/lines/0/sku", pan), "/order/lines/0/sku card_number"},
		"card within":             {in("/device", map[string]any{"userAgent": "x " + pan}), "/order/device card_number"},
		"card as pointer":         {in("/custom/x"+pan, "x"), "/order/* card_number"},
		"mapping":                 {in("/lines/0/sku", strings.Repeat("S", 40)), ""},

		"card in a document":   {doc("/Warehouse", pan), "/document/Warehouse card_number"},
		"document":             {doc("", map[string]any{}), "/document pointer"},
		"unknown target":       {doc("/Nothing", "x"), "/document/Nothing unknown_field"},
		"object":               {doc("/ShipToAddress", "x"), "/document/ShipToAddress unknown_field"},
		"list":                 {doc("/LineItems", "x"), "/document/LineItems type"},
		"line of a document":   {doc("/LineItems/7/TaxCode", "x"), "/document/LineItems/7/TaxCode"},
		"document quantity":    {doc("/LineItems/0/Quantity", "9"), "/document/LineItems/0/Quantity not_correctable"},
		"document price":       {doc("/LineItems/0/UnitPrice", 1), "/document/LineItems/0/UnitPrice not_correctable"},
		"document total":       {doc("/OrderTotal", 1), "/document/OrderTotal not_correctable"},
		"document freight":     {doc("/FreightTotal", 1), "/document/FreightTotal not_correctable"},
		"document tax":         {doc("/TaxTotal", 1), "/document/TaxTotal not_correctable"},
		"document currency":    {doc("/Currency", "EUR"), "/document/Currency not_correctable"},
		"document id":          {doc("/OrderNumber", "WEB-2"), "/document/OrderNumber not_correctable"},
		"made when it is sent": {doc("/CustomerCode", "X"), "/document/CustomerCode not_correctable"},
		"payment's status":     {doc("/Payment/PaymentStatus", "X"), "/document/Payment/PaymentStatus not_correctable"},
		"constant":             {doc("/Payment/Processor", "X"), "/document/Payment/Processor not_correctable"},
		"another kind":         {doc("/Warehouse", 5), "/document/Warehouse type"},
		"null":                 {doc("/Warehouse", nil), "/document/Warehouse type"},
		"a text for none":      {doc("/Warehouse", true), "/document/Warehouse type"},
		"too long":             {doc("/Warehouse", strings.Repeat("x", 1001)), "/document/Warehouse type"},
		"control character":    {doc("/Warehouse", "a\x00b"), "/document/Warehouse type"},
		"line number":          {doc("/LineItems/0/LineNumber", "2"), "/document/LineItems/0/LineNumber type"},
	} {
		t.Run(name, func(t *testing.T) {
			waiting := newCorrecting(t, "sales-order")
			_, err := waiting.correct(t, c.correction)
			failure := requireFault(t, err, fault.Value, true)
			require.NotContains(t, err.Error(), pan)
			var detail activities.FaultDetail
			require.NoError(t, failure.Details(&detail))
			if c.field == "" {
				require.Equal(t, "mappings", detail.System)
			} else {
				require.Equal(t, activities.CodeCorrection, detail.Code)
				rules := make([]string, 0, len(detail.Fields))
				for _, field := range detail.Fields {
					rules = append(rules, field.Path+" "+field.Rule)
				}
				require.True(t, slices.ContainsFunc(rules, func(rule string) bool { return strings.HasPrefix(rule, c.field) }), "%q", rules)
			}
			require.Empty(t, waiting.audits(t), "nothing was corrected")
			record, err := waiting.store.Order(t.Context(), "WEB-1")
			require.NoError(t, err)
			require.Nil(t, record.Original)
		})
	}
	for _, step := range []string{"capture", "prepare"} {
		_, err := newCorrecting(t, step).correct(t, doc("/Warehouse", "S"))
		requireFault(t, err, fault.Value, true)
	}
	many := map[string]any{}
	for i := range 101 {
		many[fmt.Sprint("/custom/k", i)] = "x"
	}
	_, err := newCorrecting(t, "prepare").correct(t, activities.Correction{Order: many})
	requireFault(t, err, fault.Value, true)
}

func TestACorrectionMendsWhatCouldNotBeMapped(t *testing.T) {
	c := newCorrecting(t, "prepare")
	c.input.Order.Lines = slices.Clone(c.input.Order.Lines)
	c.input.Order.Lines[0].SKU = strings.Repeat("S", 40) // longer than the ERP's codes
	c.input.Documents = activities.Documents{}
	_, err := c.orders.PrepareOrder(t.Context(), activities.PrepareOrderInput{Order: c.input.Order, Erp: "syspro", Site: correctedSite()})
	require.NotNil(t, application(err))
	corrected, err := c.correct(t, activities.Correction{Order: map[string]any{"/lines/0/sku": "B200"}})
	require.NoError(t, err)
	require.NotEmpty(t, corrected.Documents.SalesOrder.Body)
	require.NotEmpty(t, corrected.Documents.Payment.Body)
}

func TestACorrectionOfAnUnknownOrderIsKeptNowhere(t *testing.T) {
	c := newCorrecting(t, "sales-order")
	c.input.Order.OrderID = "WEB-404"
	_, err := c.correct(t, activities.Correction{Date: "2026-12-01"})
	requireFault(t, err, fault.NotFound, true)
}

// sums are an order's amounts and quantities, with what else was agreed.
func sums(order canonical.Order) string {
	text := fmt.Sprint(order.OrderID, order.Channel, order.PlacedAt.UTC(), order.Currency, order.Payment, order.Shipping, order.Discount, order.Total)
	for _, line := range order.Lines {
		text += fmt.Sprint("|", line.Quantity, line.UnitPrice, line.Discount, line.Tax)
	}
	return text
}

// amounts are the numbers of a document, with their places.
func amounts(t tb, body json.RawMessage) map[string]string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value))
	found := map[string]string{}
	var walk func(place string, value any)
	walk = func(place string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, item := range v {
				walk(place+"/"+name, item)
			}
		case []any:
			for i, item := range v {
				walk(fmt.Sprint(place, "/", i), item)
			}
		case json.Number:
			found[place] = v.String()
		}
	}
	walk("", value)
	return found
}

func TestACorrectionNeverChangesTheMoneyOfAnOrder(t *testing.T) {
	c := newCorrecting(t, "sales-order")
	pointers := []string{
		"/billTo/line1", "/billTo/line2", "/billTo/country", "/billTo", "/shipTo/city", "/shipTo", "/customer/id", "/customer/erpCode", "/customer", "/lines/0/sku",
		"/lines/0/description", "/lines/0/quantity", "/lines/0/unitPrice", "/lines/0/tax", "/lines/0/discount", "/lines/0", "/lines/1", "/lines", "/total", "/Total",
		"/shipping", "/discount", "/currency", "/payment", "/payment/saveCard", "/payment/token/value", "/orderId", "/channel", "/placedAt", "/custom/x", "/custom",
		"/device", "/merchantDefinedData", "/merchantDefinedData/1", "", "/", "//", "/lines//quantity", "/lines/0/", "/lin~1es/0/quantity", "/lines/0/quantity/x",
	}
	documents := []string{
		"/Warehouse", "/Branch", "/LineItems/0/TaxCode", "/LineItems/0/StockCode", "/LineItems/0/Quantity", "/LineItems/0/UnitPrice", "/LineItems/0", "/LineItems",
		"/OrderTotal", "/Currency", "/Payment/AmountCaptured", "/Payment", "/OrderNumber", "/Comments/0", "/ShipToAddress/Line2", "/ShipToAddress/City", "",
	}
	taken := 0
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.Custom(drawValue)
		plausible := rapid.MapOfN(rapid.SampledFrom([]string{"/billTo/line1", "/shipTo/city", "/lines/0/sku", "/lines/0/description", "/custom/x", "/billTo/name"}),
			rapid.Map(rapid.SampledFrom([]string{"Elm St", "B200", "Oakland"}), func(text string) any { return text }), 1, 4)
		correction := activities.Correction{
			Order:    rapid.OneOf(plausible, rapid.MapOfN(rapid.SampledFrom(pointers), value, 0, 2)).Draw(rt, "order"),
			Document: rapid.OneOf(rapid.Just(map[string]any{}), rapid.MapOfN(rapid.SampledFrom(documents), value, 0, 1)).Draw(rt, "document"),
		}
		corrected, err := c.correct(rt, correction)
		if err != nil {
			failure := application(err)
			require.NotNil(rt, failure)
			require.Contains(rt, []string{string(fault.Value), string(fault.MissingReference)}, failure.Type(), "%v", err)
			return
		}
		taken++
		require.Equal(rt, sums(c.input.Order), sums(corrected.Order))
		require.Empty(rt, corrected.Order.Validate())
		require.Equal(rt, amounts(rt, c.input.Documents.SalesOrder.Body), amounts(rt, corrected.Documents.SalesOrder.Body))
		require.Equal(rt, amounts(rt, c.input.Documents.Receipt.Body), amounts(rt, corrected.Documents.Receipt.Body))
	})
	require.NotZero(t, taken, "a property of corrections that are all refused says nothing")
}

// drawValue draws what an operator may write.
func drawValue(t *rapid.T) any {
	return rapid.OneOf(
		rapid.SampledFrom([]any{"x", "", "1.00", "US", "CA", "GB", "B200", nil, true, 5.0, "48.19", map[string]any{}, []any{},
			map[string]any{"id": "C-1", "email": "a@example.com", "firstName": "A", "lastName": "B"},
			map[string]any{"name": "A", "line1": "1 Elm St", "city": "Paris", "postalCode": "75001", "country": "FR"},
			map[string]any{"1": "one"}}),
		rapid.Map(rapid.String(), func(text string) any { return text }),
	).Draw(t, "value")
}

func FuzzCorrectOrder(f *testing.F) {
	f.Add(`{"order":{"/billTo/line1":"99 Elm St"},"document":{"/Warehouse":"S"},"date":"2026-12-01"}`)
	f.Add(`{"order":{"/lines/0/sku":"B200","/custom/a~1b~0":"x"},"document":{"/LineItems/0/TaxCode":"B"}}`)
	f.Add(`{"order":{"":1,"/":{},"/lines/0":{"quantity":"9"}},"document":{"/Payment":null}}`)
	f.Add(`{"order":{"/device/ipAddress":"203.0.113.7","/billTo":{"name":"A","line1":"4111111111111111"}}}`)
	c := newCorrecting(f, "sales-order")
	f.Fuzz(func(t *testing.T, text string) {
		var correction activities.Correction
		if json.Unmarshal([]byte(text), &correction) != nil {
			return
		}
		corrected, err := c.correct(t, correction)
		if err != nil {
			kind := application(err).Type()
			if kind != string(fault.Value) && kind != string(fault.MissingReference) {
				t.Fatalf("%s: %v", kind, err)
			}
			return
		}
		if sums(corrected.Order) != sums(c.input.Order) || len(corrected.Order.Validate()) > 0 {
			t.Fatalf("%s became %+v", text, corrected.Order)
		}
		body, err := json.Marshal(corrected)
		if found, _ := canonical.FindCardNumbers(body); err != nil || len(found) > 0 {
			t.Fatalf("%v: %v", found, err)
		}
	})
}

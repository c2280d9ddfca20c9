package syspro

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAuthentication(t *testing.T) {
	c := newCompany(t)
	c.server.config.Clock = c.clock.Now
	token := func(body string) answer {
		return c.do(http.MethodPost, base+"/AuthService/Token", body, map[string]string{"X-API-Key": ""})
	}
	granted := token(`{"GrantType":"client_credentials","ClientId":"cyb-engine","ClientSecret":"s3cret","CompanyId":"A"}`)
	require.Equal(t, 200, granted.status)
	require.Equal(t, "900", granted.text("ExpiresIn"))
	bearer := map[string]string{"X-API-Key": "", "Authorization": "Bearer " + granted.text("AccessToken")}
	path := base + "/CustomerService/GetCustomer?CustomerCode=WEB"
	require.Equal(t, 200, c.do(http.MethodGet, path, "", bearer).status)

	c.clock.advance(15*time.Minute - time.Millisecond)
	require.Equal(t, 200, c.do(http.MethodGet, path, "", bearer).status)
	c.clock.advance(time.Millisecond)

	for name, tc := range map[string]struct {
		got    answer
		status int
		code   string
	}{
		"expired":              {c.do(http.MethodGet, path, "", bearer), 401, "TOKEN_EXPIRED"},
		"foreign token":        {c.do(http.MethodGet, path, "", map[string]string{"X-API-Key": "", "Authorization": "Bearer abc"}), 401, "TOKEN_INVALID"},
		"nothing":              {c.do(http.MethodGet, path, "", map[string]string{"X-API-Key": ""}), 401, "TOKEN_INVALID"},
		"wrong key":            {c.do(http.MethodGet, path, "", map[string]string{"X-API-Key": "nope"}), 401, "API_KEY_INVALID"},
		"other company":        {c.do(http.MethodGet, path, "", map[string]string{"X-Company-Id": "B"}), 403, "OPERATOR_NOT_AUTHORISED"},
		"wrong secret":         {token(`{"GrantType":"client_credentials","ClientId":"cyb-engine","ClientSecret":"x"}`), 401, "AUTH_INVALID_CLIENT"},
		"wrong client":         {token(`{"GrantType":"client_credentials","ClientId":"x","ClientSecret":"s3cret"}`), 401, "AUTH_INVALID_CLIENT"},
		"wrong grant":          {token(`{"GrantType":"password","ClientId":"cyb-engine","ClientSecret":"s3cret"}`), 400, "INVALID_FIELD"},
		"unauthenticated post": {c.do(http.MethodPost, base+addOrder, orderOf("X", "A100", ""), map[string]string{"X-API-Key": "", "Idempotency-Key": "k"}), 401, "TOKEN_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.status, tc.got.status)
			require.Equal(t, tc.code, tc.got.code())
			require.NotEmpty(t, tc.got.text("RequestId"))
		})
	}
	require.Equal(t, 200, c.do(http.MethodGet, base+"/HealthService/Ping", "", map[string]string{"X-API-Key": ""}).status)
}

func TestRequestIDIsEchoed(t *testing.T) {
	c := newCompany(t)
	a := c.do(http.MethodGet, base+"/CustomerService/GetCustomer?CustomerCode=NONE", "", map[string]string{"X-Request-Id": "r-1"})
	require.Equal(t, "r-1", a.header.Get("X-Request-Id"))
	require.Equal(t, "r-1", a.text("RequestId"))
	require.Equal(t, 404, c.get("/NoService/Nothing").status)
}

func TestIntakeRefusals(t *testing.T) {
	c := newCompany(t)
	for name, tc := range map[string]struct{ body, code, field string }{
		"empty":               {"", codeInvalid, "Content-Type"},
		"not JSON":            {"{", codeMalformed, "<absent>"},
		"an array":            {"[]", codeMalformed, "<absent>"},
		"two values":          {"{} {}", codeMalformed, "<absent>"},
		"not UTF-8":           {"{\"OrderNumber\":\"\xff\"}", codeMalformed, "<absent>"},
		"wrong type":          {`{"LineItems":"x"}`, codeInvalid, "LineItems"},
		"card number":         {orderOf("P1", "A100", `,"SpecialInstrs":"4111111111111111"`), codeInvalid, "SpecialInstrs"},
		"card number, number": {orderOf("P1", "A100", `,"Extra":{"Deep":[4111111111111111]}`), codeInvalid, "Extra.Deep[0]"},
		"card number as name": {orderOf("P1", "A100", `,"4111111111111111":1`), codeInvalid, "<absent>"},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.post(addOrder, tc.body)
			require.Equal(t, 400, a.status)
			require.Equal(t, tc.code, a.code())
			require.Equal(t, tc.field, a.text("Errors.0.Field"))
			require.NotContains(t, a.raw, "4111111111111111", "a card number is never echoed")
		})
	}
	require.Empty(t, c.server.state.orders.all)
	c.ok(addOrder, strings.Replace(orderOf("P2", "A100", `,"unknown":{"x":1}`), "7031234567890123", "4111111111111111", 1))
}

func TestIdempotencyKeyRules(t *testing.T) {
	c := newCompany(t)
	for name, key := range map[string]string{"missing": "", "too long": strings.Repeat("k", 65), "bad character": "a b"} {
		a := c.postKey(addOrder, key, orderOf("K1", "A100", ""))
		require.Equal(t, 400, a.status, name)
	}
	require.Equal(t, "IDEMPOTENCY_KEY_REQUIRED", c.postKey(addOrder, "", orderOf("K1", "A100", "")).code())

	refused := c.postKey(addOrder, "k:1", orderOf("K1", "NOSUCH", ""))
	require.Equal(t, 422, refused.status)
	first := c.postKey(addOrder, "k:1", orderOf("K1", "A100", ""))
	require.Equal(t, 201, first.status, "a refused request left nothing behind")
	again := c.postKey(addOrder, "k:1", strings.ReplaceAll(orderOf("K1", "A100", ""), "\n", "  "))
	require.Equal(t, 201, again.status)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, first.raw, again.raw)
	other := c.postKey(addOrder, "k:1", orderOf("K2", "A100", ""))
	require.Equal(t, 409, other.status)
	require.Equal(t, "IDEMPOTENCY_KEY_REUSED", other.code())
	require.Equal(t, 201, c.postKey(addCustomer, "k:1", `{"CustomerCode":"NEW1","Name":"New"}`).status, "keys are per endpoint")
}

func TestRequestInProgress(t *testing.T) {
	c := newCompany(t)
	c.server.mu.Lock() // the ERP is busy: the first request waits with its key claimed
	done := make(chan answer, 1)
	go func() {
		a, _ := c.send(http.MethodPost, base+addOrder, orderOf("B1", "A100", ""), map[string]string{"Idempotency-Key": "busy"})
		done <- a
	}()
	require.Eventually(t, func() bool {
		c.server.claims.mu.Lock()
		defer c.server.claims.mu.Unlock()
		return len(c.server.claims.running) == 1
	}, time.Minute, time.Millisecond)
	busy := c.postKey(addOrder, "busy", orderOf("B1", "A100", ""))
	require.Equal(t, 409, busy.status)
	require.Equal(t, "REQUEST_IN_PROGRESS", busy.code())
	require.Equal(t, "1", busy.header.Get("Retry-After"))
	require.Equal(t, "IDEMPOTENCY_KEY_REUSED", c.postKey(addOrder, "busy", orderOf("B2", "A100", "")).code())
	c.server.mu.Unlock()
	require.Equal(t, 201, (<-done).status)
}

func TestConcurrentOrdersMakeOne(t *testing.T) {
	c := newCompany(t)
	const racers = 16
	statuses := make([]int, racers)
	var wait sync.WaitGroup
	for i := range racers {
		wait.Go(func() {
			key := fmt.Sprintf("race:%d", i%4) // some share a key, some don't
			a, err := c.send(http.MethodPost, base+addOrder, orderOf("RACE", "A100", ""), map[string]string{"Idempotency-Key": key})
			if err == nil {
				statuses[i] = a.status
			}
		})
	}
	wait.Wait()
	for _, status := range statuses {
		require.Contains(t, []int{201, 409}, status)
	}
	require.Contains(t, statuses, 201)
	require.Len(t, c.server.state.orders.all, 1)
	c.balanced()
}

func TestAddSalesOrder(t *testing.T) {
	c := newCompany(t)
	a := c.ok(addOrder, orderOf("WEB-1", "A100", `,"CustomFields":{"CYBDEC":"ACCEPT","OTHER":1},"Comments":["Web order"]`))
	require.Equal(t, 201, a.status)
	require.Equal(t, "000001", a.text("SalesOrder"))
	require.Equal(t, "1", a.text("OrderStatus"))
	require.Equal(t, "Open order", a.text("OrderStatusDescription"))
	require.Equal(t, "115.39", a.text("OrderTotal"))
	require.Equal(t, "2", a.text("LineItems.0.QuantityAllocated"))
	require.Equal(t, "0", a.text("LineItems.0.QuantityBackOrdered"))
	require.Equal(t, "CUSTOM_FIELD_NOT_SET", a.text("Warnings.0.Code"))

	stock := c.get("/InventoryService/GetStockBalance?StockCode=A100&StockCode=NOSUCH&Warehouse=N")
	require.Equal(t, "999998", stock.text("Items.0.Warehouses.0.AvailableQty"))
	require.Equal(t, "NOSUCH", stock.text("NotFound.0"))
	require.Equal(t, "115.39", c.get("/CustomerService/GetCustomer?CustomerCode=WEB").text("OpenOrderValue"))

	duplicate := c.post(addOrder, orderOf("WEB-1", "B100", ""))
	require.Equal(t, 409, duplicate.status)
	require.Equal(t, "DUPLICATE_REFERENCE", duplicate.code())
	require.Equal(t, "000001", duplicate.text("Existing.SalesOrder"))
	require.Equal(t, "115.39", duplicate.text("Existing.OrderTotal"))
	require.Equal(t, "USD", duplicate.text("Existing.Currency"))

	for _, query := range []string{"SalesOrder=1", "SalesOrder=000001", "OrderNumber=WEB-1", "OrderNumber=WEB-1&CustomerCode=WEB"} {
		require.Equal(t, "WEB-1", c.get("/SalesOrderService/GetSalesOrder?"+query).text("OrderNumber"), query)
	}
	c.balanced()
}

func TestAddSalesOrderRefusals(t *testing.T) {
	c := newCompany(t)
	swap := func(from, to string) string { return strings.Replace(orderOf("R1", "A100", ""), from, to, 1) }
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no order number":    {swap(`"R1"`, `""`), 400, codeMissing},
		"long order number":  {swap(`"R1"`, `"`+strings.Repeat("x", 31)+`"`), 400, codeTooLong},
		"long customer":      {swap(`"WEB"`, `"`+strings.Repeat("x", 16)+`"`), 400, codeTooLong},
		"bad date":           {swap("2026-07-28", "28.7.2026"), 400, codeInvalid},
		"bad currency":       {swap(`"Currency":"USD"`, `"Currency":"usd"`), 400, codeInvalid},
		"no lines":           {`{"OrderNumber":"R1","CustomerCode":"WEB","OrderDate":"2026-07-28","Currency":"USD"}`, 400, codeMissing},
		"zero quantity":      {swap(`"Quantity":2`, `"Quantity":0`), 400, codeInvalid},
		"quantity no number": {swap(`"Quantity":2`, `"Quantity":"two"`), 400, codeInvalid},
		"huge exponent":      {swap(`"Quantity":2`, `"Quantity":1e999999999`), 400, codeInvalid},
		"negative price":     {swap(`"49.95"`, `-1`), 400, codeInvalid},
		"long price":         {swap(`"49.95"`, `6.5816666667`), 400, codeInvalid},
		"half cents":         {swap(`"TaxAmount":7.99`, `"TaxAmount":7.995`), 400, codeInvalid},
		"bad status":         {swap(`"OrderNumber"`, `"OrderStatus":"9","OrderNumber"`), 400, codeInvalid},
		"bad country":        {swap(`"OrderNumber"`, `"ShipToAddress":{"Country":"USA"},"OrderNumber"`), 400, codeInvalid},
		"long address":       {swap(`"OrderNumber"`, `"ShipToAddress":{"Line1":"`+strings.Repeat("x", 41)+`"},"OrderNumber"`), 400, codeTooLong},
		"bad payment status": {swap(`"Captured"`, `"Maybe"`), 400, codeInvalid},
		"customer":           {swap(`"WEB"`, `"NOBODY"`), 422, codeCustomerUnknown},
		"customer on hold":   {swap(`"WEB"`, `"ONHOLD"`), 422, "CUSTOMER_ON_HOLD"},
		"credit limit":       {swap(`"WEB"`, `"LIMIT"`), 422, "CREDIT_LIMIT_EXCEEDED"},
		"overdue":            {swap(`"WEB"`, `"OVERDUE"`), 422, "CREDIT_LIMIT_EXCEEDED"},
		"currency mismatch":  {swap(`"WEB"`, `"WEBGBP"`), 422, codeCurrency},
		"stock":              {swap("A100", "NOSUCH"), 422, codeStockUnknown},
		"warehouse":          {swap(`"StockCode":"A100"`, `"StockCode":"A200","Warehouse":"S"`), 422, codeStockUnknown},
		"total":              {swap("115.39", "115.42"), 422, codeTotal},
		"no back order":      {swap(`"OrderNumber"`, `"AllowBackOrder":false,"OrderNumber"`), 201, ""},
		"insufficient":       {strings.Replace(orderOf("R2", "OUT0", `,"AllowBackOrder":false`), "R1", "R2", 1), 422, codeInsufficient},
		"trigger FAIL422":    {swap("A100", "FAIL422"), 422, codeBusinessRule},
		"trigger FAIL500":    {swap("A100", "FAIL500"), 500, codeERPError},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no back order" {
				tc.body = strings.Replace(tc.body, `"R1"`, `"R3"`, 1)
			}
			a := c.post(addOrder, tc.body)
			require.Equal(t, tc.status, a.status, a.raw)
			require.Equal(t, tc.code, a.code())
		})
	}
	require.Len(t, c.server.state.orders.all, 1)
	tolerated := c.ok(addOrder, strings.Replace(orderOf("R4", "A100", ""), "115.39", "115.41", 1))
	require.Equal(t, "115.41", tolerated.text("OrderTotal"), "0.01 for each line and one more is tolerated")
	c.balanced()
}

func TestEveryFaultOfAnOrderAtOnce(t *testing.T) {
	c := newCompany(t)
	a := c.post(addOrder, `{"OrderNumber":"","CustomerCode":"WEB","OrderDate":"x","Currency":"USD","LineItems":[{"StockCode":"A100"}]}`)
	require.Equal(t, []string{"MISSING_FIELD OrderNumber", "INVALID_FIELD OrderDate", "MISSING_FIELD LineItems[0].Quantity", "MISSING_FIELD LineItems[0].UnitPrice"}, a.codes())
}

func TestBackOrders(t *testing.T) {
	c := newCompany(t)
	waiting := c.ok(addOrder, orderOf("BO-1", "OUT0", ""))
	require.Equal(t, "2", waiting.text("OrderStatus"))
	require.Equal(t, "BACK_ORDERED", waiting.text("Warnings.0.Code"))
	partly := c.ok(addOrder, strings.NewReplacer(`"Quantity":2`, `"Quantity":5`, "115.39", "265.24").Replace(orderOf("BO-2", "LOW3", "")))
	require.Equal(t, "1", partly.text("OrderStatus"))
	require.Equal(t, "3", partly.text("LineItems.0.QuantityAllocated"))
	require.Equal(t, "2", partly.text("LineItems.0.QuantityBackOrdered"))
	require.Equal(t, "1", c.ok(updateOrder, `{"OrderNumber":"BO-2","Action":"SetPayment","Payment":{"TokenId":"x"}}`).text("OrderStatus"))
	c.balanced()

	require.Equal(t, 200, c.admin("stock", `{"StockCode":"OUT0","QtyOnHand":1}`).status)
	require.Equal(t, "1", c.get("/SalesOrderService/GetSalesOrder?OrderNumber=BO-1").text("OrderStatus"), "partly allocated")
	require.Equal(t, 200, c.admin("stock", `{"StockCode":"LOW3","QtyAdjust":10}`).status)
	c.ok(updateOrder, `{"OrderNumber":"BO-2","Action":"SetStatus","OrderStatus":"8"}`)
	c.ok(addOrder, orderOf("BO-3", "OUT0", ""))
	require.Equal(t, 200, c.admin("stock", `{"StockCode":"OUT0","QtyOnHand":10}`).status)
	require.Equal(t, "3", c.get("/SalesOrderService/GetSalesOrder?OrderNumber=BO-3").text("OrderStatus"), "released back order")
	require.Equal(t, 422, c.admin("stock", `{"StockCode":"OUT0","QtyAdjust":-11}`).status)
	c.balanced()
}

func TestUpdateSalesOrder(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, orderOf("U1", "A100", `,"OrderStatus":"Suspense"`))
	update := func(rest string) answer {
		return c.post(updateOrder, `{"OrderNumber":"U1","CustomerCode":"WEB",`+rest+`}`)
	}
	steps := []struct {
		rest    string
		status  int
		code    string
		order   string // order status
		changed string
	}{
		{`"Action":"SetStatus","OrderStatus":"1"`, 422, codeBusinessRule, "", ""},
		{`"Action":"Release"`, 400, codeMissing, "", ""},
		{`"Action":"Release","CreditAuthority":"CYB","ExpectedOrderStatus":"1"`, 409, codeStatusConflict, "", ""},
		{`"Action":"Release","CreditAuthority":"CYB","ExpectedOrderStatus":"S"`, 200, "", "1", "true"},
		{`"Action":"Release","CreditAuthority":"CYB","ExpectedOrderStatus":"S"`, 200, "", "1", "false"},
		{`"Action":"Fly"`, 400, codeInvalid, "", ""},
		{`"Action":"SetTracking","Tracking":{"Carrier":"UPS","TrackingNumber":"1Z","ShippedDate":"2026-07-30"}`, 200, "", "1", "true"},
		{`"Action":"SetTracking","Tracking":{"Carrier":"UPS","TrackingNumber":"1Z","ShippedDate":"2026-07-30"}`, 200, "", "1", "false"},
		{`"Action":"SetPayment","Payment":{"PaymentStatus":"Paid","AmountCaptured":"115.39"}`, 200, "", "1", "true"},
		{`"Action":"SetPayment","Payment":{"PaymentStatus":"Paid"}`, 200, "", "1", "false"},
		{`"Action":"SetAddress","ShipToAddress":{"Line1":"1 Mill Lane","Country":"US"}`, 200, "", "1", "true"},
		{`"Action":"SetStatus","OrderStatus":"ReadyToInvoice"`, 200, "", "8", "true"},
		{`"Action":"Cancel","CancelReasonCode":"FRAUD"`, 422, "ORDER_NOT_CANCELLABLE", "", ""},
		{`"Action":"SetStatus","OrderStatus":"4"`, 200, "", "4", "true"},
		{`"Action":"Cancel","CancelReasonCode":"FRAUD"`, 422, "ORDER_NOT_CANCELLABLE", "", ""},
		{`"Action":"SetStatus","OrderStatus":"9"`, 422, codeBusinessRule, "", ""},
		{`"Action":"SetStatus","OrderStatus":"1"`, 200, "", "1", "true"},
		{`"Action":"Cancel"`, 400, codeMissing, "", ""},
		{`"Action":"Cancel","CancelReasonCode":"FRAUD","ExpectedOrderStatus":"1"`, 200, "", `\`, "true"},
		{`"Action":"Cancel","CancelReasonCode":"FRAUD","ExpectedOrderStatus":"1"`, 200, "", `\`, "false"},
		{`"Action":"SetStatus","OrderStatus":"1"`, 422, codeBusinessRule, "", ""},
	}
	for i, step := range steps {
		a := update(step.rest)
		require.Equal(t, step.status, a.status, "step %d: %s", i, a.raw)
		require.Equal(t, step.code, a.code())
		if step.status == 200 {
			require.Equal(t, step.order, a.text("OrderStatus"), "step %d", i)
			require.Equal(t, step.changed, a.text("Changed"), "step %d", i)
		}
		c.balanced()
	}
	require.Equal(t, 404, c.post(updateOrder, `{"SalesOrder":"77","Action":"Release","CreditAuthority":"CYB"}`).status)
	require.Equal(t, 409, c.post(addOrder, orderOf("U1", "A100", "")).status, "the number of a cancelled order stays taken")
}

func TestCancelLines(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, `{"OrderNumber":"L1","CustomerCode":"WEB","OrderDate":"2026-07-28","Currency":"USD",
	 "LineItems":[{"StockCode":"A100","Quantity":1,"UnitPrice":10},{"StockCode":"OUT0","Quantity":1,"UnitPrice":5}],"OrderTotal":15}`)
	a := c.ok(updateOrder, `{"OrderNumber":"L1","Action":"Cancel","CancelReasonCode":"X","SalesOrderLines":[1]}`)
	require.Equal(t, "2", a.text("OrderStatus"), "only the back-ordered line is left")
	require.Equal(t, "5.00", a.text("OrderTotal"))
	require.Equal(t, "false", c.ok(updateOrder, `{"OrderNumber":"L1","Action":"Cancel","CancelReasonCode":"X","SalesOrderLines":[1]}`).text("Changed"))
	require.Equal(t, 400, c.post(updateOrder, `{"OrderNumber":"L1","Action":"Cancel","CancelReasonCode":"X","SalesOrderLines":[3]}`).status)
	c.balanced()
	require.Equal(t, `\`, c.ok(updateOrder, `{"OrderNumber":"L1","Action":"Cancel","CancelReasonCode":"X","SalesOrderLines":[2]}`).text("OrderStatus"))
	c.balanced()
}

func TestAmbiguousOrderNumber(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, orderOf("SAME", "A100", ""))
	c.ok(addOrder, strings.Replace(orderOf("SAME", "A100", ""), `"WEB"`, `"ACCOUNT"`, 1))
	require.Equal(t, 409, c.get("/SalesOrderService/GetSalesOrder?OrderNumber=SAME").status)
	require.Equal(t, 200, c.get("/SalesOrderService/GetSalesOrder?OrderNumber=SAME&CustomerCode=ACCOUNT").status)
	require.Equal(t, "ORDER_NOT_FOUND", c.get("/SalesOrderService/GetSalesOrder?OrderNumber=OTHER").code())
	require.Equal(t, codeMissing, c.get("/SalesOrderService/GetSalesOrder").code())
}

func TestCustomers(t *testing.T) {
	c := newCompany(t)
	numbered := c.ok(addCustomer, `{"Name":"Ada","ExternalId":"shop-1","Email":"A@Example.com","CreditLimit":"5000","CreditCheckFlag":"B"}`)
	require.Equal(t, 201, numbered.status)
	require.Equal(t, "C000001", numbered.text("CustomerCode"))
	require.Equal(t, "Added", numbered.text("Action"))
	same := c.ok(addCustomer, `{"Mode":"Add","Name":"Ada","ExternalId":"shop-1"}`)
	require.Equal(t, "C000001", same.text("CustomerCode"))
	for _, query := range []string{"CustomerCode=C000001", "ExternalId=shop-1", "Email=a@example.COM"} {
		a := c.get("/CustomerService/GetCustomer?" + query)
		require.Equal(t, "C000001", a.text("CustomerCode"), query)
		require.Equal(t, "5000.00", a.text("AvailableCredit"))
	}
	updated := c.ok(addCustomer, `{"CustomerCode":"C000001","Phone":"+1","Email":""}`)
	require.Equal(t, 200, updated.status)
	after := c.get("/CustomerService/GetCustomer?CustomerCode=C000001")
	require.Equal(t, "Ada", after.text("Name"), "an absent field stays")
	require.Empty(t, after.text("Email"), "an empty one clears")
	require.Equal(t, 404, c.get("/CustomerService/GetCustomer?Email=a@example.com").status)

	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"add existing":     {`{"Mode":"Add","CustomerCode":"WEB","Name":"X"}`, 409, codeDuplicate},
		"update missing":   {`{"Mode":"Update","CustomerCode":"NONE","Name":"X"}`, 422, codeCustomerUnknown},
		"no external ID":   {`{"Name":"X"}`, 400, codeMissing},
		"no name":          {`{"CustomerCode":"NEW"}`, 400, codeMissing},
		"foreign ID":       {`{"CustomerCode":"NEW","Name":"X","ExternalId":"shop-1"}`, 409, codeDuplicate},
		"long name":        {`{"CustomerCode":"NEW","Name":"` + strings.Repeat("n", 51) + `"}`, 400, codeTooLong},
		"bad mode":         {`{"Mode":"Merge","CustomerCode":"NEW","Name":"X"}`, 400, codeInvalid},
		"negative limit":   {`{"CustomerCode":"NEW","Name":"X","CreditLimit":-1}`, 400, codeInvalid},
		"empty name":       {`{"CustomerCode":"WEB","Name":" "}`, 400, codeMissing},
		"bad tax status":   {`{"CustomerCode":"WEB","TaxStatus":"Q"}`, 400, codeInvalid},
		"currency, no use": {`{"CustomerCode":"C000001","Currency":"EUR"}`, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.post(addCustomer, tc.body)
			require.Equal(t, tc.status, a.status, a.raw)
			require.Equal(t, tc.code, a.code())
		})
	}
	c.ok(addOrder, orderOf("CU1", "A100", ""))
	require.Equal(t, codeBusinessRule, c.post(addCustomer, `{"CustomerCode":"WEB","Currency":"EUR"}`).code())
	c.ok(addCustomer, `{"CustomerCode":"T1","Name":"Twin","Email":"t@x.com"}`)
	c.ok(addCustomer, `{"CustomerCode":"T2","Name":"Twin","Email":"t@x.com"}`)
	require.Equal(t, 409, c.get("/CustomerService/GetCustomer?Email=t@x.com").status)
	require.Equal(t, 400, c.get("/CustomerService/GetCustomer").status)
}

func TestStockBalance(t *testing.T) {
	c := newCompany(t)
	all := c.get("/InventoryService/GetStockBalance?StockCode=A100")
	require.Equal(t, "1050000", all.text("Items.0.TotalAvailable"))
	require.Equal(t, "STOCK_NOT_FOUND", func() string {
		a := c.get("/InventoryService/GetStockBalance?StockCode=NOSUCH")
		require.Equal(t, 404, a.status)
		return a.code()
	}())
	require.Equal(t, 400, c.get("/InventoryService/GetStockBalance").status)
	require.Equal(t, 400, c.get("/InventoryService/GetStockBalance?"+strings.Repeat("StockCode=A100&", 51)).status)
	require.Equal(t, "0", c.get("/InventoryService/GetStockBalance?StockCode=OUT0").text("Items.0.TotalAvailable"))
}

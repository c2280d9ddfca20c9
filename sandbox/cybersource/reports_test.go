package cybersource

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const classicReport = "PaymentBatchDetailReport_Daily_Classic"

// pacific has no daylight saving, so that a day is the 07:00Z to 07:00Z of the recordings.
func pacific(c *Config) { c.TimeZone = time.FixedZone("PDT", -7*3600) }

// settled closes a day and gives the answer.
func (g *gateway) settled(date string, body any) answer {
	g.t.Helper()
	a := g.control("POST", "/_sandbox/settle?date="+date, body)
	require.Equal(g.t, http.StatusOK, a.status, a.raw)
	return a
}

// report downloads a file as any client would that takes the type.
func (g *gateway) report(name, date, accept string) answer {
	g.t.Helper()
	target := "/reporting/v3/report-downloads?" + url.Values{"organizationId": {testMerchant}, "reportName": {name}, "reportDate": {date}}.Encode()
	r := newRequest("GET", target, "")
	r.Header.Set("Authorization", "Bearer "+sharedSecretToken(g.t, g.claims("GET", target, "")))
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	return g.serve(r)
}

// rows downloads a CSV and gives its rows by the names of its columns.
func (g *gateway) rows(name, date string) []map[string]string {
	g.t.Helper()
	a := g.report(name, date, "text/csv")
	require.Equal(g.t, http.StatusOK, a.status, a.raw)
	require.Equal(g.t, "text/csv", a.header.Get("Content-Type"))
	reader := csv.NewReader(strings.NewReader(a.raw))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	require.NoError(g.t, err)
	require.GreaterOrEqual(g.t, len(records), 2)
	var rows []map[string]string
	for _, record := range records[2:] {
		require.Len(g.t, record, len(records[1]))
		row := map[string]string{}
		for i, value := range record {
			row[records[1][i]] = value
		}
		rows = append(rows, row)
	}
	return rows
}

func column(rows []map[string]string, name string) []string {
	var values []string
	for _, row := range rows {
		values = append(values, row[name])
	}
	return values
}

func (g *gateway) refund(id, amount string) string {
	g.t.Helper()
	a := g.post("/pts/v2/payments/"+id+"/refunds", amountBody("RMA-7", amount))
	require.Equal(g.t, http.StatusCreated, a.status, a.raw)
	return a.id()
}

func (g *gateway) void(kind, id string) {
	g.t.Helper()
	a := g.post("/pts/v2/"+kind+"/"+id+"/voids", voidBody())
	require.Equal(g.t, http.StatusCreated, a.status, a.raw)
}

func TestTheClassicFileIsAsRecorded(t *testing.T) {
	g := newGateway(t, pacific)
	sold := g.pay(sale(nil)).id()
	paid := g.pay(nil).id()
	captured := g.capture(paid, "50.00").id()
	g.void("captures", g.capture(g.pay(nil).id(), "102.21").id())
	refunded := g.refund(sold, "10.00")
	g.void("refunds", g.refund(sold, "5.00"))
	g.pay(nil) // an authorization alone is in no batch
	g.clock.Advance(13 * time.Hour)
	batch := g.settled("2026-01-05", nil).text("batchId")

	a := g.report(classicReport, "2026-01-06", "text/csv")
	require.Equal(t, http.StatusOK, a.status, a.raw)
	reconciliation := func(id string) string { return g.server.books.byID[id].ReconciliationID }
	line := func(id, reference, amount, applications string) string {
		return fmt.Sprintf("%s,demo_mid,2026-01-05T21:00:00Z,%s,%s,%s,Visa,USD,%s,%s,BATCHED,2026-01-05T08:00:00Z\r\n", batch, id, reference, reconciliation(id), amount, applications)
	}
	require.Equal(t, "demo_mid,PaymentBatchDetailReport_Daily_Classic,PaymentBatchDetail,1.10,2026-01-05T07:00:00Z to 2026-01-06T07:00:00Z,,,,,,,\r\n"+
		"batch_id,merchant_id,batch_date,request_id,merchant_ref_number,TransactionReferenceNumber,payment_type,currency,amount,ics_applications,status,transaction_date\r\n"+
		line(sold, "ORD-1001", "102.21", `"ics_bill,ics_auth"`)+line(captured, "CAP", "50.00", "ics_bill")+line(refunded, "RMA-7", "10.00", "ics_credit"), a.raw)

	require.Equal(t, []string{"vdcvantiv", "vdcvantiv", "vdcvantiv"}, column(g.rows("PaymentSubmissionDetailReport_Daily_Classic", "2026-01-06"), "payment_processor"))
	standard := g.rows("PaymentBatchDetailReport_Daily", "2026-01-06")
	require.Equal(t, []string{sold, captured, refunded}, column(standard, "RequestID"))
	require.Equal(t, []string{sold, paid, ""}, column(standard, "PaymentRequestID"))
	require.Equal(t, []string{"tier-gold", "tier-gold", "tier-gold"}, column(standard, "MerchantDefinedData2"))
	require.Equal(t, 404, g.report(classicReport, "2026-01-05", "text/csv").status, "a report is found under the end of its period")
}

func TestARowIsInTheReportOfOneDay(t *testing.T) {
	g := newGateway(t)
	first := g.pay(sale(nil)).id()
	g.settled("2026-01-05", nil)
	g.clock.Advance(24 * time.Hour)
	second := g.pay(sale(nil)).id()
	g.settled("2026-01-06", nil)
	require.Equal(t, []string{first}, column(g.rows(classicReport, "2026-01-06"), "request_id"))
	require.Equal(t, []string{second}, column(g.rows(classicReport, "2026-01-07"), "request_id"))

	more := g.pay(sale(nil)).id()
	g.settled("2026-01-06", nil)
	require.Equal(t, []string{second, more}, column(g.rows(classicReport, "2026-01-07"), "request_id"), "the same day again takes what came since")
}

func TestTheXMLFormFollowsTheSubscription(t *testing.T) {
	g := newGateway(t, pacific)
	id := g.pay(sale(nil)).id()
	batch := g.settled("2026-01-05", nil).text("batchId")
	a := g.report("PaymentBatchDetailReport_Daily_XML", "2026-01-06", "application/xml")
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "application/xml", a.header.Get("Content-Type"))
	for _, part := range []string{
		`<?xml version="1.0" encoding="utf-8"?>`,
		`<Report Name="PaymentBatchDetailReport_Daily_XML" Version="1.10" MerchantID="demo_mid" ReportStartDate="2026-01-05T07:00:00Z" ReportEndDate="2026-01-06T07:00:00Z">`,
		`<Request MerchantReferenceNumber="ORD-1001" RequestDate="2026-01-05T08:00:00Z" RequestID="` + id + `" MerchantID="demo_mid" Source="REST API" User="demo_mid">`,
		`<BillTo><FirstName>Ada</FirstName><LastName>Byron</LastName></BillTo>`,
		`<PaymentMethod><Card><AccountSuffix>1111</AccountSuffix><CardType>Visa</CardType><ExpirationMonth>12</ExpirationMonth><ExpirationYear>2031</ExpirationYear></Card></PaymentMethod>`,
		`<ApplicationReplies><ApplicationReply Name="ics_bill"><RCode>1</RCode><RFlag>SOK</RFlag>`, `<ApplicationReply Name="ics_auth">`,
		`<PaymentData><PaymentRequestID>` + id + `</PaymentRequestID><PaymentProcessor>vdcvantiv</PaymentProcessor><Amount>102.21</Amount><CurrencyCode>USD</CurrencyCode>`,
		`<Batch><BatchID>` + batch + `</BatchID><BatchDate>2026-01-05T08:00:00Z</BatchDate><Status>BATCHED</Status></Batch></Request>`, `</Report>`,
	} {
		require.Contains(t, a.raw, part)
	}
	for _, accept := range []string{"text/csv", "application/hal+json", "nonsense/;"} {
		refused := g.report("PaymentBatchDetailReport_Daily_XML", "2026-01-06", accept)
		require.Equal(t, 400, refused.status, accept)
		require.Equal(t, "VALIDATION_ERROR", refused.text("code"))
	}
	require.Equal(t, 200, g.report("PaymentBatchDetailReport_Daily_XML", "2026-01-06", "*/*").status)
	require.Equal(t, 200, g.report("PaymentBatchDetailReport_Daily_XML", "2026-01-06", "").status)
}

func TestASubscriptionChoosesFieldsNamesAndSigns(t *testing.T) {
	g := newGateway(t)
	g.refund(g.pay(sale(nil)).id(), "10.00")
	g.settled("2026-01-05", nil)
	order := map[string]any{"reportDefinitionName": "PaymentBatchDetailClass", "reportFields": []string{"Request.RequestID", "Request.MerchantReferenceNumber", "PaymentData.Amount"},
		"reportMimeType": "text/csv", "reportFrequency": "DAILY", "reportName": "Mine", "reportPreferences": map[string]any{"signedAmounts": true, "fieldNameConvention": "SCMP"}}
	require.Equal(t, 200, g.send("PUT", "/reporting/v3/report-subscriptions", order).status)
	a := g.report("Mine", "2026-01-06", "text/csv")
	require.Contains(t, a.raw, "\r\nrequest_id,merchant_ref_number,amount\r\n")
	require.Equal(t, []string{"102.21", "-10.00"}, column(g.rows("Mine", "2026-01-06"), "amount"))
	require.Equal(t, "PaymentBatchDetailClass", g.get("/reporting/v3/report-subscriptions/Mine").text("reportDefinitionName"))

	order["reportMimeType"], order["reportName"] = "application/xml", classicReport
	require.Equal(t, 200, g.send("PUT", "/reporting/v3/report-subscriptions", order).status, "a report is replaced by its name")
	require.Equal(t, 400, g.report(classicReport, "2026-01-06", "text/csv").status)
	require.Equal(t, 200, g.report(classicReport, "2026-01-06", "application/xml").status)

	require.Equal(t, 200, g.send("DELETE", "/reporting/v3/report-subscriptions/Mine", nil).status)
	require.Equal(t, 404, g.report("Mine", "2026-01-06", "text/csv").status)
	require.Equal(t, 404, g.get("/reporting/v3/report-subscriptions/Mine").status)
	for field, value := range map[string]any{"reportDefinitionName": "Nothing", "reportFields": []string{"Request.Nothing"}, "reportMimeType": "text/html", "reportFrequency": "HOURLY", "reportName": ""} {
		bad := map[string]any{"reportDefinitionName": "FeeDetailClass", "reportMimeType": "text/csv", "reportFrequency": "DAILY", "reportName": "Bad"}
		bad[field] = value
		refused := g.send("PUT", "/reporting/v3/report-subscriptions", bad)
		require.Equal(t, 400, refused.status, field)
		require.Contains(t, refused.raw, `"path":"`+field+`"`)
	}
}

// list gives the status of a report in the list.
func (g *gateway) status(name string) string {
	g.t.Helper()
	a := g.get("/reporting/v3/reports?startTime=2026-01-05T00%3A00%3A00.000Z&endTime=2026-01-06T00%3A00%3A00.000Z&timeQueryType=reportTimeFrame&reportName=" + name)
	require.Equal(g.t, 200, a.status, a.raw)
	results := a.at("reportSearchResults").([]any)
	require.Len(g.t, results, 1, a.raw)
	return results[0].(map[string]any)["status"].(string)
}

func TestAFileIsThereWhenItIsMade(t *testing.T) {
	g := newGateway(t)
	g.pay(sale(nil))
	require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status, "no batch, no report")
	g.settled("2026-01-05", map[string]any{"lateReport": map[string]any{"delayMs": 60_000, "reports": []string{classicReport}}, "failedReports": []string{"FeeDetailReport_Daily"}})
	require.Equal(t, "QUEUED", g.status(classicReport))
	require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status)
	require.Equal(t, "COMPLETED", g.status("DepositDetailReport_Daily"), "the others are there")
	require.Equal(t, "ERROR", g.status("FeeDetailReport_Daily"))
	require.Equal(t, 404, g.report("FeeDetailReport_Daily", "2026-01-06", "text/csv").status)
	require.Equal(t, "NO_DATA", g.status("ChargebackAndRetrievalDetailReport_Daily"))
	missing := g.report("ChargebackAndRetrievalDetailReport_Daily", "2026-01-06", "text/csv")
	require.Equal(t, 404, missing.status)
	require.Equal(t, "RESOURCE_NOTFOUND", missing.text("code"))
	g.clock.Advance(30 * time.Second)
	require.Equal(t, "RUNNING", g.status(classicReport))
	g.clock.Advance(30 * time.Second)
	require.Equal(t, "COMPLETED", g.status(classicReport))
	require.Equal(t, 200, g.report(classicReport, "2026-01-06", "text/csv").status)

	entry := g.get("/reporting/v3/reports?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z&timeQueryType=reportTimeFrame&reportStatus=COMPLETED").at("reportSearchResults").([]any)[0].(map[string]any)
	require.Equal(t, classicReport, entry["reportName"])
	href := entry["_link"].(map[string]any)["reportDownload"].(map[string]any)["href"].(string)
	require.Equal(t, 200, g.get(href).status, "the link of the list works as it is")
	require.Equal(t, classicReport, g.get("/reporting/v3/reports/"+entry["reportId"].(string)).text("reportName"))
	require.Equal(t, 404, g.get("/reporting/v3/reports/unknown").status)
}

func TestADayWithoutAnythingHasNoData(t *testing.T) {
	g := newGateway(t)
	reports := g.settled("2026-01-05", nil).at("reports").([]any)
	require.NotEmpty(t, reports)
	for _, one := range reports {
		require.Equal(t, "NO_DATA", one.(map[string]any)["status"])
		require.Equal(t, "2026-01-06", one.(map[string]any)["reportDate"])
	}
	require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status)
}

func TestReportingIsStrict(t *testing.T) {
	g := newGateway(t)
	g.pay(sale(nil))
	g.settled("2026-01-05", nil)
	const period = "startTime=2026-01-05T00%3A00%3A00.000Z&endTime=2026-01-06T00%3A00%3A00.000Z"
	for _, tc := range []struct {
		target string
		status int
		path   string
	}{
		{"report-downloads?reportName=x", 400, "reportDate"},
		{"report-downloads?reportDate=2026-01-06", 400, "reportName"},
		{"report-downloads?reportName=x&reportDate=06.01.2026", 400, "reportDate"},
		{"report-downloads?reportName=x&reportDate=2026-01-06&reportTime=noon", 400, "reportTime"},
		{"report-downloads?reportName=x&reportDate=2026-01-06", 404, ""},
		{"report-downloads?reportName=" + classicReport + "&reportDate=2026-01-06&organizationId=other", 403, ""},
		{"reports?" + period, 400, "timeQueryType"},
		{"reports?timeQueryType=executedTime&startTime=yesterday&endTime=2026-01-06T00:00:00Z", 400, "startTime"},
		{"purchase-refund-details?endTime=2026-01-06T00:00:00Z", 400, "startTime"},
		{"purchase-refund-details?startTime=2024-07-04T00:00:00Z&endTime=2026-01-06T00:00:00Z", 400, "startTime"},
		{"purchase-refund-details?startTime=2024-07-06T00:00:00Z&endTime=2026-01-06T00:00:00Z", 200, ""},
		{"purchase-refund-details?startTime=2026-01-06T00:00:00Z&endTime=2026-01-06T00:00:00Z", 400, "endTime"},
		{"purchase-refund-details?" + period + "&limit=2001", 400, "limit"},
		{"purchase-refund-details?" + period + "&offset=-1", 400, "offset"},
		{"purchase-refund-details?" + period + "&viewBy=moon", 400, "viewBy"},
		{"purchase-refund-details?" + period + "&paymentSubtype=XX", 400, "paymentSubtype"},
		{"payment-batch-summaries?" + period + "&rollUp=year", 400, "rollUp"},
		{"payment-batch-summaries?" + period + "&startDayOfWeek=8", 400, "startDayOfWeek"},
		{"payment-batch-summaries?" + period + "&breakdown=all", 400, "breakdown"},
		{"net-fundings?" + period + "&organizationId=other", 403, ""},
		{"chargeback-details?" + period, 404, ""},
		{"retrieval-details?" + period, 404, ""},
		{"chargeback-summaries?" + period, 404, ""},
	} {
		a := g.get("/reporting/v3/" + tc.target)
		require.Equal(t, tc.status, a.status, "%s: %s", tc.target, a.raw)
		if tc.path != "" {
			require.Equal(t, "VALIDATION_ERROR", a.text("code"))
			require.Contains(t, a.raw, `"path":"`+tc.path+`"`, tc.target)
		}
	}
	require.Equal(t, 401, g.serve(newRequest("GET", "/reporting/v3/reports?"+period, "")).status)
}

func TestPlantedDiscrepancies(t *testing.T) {
	g := newGateway(t)
	var ids []string
	for range 6 {
		ids = append(ids, g.pay(sale(nil)).id())
	}
	a := g.settled("2026-01-05", map[string]any{"missing": 1, "extra": 1, "amountOff": []any{map[string]any{"id": ids[3], "by": "-2.21"}}, "duplicate": []string{ids[4]}, "currencyOff": 1})
	rows := g.rows(classicReport, "2026-01-06")
	extra := a.at("planted.extra").([]any)[0].(string)
	require.Equal(t, []string{ids[1], ids[2], ids[3], ids[4], ids[4], ids[5], extra}, column(rows, "request_id"), "the first free rows are missing and in another currency")
	require.Equal(t, []string{"102.21", "102.21", "100.00", "102.21", "102.21", "102.21", "10.00"}, column(rows, "amount"))
	require.Equal(t, []string{"EUR", "USD", "USD", "USD", "USD", "USD", "USD"}, column(rows, "currency"))
	require.Equal(t, []any{ids[0]}, a.at("planted.missing"))
	require.Equal(t, []any{map[string]any{"id": ids[3], "amount": "102.21", "reported": "100.00"}}, a.at("planted.amountOff"))
	require.Nil(t, g.server.books.byID[extra])
	require.Equal(t, "102.21", g.entry(ids[3]).Amount, "the ledger keeps the truth")

	// 3 x 102.21 + 100.00 + 10.00 in dollars: the totals agree with the rows, a repeated one counted once.
	totals := g.get("/reporting/v3/payment-batch-summaries?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z").at("paymentBatchSummaries").([]any)
	require.Len(t, totals, 2)
	require.Equal(t, "416.63", totals[1].(map[string]any)["salesAmount"])
	require.Equal(t, 5.0, totals[1].(map[string]any)["salesCount"])

	g.settled("2026-01-05", map[string]any{"missing": []string{ids[5]}, "totals": "ledger"})
	require.Equal(t, ids[:5], column(g.rows(classicReport, "2026-01-06"), "request_id"), "a new order takes the place of the old one")
	totals = g.get("/reporting/v3/payment-batch-summaries?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z").at("paymentBatchSummaries").([]any)
	require.Equal(t, "613.26", totals[0].(map[string]any)["salesAmount"])

	g.clock.Advance(24 * time.Hour)
	g.settled("2026-01-06", map[string]any{"late": 1})
	late := g.rows(classicReport, "2026-01-07")
	require.Equal(t, []string{ids[5]}, column(late, "request_id"))
	require.Equal(t, []string{"2026-01-05T08:00:00Z"}, column(late, "batch_date"), "a late row keeps its batch")
	g.clock.Advance(24 * time.Hour)
	require.Equal(t, 400, g.control("POST", "/_sandbox/settle?date=2026-01-07", map[string]any{"late": 1}).status, "it comes once")
}

func TestPlantsThatCanNotBeMetChangeNothing(t *testing.T) {
	g := newGateway(t)
	id := g.pay(sale(nil)).id()
	for _, body := range []any{
		map[string]any{"missing": 2}, map[string]any{"missing": []string{"7"}}, map[string]any{"missing": []string{id}, "duplicate": []string{id}},
		map[string]any{"missing": -1}, map[string]any{"missing": "all"}, map[string]any{"extra": -1}, map[string]any{"rows": 10_000_001},
		map[string]any{"amountOff": []any{map[string]any{"id": id, "by": "-200"}}}, map[string]any{"amountOff": []any{map[string]any{"amount": "102.21"}}},
		map[string]any{"amountOff": []any{map[string]any{"amount": "x"}}}, map[string]any{"amountOff": []any{map[string]any{"by": "1e99"}}}, map[string]any{"amountOff": []any{map[string]any{"sum": "1"}}},
		map[string]any{"currencyOff": []any{map[string]any{"currency": "USD"}}}, map[string]any{"currencyOff": []any{map[string]any{"currency": "XXY"}}},
		map[string]any{"totals": "guess"}, map[string]any{"late": 1}, map[string]any{"merchantId": "other"}, map[string]any{"depositDays": -1},
		map[string]any{"lateReport": map[string]any{"delayMs": -1}}, map[string]any{"failedReports": []string{"Nothing"}}, map[string]any{"mising": 1},
	} {
		a := g.control("POST", "/_sandbox/settle?date=2026-01-05", body)
		require.Equal(t, 400, a.status, "%v: %s", body, a.raw)
	}
	require.Equal(t, "AUTHORIZED", g.entry(id).Status, "the batch is open")
	require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status)
}

func TestATruncatedFileEndsWithinItsLastRow(t *testing.T) {
	g := newGateway(t)
	g.pay(sale(nil))
	last := g.pay(sale(nil)).id()
	g.settled("2026-01-05", nil)
	whole := g.report(classicReport, "2026-01-06", "text/csv").raw
	g.settled("2026-01-05", map[string]any{"truncate": true})
	cut := g.report(classicReport, "2026-01-06", "text/csv").raw
	require.Less(t, len(cut), len(whole))
	require.True(t, strings.HasPrefix(whole, cut))
	require.Contains(t, cut, last)
	require.False(t, strings.HasSuffix(cut, "\n"))
	require.NotContains(t, g.report("PaymentBatchDetailReport_Daily_XML", "2026-01-06", "application/xml").raw, "</Report>")
}

func TestFeesFundingAndDepositOfADay(t *testing.T) {
	g := newGateway(t)
	sold := g.pay(sale(nil)).id()
	refunded := g.refund(sold, "10.00")
	yen := g.pay(sale(map[string]any{"orderInformation.amountDetails.totalAmount": "1000", "orderInformation.amountDetails.currency": "JPY"})).id()
	g.settled("2026-01-05", nil)

	// The first is the example of the reference: 102.21 at 1.51 % + 0.10 and 0.20 % + 0.05 is 1.89.
	fees := g.rows("FeeDetailReport_Daily", "2026-01-06")
	require.Equal(t, []string{sold, refunded, yen}, column(fees, "RequestID"))
	require.Equal(t, []string{"1.54", "0.00", "15"}, column(fees, "InterchangeAmount"))
	require.Equal(t, []string{"0.20", "0.00", "2"}, column(fees, "DiscountAmount"))
	require.Equal(t, []string{"0.15", "0.05", "15"}, column(fees, "PerItemFeeAmount"))
	require.Equal(t, []string{"1.89", "0.05", "32"}, column(fees, "TotalFeeAmount"))

	deposits := g.rows("DepositDetailReport_Daily", "2026-01-06")
	require.Equal(t, []string{"JPY", "USD"}, column(deposits, "Currency"))
	require.Equal(t, []string{"968", "90.27"}, column(deposits, "Amount"), "102.21 - 10.00 - 1.94")
	fundings := g.rows("FundingDetailReport_Daily", "2026-01-06")
	require.Equal(t, []string{"968", "90.27"}, column(fundings, "FundingAmount"))
	require.Equal(t, []string{"32", "1.94"}, column(fundings, "FeeAmount"))

	a := g.get("/reporting/v3/purchase-refund-details?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z")
	require.Equal(t, 3.0, a.at("pageResults"))
	fee := a.at("feeAndFundingDetails").([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"requestId": sold, "interchangePerItemFee": "0.10", "interchangeDescription": "CPS", "interchangePercentage": "1.51",
		"interchangePercentageAmount": "1.54", "discountPercentage": "0.20", "discountAmount": "0.20", "discountPerItemFee": "0.05", "totalFee": "1.89",
		"feeCurrency": "USD", "duesAssessments": "0.00", "fundingAmount": "100.32", "fundingCurrency": "USD"}, fee)
	require.Equal(t, "-10.05", a.at("feeAndFundingDetails").([]any)[1].(map[string]any)["fundingAmount"])
	require.Equal(t, "Refund", a.at("settlements").([]any)[1].(map[string]any)["transactionType"])
	require.Equal(t, sold, a.at("authorizations").([]any)[0].(map[string]any)["authorizationRequestId"])

	net := g.get("/reporting/v3/net-fundings?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z")
	require.Equal(t, []any{map[string]any{"currency": "JPY", "value": "968"}, map[string]any{"currency": "USD", "value": "90.27"}}, net.at("netTotal"))
	require.Equal(t, []any{map[string]any{"currency": "JPY", "value": "32"}, map[string]any{"currency": "USD", "value": "1.94"}}, net.at("totalFees"))
}

func TestADepositMayBeReportedDaysLater(t *testing.T) {
	g := newGateway(t)
	g.pay(sale(nil))
	g.settled("2026-01-05", map[string]any{"depositDays": 1})
	require.Equal(t, 404, g.report("DepositDetailReport_Daily", "2026-01-06", "text/csv").status)
	g.clock.Advance(24 * time.Hour)
	g.settled("2026-01-06", nil)
	require.Equal(t, []string{"DEP20260105USD"}, column(g.rows("DepositDetailReport_Daily", "2026-01-07"), "Identifier"))
}

func TestADisputeTakesMoneyAndMayGiveItBack(t *testing.T) {
	g := newGateway(t)
	won, lost := g.pay(sale(nil)).id(), g.pay(sale(map[string]any{"clientReferenceInformation.code": "ORD-2"})).id()
	open := map[string]any{"reference": "ORD-1001", "fee": "15.00", "reason": "13.1", "respondBy": "2026-02-20"}
	require.Equal(t, 409, g.control("POST", "/_sandbox/chargebacks", open).status, "nobody disputes what is not settled")
	g.settled("2026-01-05", nil)
	g.clock.Advance(24 * time.Hour)
	a := g.control("POST", "/_sandbox/chargebacks", open)
	require.Equal(t, http.StatusCreated, a.status, a.raw)
	require.Equal(t, "CB-000001", a.text("case"))
	require.Equal(t, "-102.21", a.text("moved"))
	require.Equal(t, 409, g.control("POST", "/_sandbox/chargebacks", open).status, "all of it is disputed")
	require.Equal(t, http.StatusCreated, g.control("POST", "/_sandbox/chargebacks", map[string]any{"id": lost, "amount": "50.00"}).status)
	require.Equal(t, 409, g.control("POST", "/_sandbox/chargebacks", map[string]any{"id": lost, "amount": "52.22"}).status, "only the rest is left")
	g.settled("2026-01-06", nil)

	rows := g.rows("ChargebackAndRetrievalDetailReport_Daily", "2026-01-07")
	require.Equal(t, []string{"CB-000001", "CB-000002"}, column(rows, "CaseNumber"))
	require.Equal(t, []string{won, lost}, column(rows, "RequestID"))
	require.Equal(t, []string{"debit", "debit"}, column(rows, "FinancialImpactType"))
	require.Equal(t, []string{"15.00", "0.00"}, column(rows, "FeeAmount"))
	require.Equal(t, []string{"2026-02-20", "2026-01-26"}, column(rows, "RespondByDate"))
	require.Equal(t, []string{"-167.21"}, column(g.rows("DepositDetailReport_Daily", "2026-01-07"), "Amount"))

	g.clock.Advance(24 * time.Hour)
	require.Equal(t, http.StatusCreated, g.control("POST", "/_sandbox/chargebacks", map[string]any{"case": "CB-000001", "action": "won"}).status)
	require.Equal(t, http.StatusCreated, g.control("POST", "/_sandbox/chargebacks", map[string]any{"reference": "ORD-2", "action": "lost", "fee": "5"}).status)
	require.Equal(t, 409, g.control("POST", "/_sandbox/chargebacks", map[string]any{"case": "CB-000001", "action": "lost"}).status, "a case ends once")
	require.Equal(t, http.StatusCreated, g.control("POST", "/_sandbox/chargebacks", map[string]any{"id": won, "kind": "retrieval"}).status)
	g.settled("2026-01-07", nil)
	rows = g.rows("ChargebackAndRetrievalDetailReport_Daily", "2026-01-08")
	require.Equal(t, []string{"Won", "Lost", "Open"}, column(rows, "TransactionType"))
	require.Equal(t, []string{"Chargeback Reversal", "Chargeback", "Retrieval"}, column(rows, "CaseType"))
	require.Equal(t, []string{"credit", "none", "none"}, column(rows, "FinancialImpactType"))
	require.Equal(t, []string{"M", "B", ""}, column(rows, "ResolvedToIndicator"))
	require.Equal(t, []string{"97.21"}, column(g.rows("DepositDetailReport_Daily", "2026-01-08"), "Amount"), "102.21 back, 5.00 charged")

	const from = "?startTime=2026-01-05T00:00:00Z&endTime="
	details := g.get("/reporting/v3/chargeback-details" + from + "2026-01-10T00:00:00Z").at("chargebackDetails").([]any)
	require.Len(t, details, 4)
	first, second, third := details[0].(map[string]any), details[2].(map[string]any), details[3].(map[string]any)
	require.Equal(t, []any{"-", "Open", "102.21", won, "13.1", "2026-01-05T08:00:00Z"}, []any{first["sign"], first["action"], first["amount"], first["requestId"], first["reasonCode"], first["originalSettlementTime"]})
	require.Equal(t, []any{"+", "Won", "102.21", "CB-000001"}, []any{second["sign"], second["action"], second["amount"], second["trackingNumber"]})
	require.Equal(t, []any{"-", "Lost", "0.00"}, []any{third["sign"], third["action"], third["amount"]}, "a signed amount of nothing moves nothing")
	require.Len(t, g.get("/reporting/v3/retrieval-details"+from+"2026-01-10T00:00:00Z").at("retrievalDetails"), 1)
	require.Equal(t, 404, g.get("/reporting/v3/chargeback-details"+from+"2026-01-06T00:00:00Z").status)
	require.Equal(t, 2.0, g.get("/reporting/v3/chargeback-summaries" + from + "2026-01-10T00:00:00Z").at("chargebackSummaries").([]any)[0].(map[string]any)["count"])

	ledger := g.server.Ledger().Disputes
	require.Len(t, ledger, 5)
	require.Equal(t, "2026-01-06", ledger[0].Day)
	for _, bad := range []map[string]any{{"id": won, "action": "appeal"}, {"id": won, "kind": "query"}, {"idd": won}} {
		require.Equal(t, 400, g.control("POST", "/_sandbox/chargebacks", bad).status)
	}
	for _, bad := range []map[string]any{{}, {"id": "7"}, {"id": lost, "amount": "x"}, {"id": lost, "respondBy": "soon"}, {"id": lost, "fee": "-1"}, {"action": "won"}} {
		require.Equal(t, 409, g.control("POST", "/_sandbox/chargebacks", bad).status, bad)
	}
}

func TestPagesOfPurchasesAndRefunds(t *testing.T) {
	g := newGateway(t)
	for range 3 {
		g.pay(sale(nil))
	}
	g.settled("2026-01-05", map[string]any{"rows": 25})
	page := func(offset, limit int, more string) []string {
		a := g.get(fmt.Sprintf("/reporting/v3/purchase-refund-details?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z&offset=%d&limit=%d%s", offset, limit, more))
		require.Equal(t, 200, a.status, a.raw)
		var ids []string
		for _, one := range a.at("settlements").([]any) {
			ids = append(ids, one.(map[string]any)["requestId"].(string))
		}
		require.EqualValues(t, len(ids), a.at("pageResults"))
		require.Len(t, a.at("requestDetails"), len(ids))
		return ids
	}
	all := page(0, 2000, "")
	require.Len(t, all, 28)
	for _, view := range []string{"", "&viewBy=submissionDate"} {
		var read []string
		for offset := 0; ; offset += 10 {
			ids := page(offset, 10, view)
			read = append(read, ids...)
			if len(ids) < 10 {
				break
			}
		}
		require.Equal(t, all, read)
	}
	require.Len(t, page(0, 2000, "&paymentSubtype=AX"), 6)
	half := g.get("/reporting/v3/purchase-refund-details?startTime=2026-01-05T12:00:00Z&endTime=2026-01-06T00:00:00Z")
	require.Equal(t, 12.0, half.at("pageResults"), "generated rows are spread over the day")
}

func TestSummariesRollUp(t *testing.T) {
	g := newGateway(t)
	for range 3 { // Monday the 5th to Wednesday the 7th
		id := g.pay(sale(nil)).id()
		g.refund(id, "2.21")
		g.settled(g.clock.Now().Format(time.DateOnly), nil)
		g.clock.Advance(24 * time.Hour)
	}
	const period = "/reporting/v3/payment-batch-summaries?startTime=2026-01-01T00:00:00Z&endTime=2026-02-01T00:00:00Z"
	days := g.get(period).at("paymentBatchSummaries").([]any)
	require.Len(t, days, 3)
	require.Equal(t, map[string]any{"currencyCode": "USD", "paymentSubTypeDescription": "VI", "startTime": "2026-01-05T00:00:00Z", "endTime": "2026-01-06T00:00:00Z",
		"salesCount": 1.0, "salesAmount": "102.21", "creditCount": 1.0, "creditAmount": "2.21", "accountName": testMerchant, "accountId": testMerchant,
		"merchantId": testMerchant, "merchantName": testMerchant}, days[0])
	for query, starts := range map[string][]string{"&rollUp=week": {"2026-01-04T00:00:00Z"}, "&rollUp=week&startDayOfWeek=3": {"2025-12-30T00:00:00Z", "2026-01-06T00:00:00Z"}, "&rollUp=month": {"2026-01-01T00:00:00Z"}} {
		var found []string
		for _, one := range g.get(period + query).at("paymentBatchSummaries").([]any) {
			found = append(found, one.(map[string]any)["startTime"].(string))
		}
		require.Equal(t, starts, found, query)
	}
}

func TestReportsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *Config) { c.StateDir = dir }
	g := newGateway(t, keep)
	g.pay(sale(nil))
	g.refund(g.pay(sale(nil)).id(), "1.00")
	g.settled("2026-01-05", map[string]any{"missing": 1, "extra": 1, "rows": 10, "duplicate": 1})
	g.control("POST", "/_sandbox/chargebacks", map[string]any{"reference": "ORD-1001", "amount": "7.00"})
	g.settled("2026-01-06", nil)
	g.send("DELETE", "/reporting/v3/report-subscriptions/FundingDetailReport_Daily", nil)
	var before []string
	files := []string{classicReport, "FeeDetailReport_Daily", "DepositDetailReport_Daily", "FundingDetailReport_Daily"}
	for _, name := range files {
		before = append(before, g.report(name, "2026-01-06", "text/csv").raw)
	}
	disputes := g.report("ChargebackAndRetrievalDetailReport_Daily", "2026-01-06", "text/csv").raw + g.report("ChargebackAndRetrievalDetailReport_Daily", "2026-01-07", "text/csv").raw
	require.NoError(t, g.server.Close())

	g = newGateway(t, keep)
	for i, name := range files[:3] {
		require.Equal(t, before[i], g.report(name, "2026-01-06", "text/csv").raw)
	}
	require.Equal(t, 404, g.report(files[3], "2026-01-06", "text/csv").status)
	again := g.report("ChargebackAndRetrievalDetailReport_Daily", "2026-01-06", "text/csv").raw + g.report("ChargebackAndRetrievalDetailReport_Daily", "2026-01-07", "text/csv").raw
	require.Contains(t, again, "CB-000001")
	require.Equal(t, strings.Count(disputes, "CB-000001"), strings.Count(again, "CB-000001"))

	require.Equal(t, 204, g.control("POST", "/_sandbox/reset", nil).status)
	require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status)
	require.Empty(t, g.server.Ledger().Disputes)
}

// counter keeps nothing of what is written.
type counter struct {
	header http.Header
	status int
	lines  int
	bytes  int64
}

func (c *counter) Header() http.Header    { return c.header }
func (c *counter) WriteHeader(status int) { c.status = status }
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	for _, b := range p {
		if b == '\n' {
			c.lines++
		}
	}
	return len(p), nil
}

func TestABigDayNeedsNoMemory(t *testing.T) {
	const rows = 200_000
	g := newGateway(t)
	g.settled("2026-01-05", map[string]any{"rows": rows})
	target := "/reporting/v3/report-downloads?reportName=" + classicReport + "&reportDate=2026-01-06"
	r := newRequest("GET", target, "")
	r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, g.claims("GET", target, "")))
	written := &counter{header: http.Header{}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g.server.Handler().ServeHTTP(written, r)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Equal(t, 200, written.status)
	require.Equal(t, rows+2, written.lines)
	require.Greater(t, written.bytes, int64(20<<20))
	require.Less(t, after.HeapSys, before.HeapSys+16<<20, "%d MB are written as they are made", written.bytes>>20)

	ids := map[string]bool{}
	var sum, fees int64
	view := g.server.view(g.server.books.reporting.day(testMerchant, "2026-01-05"))
	for row := range view.requests() {
		ids[row.id] = true
		require.Len(t, row.id, 22)
		fees += row.fee().total()
		if row.incoming() {
			sum += row.units
		} else {
			sum -= row.units
		}
	}
	require.Len(t, ids, rows)
	require.Equal(t, []string{formatUnits(sum-fees, "USD")}, column(g.rows("DepositDetailReport_Daily", "2026-01-06"), "Amount"))
}

// Whatever happened on a day, the batch file holds every settled movement exactly once and nothing else, and the deposit is its net.
func TestTheReportsAreTheLedger(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGateway(t)
		var sold []string
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"sale", "capture", "refund", "void", "yen"}).Draw(rt, "step") {
			case "sale":
				cents := rapid.IntRange(1, 100_000).Draw(rt, "cents")
				sold = append(sold, g.pay(sale(map[string]any{"orderInformation.amountDetails.totalAmount": decimal.New(int64(cents), -2).StringFixed(2)})).id())
			case "yen":
				g.pay(sale(map[string]any{"orderInformation.amountDetails.totalAmount": strconv.Itoa(rapid.IntRange(1, 99_999).Draw(rt, "yen")), "orderInformation.amountDetails.currency": "JPY"}))
			case "capture":
				g.capture(g.pay(nil).id(), "102.21")
			case "refund":
				if len(sold) > 0 {
					g.post("/pts/v2/payments/"+rapid.SampledFrom(sold).Draw(rt, "refunded")+"/refunds", amountBody("RMA", "0.01"))
				}
			case "void":
				if len(sold) > 0 {
					g.post("/pts/v2/payments/"+rapid.SampledFrom(sold).Draw(rt, "voided")+"/voids", voidBody())
				}
			}
		}
		g.settled("2026-01-05", nil)
		want, net := map[string]string{}, map[string]decimal.Decimal{}
		for _, e := range g.server.Ledger().Transactions {
			if e.Status != statusBatched {
				continue
			}
			want[e.ID] = e.Amount + " " + e.Currency
			amount := decimal.RequireFromString(e.Amount)
			if e.Kind == kindRefund {
				amount = amount.Neg()
			}
			net[e.Currency] = net[e.Currency].Add(amount)
		}
		if len(want) == 0 {
			require.Equal(t, 404, g.report(classicReport, "2026-01-06", "text/csv").status)
			return
		}
		found := map[string]string{}
		rows := g.rows(classicReport, "2026-01-06")
		for _, row := range rows {
			found[row["request_id"]] = row["amount"] + " " + row["currency"]
		}
		require.Equal(t, want, found)
		require.Len(t, rows, len(want))
		for _, row := range g.rows("FeeDetailReport_Daily", "2026-01-06") {
			net[row["TotalFeeCurrency"]] = net[row["TotalFeeCurrency"]].Sub(decimal.RequireFromString(row["TotalFeeAmount"]))
		}
		deposited := map[string]string{}
		if a := g.report("DepositDetailReport_Daily", "2026-01-06", "text/csv"); a.status == 200 {
			for _, row := range g.rows("DepositDetailReport_Daily", "2026-01-06") {
				deposited[row["Currency"]] = row["Amount"]
			}
		}
		for code, amount := range net {
			if !amount.IsZero() {
				require.Equal(t, formatAmount(amount, code), deposited[code])
			}
		}
	})
}

func TestEveryColumnOfTheReferenceHasAName(t *testing.T) {
	for class, required := range map[string][]string{
		classPaymentBatch: {"Batch.BatchDate", "Batch.BatchID", "Batch.Status", "Request.MerchantID", "Request.RequestID", "Request.TransactionDate"},
		classFee: {"Fee.AssessmentAmount", "Fee.AssessmentCurrency", "Fee.BillingType", "Fee.DiscountAmount", "Fee.DiscountCurrency", "Fee.InterchangeAmount",
			"Fee.InterchangeCurrency", "Fee.SettlementAmount", "Fee.SettlementCurrency", "Fee.SettlementTime", "Fee.SettlementTimeZone", "Fee.TotalFeeAmount", "Fee.TotalFeeCurrency"},
		classChargeback: {"ChargebackAndRetrieval.CaseNumber", "ChargebackAndRetrieval.CaseTime", "ChargebackAndRetrieval.CaseType", "ChargebackAndRetrieval.ChargebackAmount",
			"ChargebackAndRetrieval.ChargebackCurrency", "ChargebackAndRetrieval.ChargebackTime", "ChargebackAndRetrieval.FinancialImpact", "ChargebackAndRetrieval.TransactionType"},
		classDeposit: {"Deposit.Amount", "Deposit.Category", "Deposit.Currency", "Deposit.Identifier", "Deposit.MerchantID", "Deposit.Method", "Deposit.Status", "Deposit.Time", "Deposit.Type"},
		classFunding: {"Funding.FundingAmount", "Funding.FundingCurrency", "Funding.FundingDate"},
	} {
		for _, field := range required {
			require.True(t, slices.Contains(tables[class].standard(), field), "%s %s", class, field)
		}
	}
	require.Equal(t, "merchant_defined_data1", snakeOf("MerchantDefinedData1"))
	require.Equal(t, "request_id", snakeOf("RequestID"))
}

// A slow caller is still reading while payments, batches and disputes go on.
func TestReportsAreReadWhileTheLedgerGoesOn(t *testing.T) {
	g := newGateway(t)
	g.pay(sale(nil))
	g.settled("2026-01-05", map[string]any{"rows": 50})
	body := payment(sale(map[string]any{"clientReferenceInformation.code": "LATER"}))
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	var wait sync.WaitGroup
	serve := func(method, target, text string) {
		r := newRequest(method, target, text)
		r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, g.claims(method, target, text)))
		wait.Go(func() {
			recorder := httptest.NewRecorder()
			g.server.Handler().ServeHTTP(recorder, r)
			if recorder.Code >= http.StatusInternalServerError {
				t.Errorf("%s: %d", target, recorder.Code)
			}
		})
	}
	for range 8 {
		serve("POST", "/pts/v2/payments", string(raw))
		serve("GET", "/reporting/v3/report-downloads?reportName="+classicReport+"&reportDate=2026-01-06", "")
		serve("GET", "/reporting/v3/purchase-refund-details?startTime=2026-01-05T00:00:00Z&endTime=2026-01-06T00:00:00Z", "")
		serve("POST", "/_sandbox/settle?date=2026-01-05", `{"missing":1}`)
		serve("POST", "/_sandbox/chargebacks", `{"reference":"ORD-1001","amount":"1.00"}`)
	}
	wait.Wait()
	g.settled("2026-01-05", nil)
	require.Len(t, g.rows(classicReport, "2026-01-06"), 9)
	require.Len(t, g.rows("ChargebackAndRetrievalDetailReport_Daily", "2026-01-06"), 8)
}

func FuzzSettleOrder(f *testing.F) {
	for _, seed := range []string{`{"missing":1,"extra":2}`, `{"amountOff":[{"by":"-0.50"}],"currencyOff":["7"]}`, `{"late":3,"rows":5}`, `{"amountOff":[{"amount":"1e99"}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "rows") || strings.Contains(body, "extra") {
			t.Skip("sizes are bounded elsewhere")
		}
		g := newGateway(t)
		id := g.pay(sale(nil)).id()
		a := g.serve(newRequest("POST", "/_sandbox/settle?date=2026-01-05", body))
		require.Contains(t, []int{200, 400}, a.status)
		require.Equal(t, "102.21", g.entry(id).Amount)
		require.Equal(t, a.status == 200, g.entry(id).Status == statusBatched, "all of it, or nothing")
	})
}

package report_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

const classic = `demo_mid,PaymentBatchDetailReport_Daily_Classic,PaymentBatchDetail,1.10,2026-01-05T07:00:00Z to 2026-01-06T07:00:00Z,,,,,,,
batch_id,merchant_id,batch_date,request_id,merchant_ref_number,TransactionReferenceNumber,payment_type,currency,amount,ics_applications,status,transaction_date
21265991580,demo_mid,2026-01-06T04:15:21Z,7000000000000000000002,ORD-1001,93211601,Visa,USD,102.21,"ics_bill,ics_auth",BATCHED,2026-01-05T09:33:55Z
21265991580,demo_mid,2026-01-06T04:15:21Z,7000000000000000000003,RMA-7,93211777,Visa,USD,10.00,ics_credit,BATCHED,2026-01-05T20:01:10Z
`

const standardXML = `<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE Report SYSTEM "https://api.cybersource.com/reporting/v3/dtds/ctdr_1_10.dtd">
<Report Name="MyReport" Version="1.10" MerchantID="demo_mid" ReportStartDate="2026-01-05T07:00:00Z" ReportEndDate="2026-01-06T07:00:00Z">
 <Requests>
  <Request MerchantReferenceNumber="ORD-1001" RequestDate="2026-01-05T09:33:55Z" RequestID="7000000000000000000002" MerchantID="demo_mid" Source="REST API" User="demo_mid">
   <BillTo><FirstName>Ada</FirstName><LastName>Byron</LastName></BillTo>
   <PaymentMethod><Card><AccountSuffix>1111</AccountSuffix><CardType>Visa</CardType><ExpirationMonth>12</ExpirationMonth><ExpirationYear>2031</ExpirationYear></Card></PaymentMethod>
   <ApplicationReplies><ApplicationReply Name="ics_bill"><RCode>1</RCode><RFlag>SOK</RFlag><RMsg>Request was processed successfully.</RMsg></ApplicationReply></ApplicationReplies>
   <PaymentData><PaymentRequestID>7000000000000000000001</PaymentRequestID><PaymentProcessor>vdcvantiv</PaymentProcessor><Amount>102.21</Amount><CurrencyCode>USD</CurrencyCode><AuthorizationCode>888888</AuthorizationCode></PaymentData>
   <MerchantDefinedData><field1>web</field1><field2>gold</field2></MerchantDefinedData>
   <Events><Event><Amount>9.99</Amount><CurrencyCode>EUR</CurrencyCode></Event></Events>
   <Batch><BatchID>21265991580</BatchID><BatchDate>2026-01-06T04:15:21Z</BatchDate><Status>BATCHED</Status></Batch>
  </Request>
 </Requests>
</Report>
`

const refundDetails = `{"offset":0,"limit":2000,"pageResults":2,
 "requestDetails":[{"requestId":"7000000000000000000002","cybersourceMerchantId":"demo_mid","processorMerchantId":"000123456789012","groupName":"","transactionReferenceNumber":"93211601","merchantReferenceNumber":"ORD-1001"}],
 "settlements":[{"requestId":"7000000000000000000002","transactionType":"Purchase","submissionTime":"2026-01-05T09:33:55Z","amount":"102.21","currencyCode":"USD","paymentMethod":"VI","walletType":"","paymentType":"credit card","accountSuffix":"1111","cybersourceBatchTime":"2026-01-06T04:15:21Z","cybersourceBatchId":"21265991580","cardType":"","debitNetwork":""}],
 "authorizations":[{"requestId":"7000000000000000000002","transactionReferenceNumber":"93211601","time":"2026-01-05T08:00:01Z","authorizationRequestId":"7000000000000000000001","amount":"102.21","currencyCode":"USD","code":"888888","rcode":"1"}],
 "feeAndFundingDetails":[{"requestId":"7000000000000000000002","interchangePerItemFee":"0.10","interchangeDescription":"CPS","interchangePercentage":"1.51","interchangePercentageAmount":"1.54","discountPercentage":"0.20","discountAmount":"0.20","discountPerItemFee":"0.05","totalFee":"1.89","feeCurrency":"USD","duesAssessments":"0.00","fundingAmount":"100.32","fundingCurrency":"USD"}],
 "others":[{"requestId":"7000000000000000000002","merchantData1":"web","merchantData2":"","merchantData3":"","merchantData4":"","firstName":"Ada","lastName":"Byron"}],
 "settlementStatuses":[{"requestId":"7000000000000000000002","status":"SETTLED","settlementTime":"2026-01-07T00:00:00Z","reasonCode":"","errorText":""}]}`

const chargebackDetails = `{"organizationId":"demo_mid","startTime":"2026-01-25T00:00:00Z","endTime":"2026-01-26T00:00:00Z","chargebackDetails":[
 {"processorMerchantId":"000123456789012","merchantName":"Demo Shop","transactionReferenceNumber":"93211601","merchantReferenceNumber":"ORD-1001","natureOfDispute":"Chargeback","alertType":"Chargeback","amount":"102.21","sign":"-","action":"Open","cardType":"VI","originalSettlementTime":"2026-01-06T04:15:21Z","trackingNumber":"CB-0001","currencyCode":"USD","requestId":"7000000000000000000002","responseDueTime":"2026-02-20T00:00:00Z","time":"2026-01-25T00:00:00Z","actionDescription":"","customerId":"","reasonCode":"10.4"}]}`

const batchSummaries = `{"startTime":"2026-01-05T00:00:00Z","endTime":"2026-01-06T00:00:00Z","paymentBatchSummaries":[{"currencyCode":"USD","paymentSubTypeDescription":"VI","startTime":"2026-01-05T00:00:00Z","endTime":"2026-01-06T00:00:00Z",
 "salesCount":12,"salesAmount":"1202.21","creditCount":1,"creditAmount":"10.00","accountName":"Demo","accountId":"demo_mid","merchantId":"demo_mid","merchantName":"Demo Shop"}]}`

const netFundings = `{"startTime":"2026-01-05T00:00:00Z","endTime":"2026-01-06T00:00:00Z","netFundingSummaries":[{"type":"PURCHASES","paymentSubType":"VI","conveyedCount":12,"conveyedAmount":"1202.21","settledCount":12,"fundedCount":12,"fundedAmount":"1202.21","currencyCode":"USD"},
 {"type":"FEES","paymentSubType":"VI","conveyedCount":12,"conveyedAmount":"-18.20","settledCount":12,"fundedCount":12,"fundedAmount":"-18.20","currencyCode":"USD"}],"totalPurchases":[{"currency":"USD","value":"1202.21"}],"netTotal":[]}`

const feeCSV = "demo_mid,Fees,FeeDetail,1.0,2026-01-05T00:00:00Z to 2026-01-06T00:00:00Z,,,\n" +
	"Request.MerchantID,Request.RequestID,Fee.BillingType,Fee.DiscountAmount,Fee.DiscountCurrency,Fee.InterchangeAmount,Fee.InterchangeCurrency,Fee.TotalFeeAmount,Fee.TotalFeeCurrency\n" +
	"demo_mid,7000000000000000000002,interchangePlus,0.35,USD,1.54,USD,1.89,USD\n" +
	"demo_mid,7000000000000000000003,interchangePlus,,,-0.12,USD,-0.12,USD\n"

const chargebackCSV = "demo_mid,Chargebacks,ChargebackAndRetrievalDetail,1.0,2026-01-25T00:00:00Z to 2026-01-26T00:00:00Z\n" +
	"RequestID,MerchantReferenceNumber,CaseNumber,CaseTime,CaseType,ChargebackAmount,ChargebackCurrency,ChargebackTime,FinancialImpact,FinancialImpactType,TransactionType,FeeAmount,FeeCurrency,RespondByDate,AdjustmentAmount,AdjustmentCurrency\n" +
	"7000000000000000000002,ORD-1001,CB-0001,2026-01-25T00:00:00Z,Chargeback,102.21,USD,2026-01-25T00:00:00Z,Y,debit,First,25.00,USD,2026-02-20,,\n" +
	"7000000000000000000002,ORD-1001,CB-0001,2026-01-25T00:00:00Z,Chargeback,102.21,USD,2026-03-25T00:00:00Z,Y,credit,Reversal,,,,-1.50,USD\n" +
	"7000000000000000000003,ORD-1002,RT-0009,2026-01-25T00:00:00Z,Retrieval,20.00,USD,2026-01-25T00:00:00Z,N,,Request,,,soon,,\n"

const depositCSV = "demo_mid,Deposits,DepositDetail,1.0\n" +
	"Deposit.Amount,Deposit.Category,Deposit.Currency,Deposit.Identifier,Deposit.MerchantID,Deposit.Method,Deposit.Status,Deposit.Time,Deposit.Type\n" +
	"11247.32,Net,USD,DEP-1,demo_mid,ACH,S,2026-01-07T09:00:00Z,Credit\n" +
	"-3.00,Net,USD,DEP-2,demo_mid,ACH,S,2026-01-07T09:00:00Z,Debit\n" +
	"5.00,Net,USD,DEP-3,demo_mid,ACH,P,2026-01-07T09:00:00Z,Credit\n"

const fundingCSV = "demo_mid,Funding,FundingDetail,1.0\n" +
	"FundingAmount,FundingCurrency,FundingDate,FeeAmount,FeeCurrency,FundingIdentificationNumber,Status,AdjustmentAmount,AdjustmentCurrency,AdjustmentType\n" +
	"100.32,USD,2026-01-07,1.89,USD,F-1,S,-0.50,USD,debit\n"

func all(t testing.TB, body string, kind report.Kind, format report.Format, options ...report.Option) ([]report.Row, *report.Reader, error) {
	t.Helper()
	r, err := report.Open(strings.NewReader(body), kind, format, options...)
	if err != nil {
		return nil, nil, err
	}
	var rows []report.Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, r, nil
		}
		if err != nil {
			return rows, r, err
		}
		row.Defined = append([]report.Defined(nil), row.Defined...)
		rows = append(rows, row)
	}
}

func at(text string) time.Time {
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return when
}

func requireMoney(t *testing.T, want string, got canonical.Money) {
	t.Helper()
	require.Equal(t, want, got.String())
}

func TestClassicCSV(t *testing.T) {
	rows, r, err := all(t, classic, report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, report.Header{Name: "PaymentBatchDetailReport_Daily_Classic", Definition: "PaymentBatchDetail", Version: "1.10", MerchantID: "demo_mid",
		Start: at("2026-01-05T07:00:00Z"), End: at("2026-01-06T07:00:00Z")}, r.Header())
	require.Equal(t, report.Row{
		Type: report.Transaction, Line: 3, MerchantID: "demo_mid", RequestID: "7000000000000000000002", Reference: "ORD-1001", TransactionReference: "93211601",
		Applications: report.Bill | report.Auth, Amount: rows[0].Amount, Direction: report.In, Status: "BATCHED", BatchID: "21265991580", BatchDate: at("2026-01-06T04:15:21Z"),
		TransactionTime: at("2026-01-05T09:33:55Z"), CardType: "001", PaymentType: "Visa",
	}, rows[0])
	requireMoney(t, "102.21 USD", rows[0].Amount)
	require.Equal(t, report.Out, rows[1].Direction)
	require.Equal(t, report.Credit, rows[1].Applications)
	requireMoney(t, "10.00 USD", rows[1].Amount)
	require.Equal(t, 2, r.Rows())
	require.Empty(t, r.Drift().Unknown)
}

// The forms of one and the same report give the same row.
func TestFormsOfThePaymentBatchReport(t *testing.T) {
	want, _, err := all(t, classic, report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	forms := map[string]struct {
		body   string
		format report.Format
	}{
		"CRLF and BOM":          {"\ufeff" + strings.ReplaceAll(classic, "\n", "\r\n"), report.CSV},
		"no last line end":      {strings.TrimRight(classic, "\n"), report.CSV},
		"blank lines at end":    {classic + "\n\r\n", report.CSV},
		"no line about it":      {classic[strings.IndexByte(classic, '\n')+1:], report.CSV},
		"trailing commas":       {strings.ReplaceAll(strings.ReplaceAll(classic, "Z\n", "Z,,\n"), "_date\n", "_date,,\n"), report.CSV},
		"quotes everywhere":     {`"demo_mid","X"` + "\n" + `"batch_id","batch_date","request_id","merchant_ref_number","currency","amount","ics_applications"` + "\n" + `"21265991580","2026-01-06T04:15:21Z","7000000000000000000002","ORD-1001","USD","102.21","ics_bill"` + "\n", report.CSV},
		"bare field names":      {"demo_mid,R,PaymentBatchDetail,1.0\nBatchID,BatchDate,RequestID,MerchantReferenceNumber,CurrencyCode,Amount,Applications\n21265991580,2026-01-06T04:15:21Z,7000000000000000000002,ORD-1001,USD,102.21,\"ics_auth,ics_bill\"\n", report.CSV},
		"groups":                {"demo_mid,R,PaymentBatchDetail,1.0\nEvent.Amount,Batch.BatchID,Batch.BatchDate,Request.RequestID,Request.MerchantReferenceNumber,PaymentData.CurrencyCode,PaymentData.Amount,Application.Name\n9.99,21265991580,2026-01-06T04:15:21Z,7000000000000000000002,ORD-1001,USD,102.21,ics_bill\n", report.CSV},
		"blanks and case":       {"demo_mid,R,PaymentBatchDetail,1.0\nBATCH ID,Batch Date,request id,Merchant Reference Number,currency code,AMOUNT,ics_Applications\n21265991580,2026-01-06T04:15:21Z, 7000000000000000000002 ,ORD-1001,USD,102.210,ics_bill\n", report.CSV},
		"SOAPI":                 {"demo_mid,R,PaymentBatchDetail,1.0\nbatchID,batchDate,requestID,merchantReferenceCode,currency,amount,applications\n21265991580,2026-01-06T04:15:21Z,7000000000000000000002,ORD-1001,USD,102.21,ccCaptureService\n", report.CSV},
		"servlet":               {"Payment Batch Detail Report,1.0,2003-05-01 to 2003-05-01,,,,,,,\nbatch_id,merchant_id,batch_date,request_id,merchant_ref_number,trans_ref_no,payment_method,currency,amount,transaction_type\n21265991580,demo_mid,2026-01-06,7000000000000000000002,ORD-1001,93211601,Visa,USD,102.21,ics_bill\n", report.CSV},
		"XML":                   {standardXML, report.XML},
		"XML with namespace":    {strings.Replace(standardXML, "<Report ", `<Report xmlns="https://api.cybersource.com/reporting/v3/" xmlns:x="urn:x" `, 1), report.XML},
		"XML, BATCH":            {strings.NewReplacer("<Batch>", "<BATCH>", "</Batch>", "</BATCH>").Replace(standardXML), report.XML},
		"XML, PaymentInfo":      {strings.NewReplacer("PaymentData>", "PaymentInfo>").Replace(standardXML), report.XML},
		"XML, OrganizationID":   {strings.Replace(standardXML, `" MerchantID="demo_mid" ReportStart`, `" OrganizationID="demo_mid" ReportStart`, 1), report.XML},
		"XML without a doctype": {strings.Replace(standardXML, `<!DOCTYPE Report SYSTEM "https://api.cybersource.com/reporting/v3/dtds/ctdr_1_10.dtd">`, "", 1), report.XML},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			rows, _, err := all(t, form.body, report.PaymentBatches, form.format)
			require.NoError(t, err)
			require.NotEmpty(t, rows)
			got := rows[0]
			require.Equal(t, want[0].RequestID, got.RequestID)
			require.Equal(t, want[0].Reference, got.Reference)
			require.Equal(t, want[0].BatchID, got.BatchID)
			require.Equal(t, want[0].BatchDate.Format(time.DateOnly), got.BatchDate.Format(time.DateOnly))
			require.True(t, want[0].Amount.Equal(got.Amount), got.Amount)
			require.Equal(t, report.In, got.Direction)
			require.True(t, got.Applications.Has(report.Bill))
		})
	}
}

func TestXMLHoldsWhatTheFileLeavesOut(t *testing.T) {
	rows, r, err := all(t, standardXML, report.PaymentBatches, report.XML)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "7000000000000000000001", rows[0].PaymentRequestID)
	require.Equal(t, []report.Defined{{Key: "1", Value: "web"}, {Key: "2", Value: "gold"}}, rows[0].Defined)
	require.Equal(t, "001", rows[0].CardType)
	require.Equal(t, "demo_mid", r.Header().MerchantID)
	require.Empty(t, r.Drift().Unknown)
}

func TestOtherReports(t *testing.T) {
	t.Run("fees", func(t *testing.T) {
		rows, r, err := all(t, feeCSV, report.Fees, report.CSV)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		requireMoney(t, "1.89 USD", rows[0].Amount)
		require.Equal(t, report.Out, rows[0].Direction)
		require.Equal(t, "interchangePlus", rows[0].Fee.BillingType)
		require.Len(t, rows[0].Fee.Parts, 2)
		require.Equal(t, report.FeeInterchange, rows[0].Fee.Parts[0].Kind)
		requireMoney(t, "0.35 USD", rows[0].Fee.Parts[1].Amount)
		require.Equal(t, report.In, rows[1].Direction)
		requireMoney(t, "0.12 USD", rows[1].Amount)
		require.Empty(t, r.Drift().Unknown)
	})
	t.Run("chargebacks", func(t *testing.T) {
		rows, r, err := all(t, chargebackCSV, report.Chargebacks, report.CSV)
		require.NoError(t, err)
		require.Len(t, rows, 3)
		require.Equal(t, []report.Direction{report.Out, report.In, report.Neither}, []report.Direction{rows[0].Direction, rows[1].Direction, rows[2].Direction})
		requireMoney(t, "25.00 USD", rows[0].Case.Fee)
		require.Equal(t, at("2026-02-20T00:00:00Z"), rows[0].Case.RespondBy)
		requireMoney(t, "-1.50 USD", rows[1].Case.Adjustment)
		require.NotEqual(t, rows[0].Case.Key(), rows[1].Case.Key())
		require.True(t, rows[2].Case.Retrieval)
		require.Equal(t, map[string]int{"RespondByDate": 1}, r.Drift().Unread)
	})
	t.Run("deposits", func(t *testing.T) {
		rows, _, err := all(t, depositCSV, report.Deposits, report.CSV)
		require.NoError(t, err)
		require.Len(t, rows, 3)
		require.Equal(t, []report.Direction{report.In, report.Out, report.Neither}, []report.Direction{rows[0].Direction, rows[1].Direction, rows[2].Direction})
		requireMoney(t, "11247.32 USD", rows[0].Amount)
		require.Equal(t, "DEP-1/2026-01-07T09:00:00Z", rows[0].Funds.Key())
	})
	t.Run("fundings", func(t *testing.T) {
		rows, _, err := all(t, fundingCSV, report.Fundings, report.CSV)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		requireMoney(t, "1.89 USD", rows[0].Funds.Fee)
		requireMoney(t, "-0.50 USD", rows[0].Funds.Adjustment)
	})
	t.Run("fundings in XML", func(t *testing.T) {
		body := `<Report Name="F"><Fundings><Funding><FundingAmount>100.32</FundingAmount><FundingCurrency>USD</FundingCurrency><FundingDate>2026-01-07</FundingDate><NewThing>1</NewThing></Funding></Fundings></Report>`
		rows, r, err := all(t, body, report.Fundings, report.XML)
		require.NoError(t, err)
		requireMoney(t, "100.32 USD", rows[0].Amount)
		require.Equal(t, []string{"Funding.NewThing"}, r.Drift().Unknown)
	})
	t.Run("purchases and refunds", func(t *testing.T) {
		rows, r, err := all(t, refundDetails, report.PurchasesRefunds, report.JSON)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, report.Transaction, rows[0].Type)
		require.Equal(t, "ORD-1001", rows[0].Reference)
		require.Equal(t, "7000000000000000000001", rows[0].PaymentRequestID)
		require.Equal(t, "001", rows[0].CardType)
		require.Equal(t, []report.Defined{{Key: "1", Value: "web"}}, rows[0].Defined)
		require.Equal(t, report.In, rows[0].Direction)
		require.Equal(t, report.FeeCharge, rows[1].Type)
		requireMoney(t, "1.89 USD", rows[1].Amount)
		require.Equal(t, 2, r.Rows())
		require.Empty(t, r.Drift().Unknown)
	})
	t.Run("chargeback query", func(t *testing.T) {
		rows, r, err := all(t, chargebackDetails, report.ChargebackCases, report.JSON)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, report.Out, rows[0].Direction)
		require.Equal(t, "CB-0001/Open/2026-01-25T00:00:00Z", rows[0].Case.Key())
		require.Equal(t, "001", rows[0].CardType)
		require.Equal(t, at("2026-01-26T00:00:00Z"), r.Header().End)
		require.Empty(t, r.Drift().Unknown)
	})
	t.Run("retrieval query", func(t *testing.T) {
		rows, _, err := all(t, strings.NewReplacer("chargebackDetails", "retrievalDetails", `"natureOfDispute":"Chargeback"`, `"natureOfDispute":"Copy Request"`).Replace(chargebackDetails), report.RetrievalCases, report.JSON)
		require.NoError(t, err)
		require.Equal(t, report.Neither, rows[0].Direction)
	})
	t.Run("batch summaries", func(t *testing.T) {
		rows, _, err := all(t, batchSummaries, report.BatchSummaries, report.JSON)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, report.Sum{Class: report.SumSales, SubType: "VI", Count: 12}, *rows[0].Sum)
		requireMoney(t, "10.00 USD", rows[1].Amount)
		require.Equal(t, report.SumRefunds, rows[1].Sum.Class)
	})
	t.Run("net fundings", func(t *testing.T) {
		rows, r, err := all(t, netFundings, report.NetFundings, report.JSON)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, report.SumFees, rows[1].Sum.Class)
		requireMoney(t, "18.20 USD", rows[1].Amount)
		require.Empty(t, r.Drift().Unknown)
	})
}

// batch makes a small payment batch report of one row.
func batch(columns, row string) string {
	return "m,R,PaymentBatchDetail,1\n" + columns + "\n" + row + "\n"
}

const columns = "batch_id,batch_date,request_id,merchant_ref_number,currency,amount,ics_applications"

func TestDirections(t *testing.T) {
	cases := map[string]struct {
		body    string
		options []report.Option
		want    report.Direction
	}{
		"sale":                   {batch(columns, "1,2026-01-06,7,A,USD,1.00,ics_bill"), nil, report.In},
		"unsigned credit":        {batch(columns, "1,2026-01-06,7,A,USD,1.00,ics_credit"), nil, report.Out},
		"signed credit":          {batch(columns, "1,2026-01-06,7,A,USD,-1.00,ics_credit"), nil, report.Out},
		"negative bill":          {batch(columns, "1,2026-01-06,7,A,USD,-1.00,ics_bill"), nil, report.Out},
		"void":                   {batch(columns, `1,2026-01-06,7,A,USD,1.00,"ics_void"`), nil, report.Neither},
		"failed":                 {batch(columns+",status", `1,2026-01-06,7,A,USD,1.00,ics_bill,FAILED`), nil, report.Neither},
		"signed, no application": {batch(strings.TrimSuffix(columns, ",ics_applications"), "1,2026-01-06,7,A,USD,-1.00"), []report.Option{report.SignedAmounts()}, report.Out},
		"signed money in":        {batch(strings.TrimSuffix(columns, ",ics_applications"), "1,2026-01-06,7,A,USD,+1.00"), []report.Option{report.SignedAmounts()}, report.In},
		"old credit":             {batch("batch_id,batch_date,request_id,currency,amount,transaction_type", "1,2003-05-01,7,USD,-1.00,ics_credit"), nil, report.Out},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rows, _, err := all(t, c.body, report.PaymentBatches, report.CSV, c.options...)
			require.NoError(t, err)
			require.Equal(t, c.want, rows[0].Direction)
			requireMoney(t, "1.00 USD", rows[0].Amount)
		})
	}
}

func TestEmptyReports(t *testing.T) {
	bodies := []struct {
		body   string
		kind   report.Kind
		format report.Format
	}{
		{batch(columns, ""), report.PaymentBatches, report.CSV},
		{`<Report Name="x"><Requests></Requests></Report>`, report.PaymentBatches, report.XML},
		{`<Report/>`, report.Fees, report.XML},
		{`{"chargebackDetails":[]}`, report.ChargebackCases, report.JSON},
		{`{"chargebackDetails":null,"startTime":"2026-01-01T00:00:00Z"}`, report.ChargebackCases, report.JSON},
		{`{}`, report.NetFundings, report.JSON},
		{`{"offset":0}`, report.PurchasesRefunds, report.JSON},
	}
	for _, c := range bodies {
		rows, _, err := all(t, c.body, c.kind, c.format)
		require.NoError(t, err, c.body)
		require.Empty(t, rows)
	}
}

func TestWhatReportsAreRefusedFor(t *testing.T) {
	const card = "4111111111111111"
	row := "1,2026-01-06,7,A,USD,1.00,ics_bill"
	cases := map[string]struct {
		body   string
		kind   report.Kind
		format report.Format
		want   string
	}{
		"nothing":                 {"", report.PaymentBatches, report.CSV, "payment_batch_detail csv: empty_file"},
		"one line":                {"m,R,PaymentBatchDetail,1\n", report.PaymentBatches, report.CSV, "payment_batch_detail csv, line 1: truncated"},
		"missing amount":          {batch("batch_id,batch_date,request_id,currency,ics_applications", "1,2026-01-06,7,USD,ics_bill"), report.PaymentBatches, report.CSV, "payment_batch_detail csv, line 2, column Amount: missing_column"},
		"missing application":     {batch("batch_id,batch_date,request_id,currency,amount", "1,2026-01-06,7,USD,1"), report.PaymentBatches, report.CSV, "payment_batch_detail csv, line 2, column Application.Name: missing_column"},
		"amount of an event":      {batch("batch_id,batch_date,request_id,currency,Event.Amount,ics_applications", "1,2026-01-06,7,USD,1,ics_bill"), report.PaymentBatches, report.CSV, "column Amount: missing_column"},
		"two amounts":             {batch(columns+",Amount", row+",2.00"), report.PaymentBatches, report.CSV, "line 2, column Amount: repeated_column"},
		"last row short":          {batch(columns, row+"\n1,2026-01-06,7,A,USD"), report.PaymentBatches, report.CSV, "line 4: truncated"},
		"last field cut off":      {batch(columns, row+"\n1,2026-01-06,7,A,USD,1.00"), report.PaymentBatches, report.CSV, "line 4: truncated"},
		"cut in a quote":          {batch(columns, row) + `1,2026-01-06,8,A,USD,1.00,"ics_bi`, report.PaymentBatches, report.CSV, "line 4: truncated"},
		"row short":               {batch(columns, "1,2026-01-06,7,A,USD\n"+row), report.PaymentBatches, report.CSV, "line 3: row_width"},
		"row long":                {batch(columns, row+",what"), report.PaymentBatches, report.CSV, "line 3: row_width"},
		"quote out of place":      {batch(columns, `1,2026-01-06,7,A"B,USD,1.00,ics_bill`), report.PaymentBatches, report.CSV, "line 3: malformed"},
		"no UTF-8":                {batch(columns, "1,2026-01-06,7,\xff,USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3: encoding"},
		"endless row":             {batch(columns, strings.Repeat("x", 70_000)), report.PaymentBatches, report.CSV, "too_long"},
		"endless quote":           {batch(columns, `"`+strings.Repeat("x\n", 70_000)), report.PaymentBatches, report.CSV, "too_long"},
		"cents of a cent":         {batch(columns, "1,2026-01-06,7,A,USD,1.001,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column Amount: minor_units"},
		"cents of a yen":          {batch(columns, "1,2026-01-06,7,A,JPY,1.10,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column Amount: minor_units"},
		"thousands":               {batch(columns, `1,2026-01-06,7,A,USD,"1,000.00",ics_bill`), report.PaymentBatches, report.CSV, "line 3, column Amount: amount"},
		"exponent":                {batch(columns, "1,2026-01-06,7,A,USD,1e3,ics_bill"), report.PaymentBatches, report.CSV, "column Amount: amount"},
		"amount too large":        {batch(columns, "1,2026-01-06,7,A,USD,1000000000000.00,ics_bill"), report.PaymentBatches, report.CSV, "column Amount: amount"},
		"no amount":               {batch(columns, "1,2026-01-06,7,A,USD,,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column Amount: required"},
		"no currency":             {batch(columns, "1,2026-01-06,7,A,,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column currency of Amount: required"},
		"currency of nowhere":     {batch(columns, "1,2026-01-06,7,A,QQQ,1.00,ics_bill"), report.PaymentBatches, report.CSV, "column currency of Amount: currency"},
		"currency in small":       {batch(columns, "1,2026-01-06,7,A,usd,1.00,ics_bill"), report.PaymentBatches, report.CSV, "column currency of Amount: currency"},
		"no request":              {batch(columns, "1,2026-01-06,,A,USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column RequestID: required"},
		"no date":                 {batch(columns, "1,yesterday,7,A,USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column BatchDate: time"},
		"neither in nor out":      {batch(columns, "1,2026-01-06,7,A,USD,1.00,ics_auth"), report.PaymentBatches, report.CSV, "line 3, column Application.Name: direction"},
		"card as reference":       {batch(columns, "1,2026-01-06,7,"+card+",USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column MerchantReferenceNumber: card_number"},
		"card with blanks":        {batch(columns, "1,2026-01-06,7,4111 1111 1111 1111,USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "line 3, column MerchantReferenceNumber: card_number"},
		"card in a new column":    {batch(columns+",Note", row+","+card), report.PaymentBatches, report.CSV, "line 3: card_number"},
		"card in defined data":    {batch(columns+",MerchantDefinedData7", row+",card "+card), report.PaymentBatches, report.CSV, "column MerchantDefinedData7: card_number"},
		"card as request":         {batch(columns, "1,2026-01-06,"+card+",A,USD,1.00,ics_bill"), report.PaymentBatches, report.CSV, "column RequestID: card_number"},
		"card about the file":     {card + ",R,P,1\n" + columns + "\n", report.PaymentBatches, report.CSV, "line 1: card_number"},
		"XML, card":               {strings.Replace(standardXML, "ORD-1001", card, 1), report.PaymentBatches, report.XML, "column MerchantReferenceNumber: card_number"},
		"XML, card of a person":   {strings.Replace(standardXML, "Byron", card, 1), report.PaymentBatches, report.XML, "card_number"},
		"XML without its end":     {strings.Replace(standardXML, "</Report>", "", 1), report.PaymentBatches, report.XML, "truncated"},
		"XML cut in a row":        {strings.SplitN(standardXML, "<Batch>", 2)[0], report.PaymentBatches, report.XML, "truncated"},
		"XML cut in a tag":        {strings.SplitN(standardXML, "ch>", 2)[0], report.PaymentBatches, report.XML, "truncated"},
		"XML, other root":         {"<html></html>", report.PaymentBatches, report.XML, "malformed"},
		"XML, wrong end":          {"<Report><a></b></Report>", report.PaymentBatches, report.XML, "malformed"},
		"XML, entities":           {`<!DOCTYPE r [<!ENTITY a "aaaa">]><Report><Request RequestID="&a;"/></Report>`, report.PaymentBatches, report.XML, "malformed"},
		"XML without an amount":   {strings.Replace(standardXML, "<Amount>102.21</Amount>", "", 1), report.PaymentBatches, report.XML, "column Amount: missing_column"},
		"XML, two amounts":        {strings.Replace(standardXML, "<Amount>102.21</Amount>", "<Amount>102.21</Amount><Amount>1</Amount>", 1), report.PaymentBatches, report.XML, "column Amount: repeated_column"},
		"XML, other encoding":     {`<?xml version="1.0" encoding="utf-16"?><Report/>`, report.PaymentBatches, report.XML, "encoding"},
		"XML, endless value":      {"<Report><Request><A>" + strings.Repeat("x", 2<<20), report.PaymentBatches, report.XML, "too_long"},
		"XML, endless depth":      {strings.Repeat("<Report>", 100), report.PaymentBatches, report.XML, "too_long"},
		"XML, nothing":            {"", report.PaymentBatches, report.XML, "empty_file"},
		"JSON, nothing":           {"", report.NetFundings, report.JSON, "empty_file"},
		"JSON, cut":               {chargebackDetails[:200], report.ChargebackCases, report.JSON, "truncated"},
		"JSON, cut after a row":   {strings.TrimSuffix(chargebackDetails, "]}"), report.ChargebackCases, report.JSON, "truncated"},
		"JSON, page cut":          {refundDetails[:900], report.PurchasesRefunds, report.JSON, "truncated"},
		"JSON, two answers":       {`{"chargebackDetails":[]}{}`, report.ChargebackCases, report.JSON, "malformed"},
		"JSON, no object":         {`[]`, report.ChargebackCases, report.JSON, "malformed"},
		"JSON, row of texts":      {`{"chargebackDetails":["x"]}`, report.ChargebackCases, report.JSON, "line 1: malformed"},
		"JSON, missing member":    {strings.Replace(chargebackDetails, `"trackingNumber":"CB-0001",`, "", 1), report.ChargebackCases, report.JSON, "line 1, column trackingNumber: missing_column"},
		"JSON, card":              {strings.Replace(chargebackDetails, "ORD-1001", card, 1), report.ChargebackCases, report.JSON, "line 1, column merchantReferenceNumber: card_number"},
		"JSON, nested card":       {strings.Replace(chargebackDetails, `"ORD-1001"`, `{"x":"`+card+`"}`, 1), report.ChargebackCases, report.JSON, "line 1, column merchantReferenceNumber: card_number"},
		"JSON, odd sign":          {strings.Replace(chargebackDetails, `"sign":"-"`, `"sign":"~"`, 1), report.ChargebackCases, report.JSON, "column sign: direction"},
		"JSON, count of nothing":  {strings.Replace(batchSummaries, `"salesCount":12`, `"salesCount":"many"`, 1), report.BatchSummaries, report.JSON, "column salesAmount: count"},
		"JSON, other net funding": {strings.Replace(netFundings, "PURCHASES", "SURPRISES", 1), report.NetFundings, report.JSON, "column type: direction"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := all(t, c.body, c.kind, c.format)
			var refused *report.Error
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, c.want)
			for _, secret := range []string{card, "Ada", "Byron"} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestDriftIsReported(t *testing.T) {
	body := batch(columns+",payment_processor,New Thing,transaction reference number", "1,2026-01-06,7,A,JPY,1000.00,ics_bill,vdc,x,4111111111111111")
	rows, r, err := all(t, body, report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	requireMoney(t, "1000 JPY", rows[0].Amount)
	require.Empty(t, rows[0].TransactionReference)
	require.Equal(t, []string{"New Thing"}, r.Drift().Unknown)
	require.Equal(t, map[string]int{"TransactionReferenceNumber": 1}, r.Drift().Withheld)
	_, r, err = all(t, strings.TrimSuffix(body, "\n"), report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	require.True(t, r.Drift().NoNewl)
}

func TestQuotedFieldsOverLines(t *testing.T) {
	rows, _, err := all(t, batch(columns+",Note", "1,2026-01-06,7,A,USD,1.00,ics_bill,\"two\r\nlines \"\"quoted\"\"\"\n1,2026-01-06,8,B,USD,1.00,ics_bill,"), report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, 5, rows[1].Line)
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		kind   report.Kind
		format report.Format
	}{{"weather", report.CSV}, {report.PaymentBatches, report.JSON}, {report.NetFundings, report.CSV}, {report.PaymentBatches, "xlsx"}} {
		_, err := report.Open(strings.NewReader("x"), c.kind, c.format)
		require.Error(t, err)
	}
}

func TestErrorsOfTheStreamPass(t *testing.T) {
	broken := errors.New("connection lost")
	for format, kind := range map[report.Format]report.Kind{report.CSV: report.PaymentBatches, report.XML: report.PaymentBatches, report.JSON: report.NetFundings} {
		body := map[report.Format]string{report.CSV: classic, report.XML: standardXML, report.JSON: netFundings}[format]
		r, err := report.Open(io.MultiReader(strings.NewReader(body[:len(body)-40]), failing{broken}), kind, format)
		for err == nil {
			_, err = r.Next()
		}
		require.ErrorIs(t, err, broken, format)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// No database keeps a NUL in a text: the row is named, before a statement fails over it again and again.
func TestANulIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		kind   report.Kind
		format report.Format
		body   string
	}{
		"csv":             {report.PaymentBatches, report.CSV, strings.Replace(classic, "RMA-7", "RMA\x00-7", 1)},
		"csv, quoted":     {report.PaymentBatches, report.CSV, strings.Replace(classic, "RMA-7", "\"RMA\n\x00-7\"", 1)},
		"json":            {report.PurchasesRefunds, report.JSON, strings.Replace(refundDetails, "21265991580", `2126\u0000`, 1)},
		"json, a request": {report.PurchasesRefunds, report.JSON, strings.ReplaceAll(refundDetails, "7000000000000000000002", `7\u0000`)},
		"json, a case":    {report.ChargebackCases, report.JSON, strings.Replace(chargebackDetails, "CB-0001", `CB\u0000`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := report.Open(strings.NewReader(c.body), c.kind, c.format)
			for err == nil {
				_, err = r.Next()
			}
			var wrong *report.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, report.RuleEncoding, wrong.Rule)
			require.NotZero(t, wrong.Line)
		})
	}
}

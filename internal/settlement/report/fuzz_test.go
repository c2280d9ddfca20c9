package report

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
)

// drain reads a report to its end or its first error, and holds each row to what every row promises.
func drain(t *testing.T, body string, kind Kind, format Format) {
	t.Helper()
	r, err := Open(strings.NewReader(body), kind, format)
	for n := 0; err == nil; n++ {
		var row Row
		if row, err = r.Next(); err != nil {
			break
		}
		require.False(t, row.Amount.Amount.IsNegative())
		scale, known := canonical.MinorUnits(row.Amount.Currency)
		require.NoError(t, known)
		require.True(t, row.Amount.Amount.Equal(row.Amount.Amount.Round(scale)))
		require.NotEmpty(t, row.Direction)
		for _, text := range []string{row.RequestID, row.Reference, row.TransactionReference, row.MerchantID, row.BatchID, row.PaymentType, row.Status} {
			require.False(t, canonical.HoldsCardNumber(text))
		}
		require.LessOrEqual(t, n, len(body)+1, "a report has no more rows than bytes")
	}
	if errors.Is(err, io.EOF) {
		return
	}
	var refused *Error
	require.ErrorAs(t, err, &refused, "a report that is read from memory fails for its content only")
	require.NotEmpty(t, refused.Rule)
}

func FuzzCSV(f *testing.F) {
	f.Add("m,R,PaymentBatchDetail,1,2026-01-05T07:00:00Z to 2026-01-06T07:00:00Z,,\nbatch_id,batch_date,request_id,currency,amount,ics_applications\n1,2026-01-06,7,USD,1.00,\"ics_bill,ics_auth\"\r\n")
	f.Add("Fee.TotalFeeAmount,Fee.TotalFeeCurrency,Request.RequestID\n1.00,USD,7\n")
	f.Add("CaseNumber,CaseType,ChargebackAmount,ChargebackCurrency,ChargebackTime,FinancialImpact\nC,Chargeback,1,JPY,2026-01-06,Y\n")
	f.Add("Amount,Currency,Identifier,Time,Status\n1,KWD,D,2026-01-06,S\n")
	f.Add("FundingAmount,FundingCurrency,FundingDate\n-1,USD,2026-01-06\n\"")
	f.Fuzz(func(t *testing.T, body string) {
		for _, kind := range []Kind{PaymentBatches, Fees, Chargebacks, Deposits, Fundings} {
			drain(t, body, kind, CSV)
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add(`<Report Name="x" xmlns="u"><Requests><Request RequestID="7"><ApplicationReplies><ApplicationReply Name="ics_bill"/></ApplicationReplies><PaymentInfo><Amount>1</Amount><CurrencyCode>USD</CurrencyCode></PaymentInfo><BATCH><BatchID>1</BatchID><BatchDate>2026-01-06</BatchDate></BATCH></Request></Requests></Report>`)
	f.Add(`<Report><Fee><RequestID>7</RequestID><TotalFeeAmount>1</TotalFeeAmount><TotalFeeCurrency>USD</TotalFeeCurrency></Fee></Report>`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, kind := range []Kind{PaymentBatches, Fees, Chargebacks, Deposits, Fundings} {
			drain(t, body, kind, XML)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"chargebackDetails":[{"natureOfDispute":"Chargeback","amount":"1","sign":"-","action":"Open","trackingNumber":"C","currencyCode":"USD","time":"2026-01-06"}]}`)
	f.Add(`{"settlements":[{"requestId":"7","transactionType":"Refund","amount":1.5,"currencyCode":"USD"}],"feeAndFundingDetails":[{"requestId":"7","totalFee":"0.1","feeCurrency":"USD"}]}`)
	f.Add(`{"paymentBatchSummaries":[{"currencyCode":"USD","salesCount":1,"salesAmount":"1","creditCount":0,"creditAmount":"0"}]}`)
	f.Add(`{"netFundingSummaries":[{"type":"FEES","conveyedAmount":"1","currencyCode":"USD"}],"netTotal":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, kind := range []Kind{PurchasesRefunds, ChargebackCases, RetrievalCases, NetFundings, BatchSummaries} {
			drain(t, body, kind, JSON)
		}
	})
}

// cut reads all records of a text with this package's scanner.
func cut(body string) (records [][]string, err error) {
	c := newCSVRecords(strings.NewReader(body))
	for {
		fields, err := c.read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, slices.Clone(fields))
	}
}

// The scanner takes and refuses what the standard library's does, and reads the same.
func requireLikeStandard(t require.TestingT, body string) {
	if strings.ContainsRune(body, '\r') && strings.Contains(strings.ReplaceAll(body, "\r\n", ""), "\r") {
		return // a lone carriage return is kept or dropped by rules of the library's own
	}
	standard := csv.NewReader(strings.NewReader(body))
	standard.FieldsPerRecord = -1
	want, wantErr := standard.ReadAll()
	got, err := cut(body)
	if wantErr != nil {
		require.Error(t, err, body)
		return
	}
	require.NoError(t, err, body)
	require.Equal(t, want, got, body)
}

func TestCSVIsReadLikeTheStandardLibraryDoes(t *testing.T) {
	for _, body := range []string{"", "\n", "a", "a,b\n", "a,\"b\nc\",d\r\ne", "\"a\"\"b\"", "\"\"", ",,\n,", "\"a\"x", "a\"b", "\"a", "\"a\r\nb\"\r\n"} {
		requireLikeStandard(t, body)
	}
	rapid.Check(t, func(t *rapid.T) {
		requireLikeStandard(t, strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "é", ",", "\"", "\"\"", "\n", "\r\n", " ", "7000", ",\"", "\","})).Draw(t, "pieces"), ""))
	})
}

func TestHoldsCardLooksLikeTheWholeSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"4111", "1111", "4111111111111111", "378282246310005", " ", "-", ":", "T", "７", "x", "+", "2026", "7000000000000000000002"}), 0, 8).Draw(t, "pieces"), "")
		require.Equal(t, canonical.HoldsCardNumber(text), holdsCard(text), text)
	})
}

func TestMinorReadsEveryAmountExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]int32{0, 2, 3, 4}).Draw(t, "scale")
		units := rapid.Int64Range(-999_999_999_999, 999_999_999_999).Draw(t, "units")
		text := moneyOf(units, scale, "").Amount.StringFixed(scale)
		got, rule := minor(text, scale)
		require.Empty(t, rule, text)
		require.Equal(t, units, got)
	})
}

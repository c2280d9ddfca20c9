package cybersource_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/settlement/report"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

// standIn is the gateway's stand-in with a client of each kind.
type standIn struct {
	*httptest.Server
	client  *cybersource.Client
	reports *cybersource.Reports
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	clock := func() time.Time { return now }
	server, err := sandbox.New(sandbox.Config{MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret, Clock: clock, RelaxedAddress: true,
		TimeZone: time.FixedZone("PDT", -7*3600)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	s := &standIn{Server: httptest.NewServer(server.Handler())}
	t.Cleanup(s.Close)
	s.client, err = cybersource.New(cybersource.Config{BaseURL: s.URL, MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret, Clock: clock})
	require.NoError(t, err)
	s.reports = cybersource.NewReports(s.client, cybersource.ReportSettings{PageSize: 7})
	return s
}

// control calls the control surface.
func (s *standIn) control(t *testing.T, path string, body any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/_sandbox/"+path, bytes.NewReader(raw))
	require.NoError(t, err)
	response, err := s.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer := map[string]any{}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Less(t, response.StatusCode, 300, answer)
	return answer
}

// sale pays and captures at once, and gives the id.
func (s *standIn) sale(t *testing.T, code, amount string) string {
	t.Helper()
	token := s.control(t, "tokens", map[string]any{})["transientTokenJwt"].(string)
	body := fmt.Sprintf(`{"clientReferenceInformation":{"code":%q},"processingInformation":{"capture":true,"commerceIndicator":"internet"},
	 "tokenInformation":{"transientTokenJwt":%q},"orderInformation":{"amountDetails":{"totalAmount":%q,"currency":"USD"}},"merchantDefinedInformation":[{"key":"2","value":"gold"}]}`, code, token, amount)
	outcome, err := s.client.Send(t.Context(), cybersource.Request{Kind: cybersource.KindSale, Method: http.MethodPost, Path: "/pts/v2/payments", Body: []byte(body)})
	require.NoError(t, err)
	require.Equal(t, cybersource.Captured, outcome.Result)
	return outcome.ID
}

// read gives all rows of a report.
func read(t *testing.T, in io.Reader, kind report.Kind, format report.Format) []report.Row {
	t.Helper()
	reader, err := report.Open(in, kind, format)
	require.NoError(t, err)
	var rows []report.Row
	for {
		row, err := reader.Next()
		if errors.Is(err, io.EOF) {
			require.Empty(t, reader.Drift().Unknown, "every column is known")
			require.Empty(t, reader.Drift().Unread)
			return rows
		}
		require.NoError(t, err)
		row.Defined = append([]report.Defined(nil), row.Defined...)
		rows = append(rows, row)
	}
}

func (s *standIn) file(t *testing.T, name string, kind report.Kind, format cybersource.ReportFormat) []report.Row {
	t.Helper()
	var into bytes.Buffer
	got, err := s.reports.DownloadReport(t.Context(), name, "2026-01-06", format, &into)
	require.NoError(t, err)
	require.Equal(t, cybersource.ReportCompleted, got.Status)
	require.EqualValues(t, into.Len(), got.Bytes)
	return read(t, &into, kind, report.Format(format))
}

func (s *standIn) query(t *testing.T, kind cybersource.ReportKind) (rows []report.Row) {
	t.Helper()
	query := cybersource.ReportQuery{Kind: kind, Start: now.Add(-time.Hour), End: now.Add(23 * time.Hour)}
	_, err := s.reports.QueryReport(t.Context(), query, func(page io.Reader) error {
		rows = append(rows, read(t, page, report.Kind(kind), report.JSON)...)
		return nil
	})
	require.NoError(t, err)
	return rows
}

// sums adds up what rows say, by type and direction.
func sums(rows []report.Row) map[string]string {
	found := map[string]string{}
	for _, row := range rows {
		key := string(row.Type) + " " + string(row.Direction)
		total := row.Amount.Amount
		if before, ok := found[key]; ok {
			total = total.Add(usd(before).Amount)
		}
		found[key] = total.StringFixed(2)
	}
	return found
}

// A day of the stand-in goes through the client and the parsers of settlement, in every form, and says the same in all of them.
func TestADayOfTheStandInReadsTheSameInEveryForm(t *testing.T) {
	s := newStandIn(t)
	sold, disputed := s.sale(t, "ORD-1001", "102.21"), s.sale(t, "ORD-1002", "50.00")
	refund, err := cybersource.RefundRequest(cybersource.Payments, sold, "RMA-7", "RMA71", usd("10"))
	require.NoError(t, err)
	refunded, err := s.client.Send(t.Context(), refund)
	require.NoError(t, err)
	void, err := cybersource.VoidRequest(cybersource.Payments, s.sale(t, "ORD-1003", "7.77"), "ORD-1003")
	require.NoError(t, err)
	_, err = s.client.Send(t.Context(), void)
	require.NoError(t, err)

	_, err = s.reports.DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
	require.True(t, fault.Is(err, fault.Busy), "%v", err)
	require.Empty(t, s.query(t, cybersource.ChargebackDetails), "an account without chargebacks")
	s.control(t, "settle?date=2026-01-05", map[string]any{})
	none, err := s.reports.DownloadReport(t.Context(), "ChargebackAndRetrievalDetailReport_Daily", "2026-01-06", cybersource.ReportCSV, io.Discard)
	require.NoError(t, err)
	require.Equal(t, cybersource.ReportNoData, none.Status)
	s.control(t, "chargebacks", map[string]any{"id": disputed, "amount": "20.00", "fee": "15.00"})
	s.control(t, "settle?date=2026-01-05", map[string]any{"rows": 40})

	classic := s.file(t, reportName, report.PaymentBatches, cybersource.ReportCSV)
	require.Len(t, classic, 43)
	require.Equal(t, []string{sold, disputed, refunded.ID}, []string{classic[0].RequestID, classic[1].RequestID, classic[2].RequestID}, "the voided sale never appears")
	require.Equal(t, []report.Direction{report.In, report.In, report.Out}, []report.Direction{classic[0].Direction, classic[1].Direction, classic[2].Direction})
	require.True(t, classic[0].Applications.Has(report.Bill|report.Auth))
	want := sums(classic)
	standard := s.file(t, "PaymentBatchDetailReport_Daily", report.PaymentBatches, cybersource.ReportCSV)
	require.Equal(t, want, sums(standard))
	require.Equal(t, sold, standard[0].PaymentRequestID)
	require.Equal(t, []report.Defined{{Key: "2", Value: "gold"}}, standard[0].Defined)
	require.Equal(t, want, sums(s.file(t, "PaymentBatchDetailReport_Daily_XML", report.PaymentBatches, cybersource.ReportXML)))

	fees := s.file(t, "FeeDetailReport_Daily", report.Fees, cybersource.ReportCSV)
	require.Equal(t, "1.89", fees[0].Amount.Amount.StringFixed(2))
	want["fee out"] = sums(fees)["fee out"]
	require.Equal(t, want, sums(s.query(t, cybersource.PurchaseRefundDetails)), "pages of seven make the same day")

	cases := s.file(t, "ChargebackAndRetrievalDetailReport_Daily", report.Chargebacks, cybersource.ReportCSV)
	asked := s.query(t, cybersource.ChargebackDetails)
	require.Len(t, cases, 1)
	require.Equal(t, map[string]string{"dispute out": "20.00"}, sums(cases))
	require.Equal(t, sums(cases), sums(asked))
	require.Equal(t, cases[0].Case.Key(), asked[0].Case.Key(), "one action is known again whatever form tells of it")
	require.Equal(t, disputed, asked[0].RequestID)
	require.Equal(t, "15.00", cases[0].Case.Fee.Amount.StringFixed(2))

	total := func(text string) string { return usd(text).Amount.StringFixed(2) }
	net := usd(want["transaction in"]).Amount.Sub(usd(want["transaction out"]).Amount).Sub(usd(want["fee out"]).Amount).Sub(usd("35.00").Amount)
	require.Equal(t, map[string]string{"deposit in": net.StringFixed(2)}, sums(s.file(t, "DepositDetailReport_Daily", report.Deposits, cybersource.ReportCSV)))
	require.Equal(t, map[string]string{"deposit in": net.StringFixed(2)}, sums(s.file(t, "FundingDetailReport_Daily", report.Fundings, cybersource.ReportCSV)))

	classes := map[report.SumClass]string{}
	for _, row := range s.query(t, cybersource.NetFundings) {
		classes[row.Sum.Class] = usd(orZero(classes[row.Sum.Class])).Amount.Add(row.Amount.Amount).StringFixed(2)
	}
	require.Equal(t, total(want["transaction in"]), classes[report.SumSales])
	require.Equal(t, total(want["transaction out"]), classes[report.SumRefunds])
	require.Equal(t, "20.00", classes[report.SumChargebacks])
	require.Equal(t, usd(want["fee out"]).Amount.Add(usd("15").Amount).StringFixed(2), classes[report.SumFees])
	sales := usd("0").Amount
	for _, row := range s.query(t, cybersource.PaymentBatchSummaries) {
		if row.Sum.Class == report.SumSales {
			sales = sales.Add(row.Amount.Amount)
		}
	}
	require.Equal(t, want["transaction in"], sales.StringFixed(2))
	require.Empty(t, s.query(t, cybersource.RetrievalDetails))

	entries, err := s.reports.ListReports(t.Context(), now.AddDate(0, 0, -1), now.AddDate(0, 0, 2), "")
	require.NoError(t, err)
	require.Len(t, entries, 8)
	require.Equal(t, "2026-01-06", entries[0].Date)
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

func TestFailuresOnTheWayToAReport(t *testing.T) {
	s := newStandIn(t)
	s.sale(t, "ORD-1001", "102.21")
	s.control(t, "settle?date=2026-01-05", map[string]any{"rows": 2000, "failedReports": []string{"FeeDetailReport_Daily"}})
	download := func(name string, format cybersource.ReportFormat) error {
		_, err := s.reports.DownloadReport(t.Context(), name, "2026-01-06", format, io.Discard)
		return err
	}
	for _, mode := range []string{"truncate", "drop_before", "drop_after"} {
		s.control(t, "faults", map[string]any{"route": "GET /reporting/v3/report-downloads", "mode": mode, "times": 1})
		require.True(t, fault.Is(download(reportName, cybersource.ReportCSV), fault.Connection), mode)
		require.NoError(t, download(reportName, cybersource.ReportCSV))
	}
	require.Equal(t, cybersource.CodeReportFailed, fault.As(download("FeeDetailReport_Daily", cybersource.ReportCSV)).Code)
	mismatch := fault.As(download(reportName, cybersource.ReportXML))
	require.Equal(t, fault.Value, mismatch.Kind)
	require.Equal(t, "Accept", mismatch.Fields[0].Path)
	_, err := s.reports.ListReports(t.Context(), now.AddDate(-2, 0, 0), now, "")
	require.Equal(t, "startTime", fault.As(err).Fields[0].Path)

	s.control(t, "settle?date=2026-01-05", map[string]any{"truncate": true})
	var into strings.Builder
	_, err = s.reports.DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, &into)
	require.NoError(t, err, "the file came whole, and was made cut")
	reader, err := report.Open(strings.NewReader(into.String()), report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	_, err = reader.Next()
	var broken *report.Error
	require.ErrorAs(t, err, &broken)
	require.Equal(t, report.RuleTruncated, broken.Rule)
}

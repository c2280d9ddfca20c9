package cybersource_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

const (
	reportName = "PaymentBatchDetailReport_Daily_Classic"
	csvFile    = "demo_mid,PaymentBatchDetailReport_Daily_Classic\r\nbatch_id,request_id\r\n1,2\r\n"
)

func (g *gateway) reports(t *testing.T, change ...func(*cybersource.ReportSettings)) *cybersource.Reports {
	t.Helper()
	settings := cybersource.ReportSettings{}
	for _, apply := range change {
		apply(&settings)
	}
	return cybersource.NewReports(g.client(t), settings)
}

// file answers downloads, and the list with the given body.
func file(contentType, body, list string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/reporting/v3/reports") {
			answering(http.StatusOK, list)(w, r)
			return
		}
		if contentType == "" {
			answering(http.StatusNotFound, `{"code":"RESOURCE_NOTFOUND","message":"not found"}`)(w, r)
			return
		}
		w.Header()["Content-Type"] = []string{contentType}
		w.Header().Set("v-c-correlation-id", "corr-1")
		_, _ = io.WriteString(w, body)
	}
}

func listOf(status string) string {
	return `{"reportSearchResults":[{"reportName":"` + reportName + `","reportMimeType":"text/csv","status":"` + status + `","reportStartTime":"2026-01-05T07:00:00Z","reportEndTime":"2026-01-06T07:00:00Z",
	 "_link":{"reportDownload":{"href":"/reporting/v3/report-downloads/?reportName=x&reportDate=2026-01-06"}}}]}`
}

func TestAReportIsDownloadedAsItIs(t *testing.T) {
	for _, auth := range []cybersource.Auth{cybersource.AuthJWT, cybersource.AuthHTTPSignature} {
		g := newGateway(t, file("text/csv;charset=utf-8", csvFile, ""))
		var calls []outbound.Call
		client := g.client(t, func(c *cybersource.Config) { c.Auth = auth })
		reports := cybersource.NewReports(client, cybersource.ReportSettings{OrganizationID: "demo_mid", Observe: func(c outbound.Call) { calls = append(calls, c) }})
		var into bytes.Buffer
		got, err := reports.DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, &into)
		require.NoError(t, err)
		require.Equal(t, csvFile, into.String())
		sum := sha256.Sum256([]byte(csvFile))
		require.Equal(t, cybersource.Download{Status: cybersource.ReportCompleted, Bytes: int64(len(csvFile)), SHA256: hex.EncodeToString(sum[:]), CorrelationID: "corr-1"}, got)
		sent := g.received()
		require.Len(t, sent, 1)
		require.Equal(t, "/reporting/v3/report-downloads?organizationId=demo_mid&reportDate=2026-01-06&reportName="+reportName, sent[0].path)
		require.Equal(t, "text/csv", sent[0].header.Get("Accept"))
		require.Len(t, calls, 1)
		require.Equal(t, []any{"/reporting/v3/report-downloads", 200, "corr-1", ""}, []any{calls[0].Route, calls[0].Status, calls[0].CorrelationID, calls[0].Error})
	}
}

func TestTheSignatureCoversTheQueryAsSent(t *testing.T) {
	g := newGateway(t, answering(http.StatusOK, `{"reportSearchResults":[]}`))
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.FixedZone("", 3600))
	entries, err := g.reports(t).ListReports(t.Context(), start, start.AddDate(0, 0, 1), "A & B")
	require.NoError(t, err)
	require.Empty(t, entries)
	sent := g.received()[0]
	require.Equal(t, "/reporting/v3/reports?endTime=2026-01-05T23%3A00%3A00.000Z&reportName=A+%26+B&startTime=2026-01-04T23%3A00%3A00.000Z&timeQueryType=reportTimeFrame", sent.path)
	claims := claimsOf(t, sent.header, sharedKey)
	require.Equal(t, sent.path, claims["request-resource-path"])
	require.Equal(t, "get", claims["request-method"])
}

func TestAListOfReports(t *testing.T) {
	g := newGateway(t, answering(http.StatusOK, `{"reportSearchResults":[
	 {"reportId":"r1","reportName":"A","reportMimeType":"application/xml","reportFrequency":"daily","status":"completed","reportStartTime":"2026-01-05T07:00:00Z","reportEndTime":"2026-01-06T07:00:00Z","timezone":"PST","reportCompletedTime":"2026-01-06T09:00:00Z","_link":{"reportDownload":{"href":"/reporting/v3/report-downloads/?reportName=A&reportDate=2026-01-06","method":"GET"}}},
	 {"reportName":"B","reportMimeType":"text/csv","status":"NO_DATA","reportEndTime":"2026-01-06T02:00:00Z","timezone":"America/New_York"},
	 {"reportName":"C","status":"RUNNING","_link":{"reportDownload":{"href":"%zz"}}},
	 "nonsense", {"status":"COMPLETED"}]}`))
	entries, err := g.reports(t).ListReports(t.Context(), now, now, "")
	require.NoError(t, err)
	require.Len(t, entries, 3)
	require.Equal(t, cybersource.ReportEntry{ID: "r1", Name: "A", Format: cybersource.ReportXML, Frequency: "DAILY", Status: cybersource.ReportCompleted,
		Start: time.Date(2026, 1, 5, 7, 0, 0, 0, time.UTC), End: time.Date(2026, 1, 6, 7, 0, 0, 0, time.UTC), Date: "2026-01-06", Zone: "PST",
		CompletedAt: time.Date(2026, 1, 6, 9, 0, 0, 0, time.UTC)}, entries[0])
	require.Equal(t, "2026-01-05", entries[1].Date, "without a link: the end in the subscription's time zone")
	require.Equal(t, cybersource.ReportNoData, entries[1].Status)
	require.Empty(t, entries[2].Date)
}

func TestWhatAMissingReportMeans(t *testing.T) {
	for _, tc := range []struct {
		name, list string
		status     cybersource.ReportStatus
		kind       fault.Kind
		code       string
	}{
		{"not listed", `{"reportSearchResults":[]}`, "", fault.Busy, cybersource.CodeReportNotReady},
		{"another day's", strings.ReplaceAll(listOf("NO_DATA"), "reportDate=2026-01-06", "reportDate=2026-01-05"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"another report", strings.ReplaceAll(listOf("NO_DATA"), reportName, "Other"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"pending", listOf("PENDING"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"queued", listOf("QUEUED"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"running", listOf("RUNNING"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"completed, but not served yet", listOf("COMPLETED"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"an unknown status", listOf("THINKING"), "", fault.Busy, cybersource.CodeReportNotReady},
		{"no data", listOf("NO_DATA"), cybersource.ReportNoData, "", ""},
		{"failed", listOf("ERROR"), "", fault.Conflict, cybersource.CodeReportFailed},
		{"the list can't be read", `{"reports":[]}`, "", fault.Connection, cybersource.CodeUnreadable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t, file("", "", tc.list))
			var into bytes.Buffer
			got, err := g.reports(t, func(s *cybersource.ReportSettings) { s.NotReadyPause = 7 * time.Minute }).
				DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, &into)
			require.Empty(t, into.String())
			if tc.kind == "" {
				require.NoError(t, err)
				require.Equal(t, tc.status, got.Status)
				return
			}
			f := fault.As(err)
			require.NotNil(t, f, "%v", err)
			require.Equal(t, tc.kind, f.Kind)
			require.Equal(t, tc.code, f.Code)
			if tc.kind == fault.Busy {
				require.Equal(t, 7*time.Minute, f.RetryAfter)
				require.True(t, f.Kind.Retryable())
			}
		})
	}
}

func TestAnswersThatAreNoReport(t *testing.T) {
	const xmlFile = "\xef\xbb\xbf\n<Report/>"
	for _, tc := range []struct {
		name, contentType, body string
		format                  cybersource.ReportFormat
		kind                    fault.Kind
		code                    string
	}{
		{"a proxy's page", "text/html", "<html>sign in</html>", cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"a page that calls itself CSV", "text/csv", "<html>sign in</html>", cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"JSON that calls itself CSV", "text/csv", `{"code":"SERVER_ERROR"}`, cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"JSON", "application/hal+json", `{}`, cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"nothing", "text/csv", "", cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"blank", "text/csv", " \r\n", cybersource.ReportCSV, fault.Connection, cybersource.CodeUnreadable},
		{"XML for CSV", "application/xml", xmlFile, cybersource.ReportCSV, fault.Value, cybersource.CodeReportFormat},
		{"CSV for XML", "text/csv", csvFile, cybersource.ReportXML, fault.Value, cybersource.CodeReportFormat},
		{"CSV that calls itself XML", "application/xml", csvFile, cybersource.ReportXML, fault.Connection, cybersource.CodeUnreadable},
		{"XML", "text/xml", xmlFile, cybersource.ReportXML, "", ""},
		{"CSV without a type", "application/octet-stream", csvFile, cybersource.ReportCSV, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t, file(tc.contentType, tc.body, ""))
			var into bytes.Buffer
			_, err := g.reports(t).DownloadReport(t.Context(), reportName, "2026-01-06", tc.format, &into)
			if tc.kind == "" {
				require.NoError(t, err)
				require.Equal(t, tc.body, into.String())
				return
			}
			require.True(t, fault.Is(err, tc.kind), "%v", err)
			require.Equal(t, tc.code, fault.As(err).Code)
			require.Empty(t, into.String(), "nothing of it is written")
		})
	}
}

func TestReportingErrors(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		kind   fault.Kind
		code   string
		text   string
	}{
		{400, `{"code":"VALIDATION_ERROR","correlationId":"c","message":"Field validation errors","fields":[{"path":"startTime","message":"too old","localizationKey":"k"}]}`, fault.Value, "VALIDATION_ERROR", "Field validation errors (startTime: too old)"},
		{400, `{"code":"VALIDATION_ERROR","detail":"in detail"}`, fault.Value, "VALIDATION_ERROR", "in detail"},
		{401, `{"response":{"rmsg":"Authentication Failed"}}`, fault.Credentials, cybersource.CodeAuth, ""},
		{403, `{"code":"FORBIDDEN","message":"no right"}`, fault.Credentials, "FORBIDDEN", "no right"},
		{406, ``, fault.Value, "HTTP_406", ""},
		{429, ``, fault.RateLimit, "HTTP_429", ""},
		{500, `{"code":"SERVER_ERROR","message":"oops"}`, fault.Connection, "SERVER_ERROR", "oops"},
		{503, `<html>`, fault.Connection, "HTTP_503", ""},
		{302, ``, fault.Bug, "HTTP_302", ""},
		{400, `{"code":"VALIDATION_ERROR","message":"card 4111 1111 1111 1111"}`, fault.Value, "VALIDATION_ERROR", "card ..."},
	} {
		t.Run(fmt.Sprint(tc.status, tc.code), func(t *testing.T) {
			g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "9")
				answering(tc.status, tc.body)(w, r)
			})
			_, download := g.reports(t).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
			_, list := g.reports(t).ListReports(t.Context(), now, now, "")
			_, query := g.reports(t).QueryReport(t.Context(), cybersource.ReportQuery{Kind: cybersource.NetFundings, Start: now, End: now}, nil)
			for _, err := range []error{download, list, query} {
				f := fault.As(err)
				require.NotNil(t, f, "%v", err)
				require.Equal(t, tc.kind, f.Kind)
				require.Equal(t, tc.code, f.Code)
				require.Equal(t, tc.status, f.HTTPStatus)
				require.Equal(t, "corr-1", f.RequestID)
				require.Equal(t, 9*time.Second, f.RetryAfter)
				require.Contains(t, f.Error(), tc.text)
			}
		})
	}
}

// cutAfter announces more than it sends.
func cutAfter(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(2*len(body)))
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestAReportThatIsCutShort(t *testing.T) {
	t.Run("a file", func(t *testing.T) {
		g := newGateway(t, cutAfter("text/csv", strings.Repeat(csvFile, 20)))
		_, err := g.reports(t).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
		require.Equal(t, outbound.CodeBrokenAnswer, fault.As(err).Code)
	})
	t.Run("an answer that the visitor reads only half", func(t *testing.T) {
		g := newGateway(t, cutAfter("application/hal+json", `{"netFundingSummaries":[`+strings.Repeat(" ", 5000)))
		_, err := g.reports(t).QueryReport(t.Context(), cybersource.ReportQuery{Kind: cybersource.NetFundings, Start: now, End: now}, func(page io.Reader) error {
			_, err := io.ReadFull(page, make([]byte, 10))
			return err
		})
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
	})
	t.Run("a page", func(t *testing.T) {
		g := newGateway(t, cutAfter("application/hal+json", `{"settlements":[`))
		_, err := g.reports(t).QueryReport(t.Context(), cybersource.ReportQuery{Kind: cybersource.PurchaseRefundDetails, Start: now, End: now}, nil)
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
	})
	t.Run("no answer at all", func(t *testing.T) {
		g := newGateway(t, nil)
		g.Close()
		_, err := g.reports(t).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
		require.NotContains(t, err.Error(), "reportName", "no URL in messages")
	})
}

func TestAReportThatIsTooLarge(t *testing.T) {
	body := strings.Repeat("a,b\r\n", 1000)
	small := func(s *cybersource.ReportSettings) { s.MaxFile, s.MaxPage = int64(len(body))-1, 10 }
	for name, answer := range map[string]http.HandlerFunc{
		"announced": file("text/csv", body, ""),
		"not announced": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			_, _ = io.WriteString(w, body[:100])
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, body[100:])
		},
		"packed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			_, _ = io.WriteString(packed, body)
			_ = packed.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, answer)
			_, err := g.reports(t, small).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
			require.True(t, fault.Is(err, fault.DeclinedByPolicy), "%v", err)
			require.Equal(t, outbound.CodeAnswerTooLong, fault.As(err).Code)
			var into bytes.Buffer
			_, err = g.reports(t, func(s *cybersource.ReportSettings) { s.MaxFile = int64(len(body)) }).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, &into)
			require.NoError(t, err, "exactly as large as allowed")
			require.Equal(t, body, into.String())
		})
	}
	g := newGateway(t, answering(http.StatusOK, `{"settlements":[]}`))
	_, err := g.reports(t, small).QueryReport(t.Context(), cybersource.ReportQuery{Kind: cybersource.PurchaseRefundDetails, Start: now, End: now}, nil)
	require.True(t, fault.Is(err, fault.DeclinedByPolicy), "%v", err)
}

func TestSilenceEndsADownloadAndSlownessDoesNot(t *testing.T) {
	const stall = 300 * time.Millisecond
	patient := func(s *cybersource.ReportSettings) { s.Stall = stall }
	silent := func(sent string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			_, _ = io.WriteString(w, sent)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	t.Run("after some of it", func(t *testing.T) {
		g := newGateway(t, silent(csvFile))
		_, err := g.reports(t, patient).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
		require.Equal(t, outbound.CodeTimeout, fault.As(err).Code)
	})
	t.Run("before the first byte", func(t *testing.T) {
		g := newGateway(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		_, err := g.reports(t, patient).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.Equal(t, outbound.CodeTimeout, fault.As(err).Code)
	})
	t.Run("longer than allowed as a whole", func(t *testing.T) {
		g := newGateway(t, silent(csvFile))
		_, err := g.reports(t, func(s *cybersource.ReportSettings) { s.Longest = stall }).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.Equal(t, outbound.CodeTimeout, fault.As(err).Code)
	})
	t.Run("the caller gives up", func(t *testing.T) {
		g := newGateway(t, silent(csvFile))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := g.reports(t).DownloadReport(ctx, reportName, "2026-01-06", cybersource.ReportCSV, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
		require.Error(t, err)
		require.Equal(t, outbound.CodeCancelled, fault.As(err).Code)
	})
	t.Run("a slow reader of ours", func(t *testing.T) {
		g := newGateway(t, file("text/csv", strings.Repeat(csvFile, 1000), ""))
		slowly := func(silence time.Duration) (written int, err error) {
			slow := writerFunc(func(p []byte) (int, error) {
				if written == 0 {
					<-time.After(silence + silence/4) // the disk is busy for longer than the gateway may be silent
				}
				written += len(p)
				return len(p), nil
			})
			_, err = g.reports(t, func(s *cybersource.ReportSettings) { s.Stall = silence }).
				DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, slow)
			return written, err
		}
		written, err := slowly(stall)
		for silence := 2 * stall; err != nil && silence < time.Minute; silence *= 2 { // a busy machine takes its time to read what is there
			written, err = slowly(silence)
		}
		require.NoError(t, err)
		require.Equal(t, 1000*len(csvFile), written)
	})
	t.Run("longer than a payment may take", func(t *testing.T) {
		pause := make(chan time.Time)
		g := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			for range 4 {
				_, _ = io.WriteString(w, csvFile)
				_ = http.NewResponseController(w).Flush()
				<-pause
			}
		})
		go func() {
			for range 4 {
				pause <- <-time.After(stall / 4)
			}
		}()
		reports := cybersource.NewReports(g.client(t, func(c *cybersource.Config) { c.Timeout = stall / 2 }), cybersource.ReportSettings{Stall: time.Minute})
		got, err := reports.DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		require.NoError(t, err)
		require.EqualValues(t, 4*len(csvFile), got.Bytes)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAnErrorOfTheWriterPassesAsItIs(t *testing.T) {
	full := errors.New("disk full")
	g := newGateway(t, file("text/csv", csvFile, ""))
	_, err := g.reports(t).DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, writerFunc(func([]byte) (int, error) { return 0, full }))
	require.ErrorIs(t, err, full)
	require.Nil(t, fault.As(err))
}

func TestAReportNeedsANameADateAndAFormat(t *testing.T) {
	g := newGateway(t, file("text/csv", csvFile, ""))
	for _, asked := range [][3]string{{"", "2026-01-06", "csv"}, {"x", "06.01.2026", "csv"}, {"x", "2026-01-06", "pdf"}} {
		_, err := g.reports(t).DownloadReport(t.Context(), asked[0], asked[1], cybersource.ReportFormat(asked[2]), io.Discard)
		require.True(t, fault.Is(err, fault.Bug))
	}
	_, err := g.reports(t).QueryReport(t.Context(), cybersource.ReportQuery{Kind: "conversion-details", Start: now, End: now}, nil)
	require.True(t, fault.Is(err, fault.Bug))
	require.Empty(t, g.received())
}

func TestQueriesGoPageByPage(t *testing.T) {
	var asked []url.Values
	total := 7
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		asked = append(asked, query)
		offset, _ := strconv.Atoi(query.Get("offset"))
		var settlements []string
		for i := offset; i < min(offset+3, total); i++ {
			settlements = append(settlements, fmt.Sprintf(`{"requestId":"%d"}`, i))
		}
		answering(200, fmt.Sprintf(`{"offset":%d,"limit":3,"pageResults":%d,"settlements":[%s]}`, offset, len(settlements), strings.Join(settlements, ",")))(w, r)
	})
	query := cybersource.ReportQuery{Kind: cybersource.PurchaseRefundDetails, Start: now, End: now.AddDate(0, 0, 1), BySubmission: true}
	three := func(s *cybersource.ReportSettings) { s.PageSize = 3 }
	var read strings.Builder
	visit := func(page io.Reader) error { _, err := io.Copy(&read, page); return err }
	pages, err := g.reports(t, three).QueryReport(t.Context(), query, visit)
	require.NoError(t, err)
	require.Equal(t, 3, pages)
	for i := range total {
		require.Equal(t, 1, strings.Count(read.String(), fmt.Sprintf(`{"requestId":"%d"}`, i)))
	}
	require.Equal(t, []string{"submissionDate", "3", "0"}, []string{asked[0].Get("viewBy"), asked[0].Get("limit"), asked[0].Get("offset")})

	total = 6
	pages, err = g.reports(t, three).QueryReport(t.Context(), query, visit)
	require.NoError(t, err)
	require.Equal(t, 3, pages, "only a page that is not full is the last one")

	stop := errors.New("enough")
	pages, err = g.reports(t, three).QueryReport(t.Context(), query, func(io.Reader) error { return stop })
	require.ErrorIs(t, err, stop)
	require.Zero(t, pages)
}

func TestAQueryThatNeverEndsIsStopped(t *testing.T) {
	g := newGateway(t, answering(200, `{"offset":0,"pageResults":2,"settlements":[{"requestId":"1"},{"requestId":"2"}]}`))
	pages, err := g.reports(t, func(s *cybersource.ReportSettings) { s.PageSize = 2 }).
		QueryReport(t.Context(), cybersource.ReportQuery{Kind: cybersource.PurchaseRefundDetails, Start: now, End: now}, func(io.Reader) error { return nil })
	require.True(t, fault.Is(err, fault.Bug), "%v", err)
	require.Equal(t, 1, pages)
	require.Len(t, g.received(), 2)
}

func TestAnswersOfQueries(t *testing.T) {
	for _, tc := range []struct {
		name   string
		kind   cybersource.ReportKind
		answer http.HandlerFunc
		pages  int
		fault  fault.Kind
	}{
		{"chargebacks", cybersource.ChargebackDetails, answering(200, `{"chargebackDetails":[]}`), 1, ""},
		{"no chargebacks", cybersource.ChargebackDetails, answering(404, `{"code":"RESOURCE_NOTFOUND"}`), 0, ""},
		{"no retrievals", cybersource.RetrievalDetails, answering(404, `{"code":"RESOURCE_NOTFOUND"}`), 0, ""},
		{"a 404 of something else", cybersource.ChargebackDetails, answering(404, `not here`), 0, fault.NotFound},
		{"a 404 that says nothing of rows", cybersource.NetFundings, answering(404, `{"code":"RESOURCE_NOTFOUND"}`), 0, fault.NotFound},
		{"a page that says no count is counted", cybersource.PurchaseRefundDetails, answering(200, `{"requestDetails":[{}],"settlements":[{}]}`), 1, ""},
		{"a count that is none", cybersource.PurchaseRefundDetails, answering(200, `{"pageResults":"many"}`), 0, fault.Connection},
		{"half a page", cybersource.PurchaseRefundDetails, answering(200, `{"pageResults":1,`), 0, fault.Connection},
		{"a list", cybersource.PaymentBatchSummaries, answering(200, `[]`), 0, fault.Connection},
		{"a page of HTML", cybersource.NetFundings, file("text/html", "<html>", ""), 0, fault.Connection},
		{"nothing", cybersource.NetFundings, answering(200, ``), 0, fault.Connection},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t, tc.answer)
			visited := 0
			pages, err := g.reports(t).QueryReport(t.Context(), cybersource.ReportQuery{Kind: tc.kind, Start: now, End: now}, func(page io.Reader) error {
				visited++
				_, err := io.ReadAll(page)
				return err
			})
			require.Equal(t, tc.pages, pages)
			require.Equal(t, tc.pages, visited)
			if tc.fault == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, fault.Is(err, tc.fault), "%v", err)
		})
	}
}

func TestNothingOfAReportIsLogged(t *testing.T) {
	var logged bytes.Buffer
	g := newGateway(t, file("text/csv", csvFile, ""))
	_, err := g.reports(t, func(s *cybersource.ReportSettings) { s.Logger = slog.New(slog.NewJSONHandler(&logged, nil)) }).
		DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
	require.NoError(t, err)
	require.Contains(t, logged.String(), `"route":"/reporting/v3/report-downloads"`)
	require.NotContains(t, logged.String(), "demo_mid")
	require.NotContains(t, logged.String(), "reportName")
}

func FuzzReportAnswers(f *testing.F) {
	f.Add(200, "application/hal+json", listOf("NO_DATA"))
	f.Add(200, "text/csv", csvFile)
	f.Add(404, "application/json", `{"code":"RESOURCE_NOTFOUND","fields":[{"path":"x"}]}`)
	f.Add(200, "application/json", `{"pageResults":"3","settlements":null}`)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		client, err := cybersource.New(cybersource.Config{BaseURL: "http://gateway.test", MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret,
			Transport: fixed{status, contentType, body}})
		require.NoError(t, err)
		reports := cybersource.NewReports(client, cybersource.ReportSettings{Base: fixed{status, contentType, body}})
		allFaults := func(err error) {
			if err != nil && fault.As(err) == nil {
				t.Fatalf("not a fault: %v", err)
			}
		}
		_, err = reports.ListReports(t.Context(), now, now, "")
		allFaults(err)
		got, err := reports.DownloadReport(t.Context(), reportName, "2026-01-06", cybersource.ReportCSV, io.Discard)
		allFaults(err)
		if err == nil && got.Status == cybersource.ReportCompleted && got.Bytes != int64(len(body)) {
			t.Fatalf("%d bytes of %d", got.Bytes, len(body))
		}
		for _, kind := range []cybersource.ReportKind{cybersource.PurchaseRefundDetails, cybersource.ChargebackDetails} {
			_, err = reports.QueryReport(t.Context(), cybersource.ReportQuery{Kind: kind, Start: now, End: now}, func(io.Reader) error { return nil })
			allFaults(err)
		}
	})
}

// fixed always answers the same.
type fixed struct {
	status            int
	contentType, body string
}

func (f fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Header: http.Header{"Content-Type": {f.contentType}}, Body: io.NopCloser(strings.NewReader(f.body)), ContentLength: -1, Request: r}, nil
}

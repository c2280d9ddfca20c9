package cybersource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// Download is the final answer to a question for a report file.
type Download struct {
	Status        ReportStatus // ReportCompleted, or ReportNoData: then nothing was written
	Bytes         int64        // written
	SHA256        string       // of what was written, hexadecimal
	CorrelationID string       // of the call
}

// DownloadReport writes a report file to into. date is the end of its period, YYYY-MM-DD: the day of the 9th is found under the
// 10th. After an error nothing that was written counts. Errors of into pass as they are, all others are faults:
//   - Busy, CodeReportNotReady, with RetryAfter: not made yet, or not ordered: the gateway answers both alike;
//   - Conflict, CodeReportFailed: the gateway could not make it;
//   - Value: refused (Fields say what), or made in another format (CodeReportFormat);
//   - Connection: silent for too long, cut short, or an answer that is no report: ask again;
//   - DeclinedByPolicy, outbound.CodeAnswerTooLong: larger than ReportSettings.MaxFile;
//   - Credentials, RateLimit: as everywhere.
func (r *Reports) DownloadReport(ctx context.Context, name, date string, format ReportFormat, into io.Writer) (Download, error) {
	accept, known := map[ReportFormat]string{ReportCSV: "text/csv", ReportXML: "application/xml"}[format]
	end, err := time.Parse(time.DateOnly, date)
	if err != nil || name == "" || !known {
		return Download{}, bug("a report is asked for without a name, a date or a format")
	}
	query := r.organization()
	query.Set("reportName", name)
	query.Set("reportDate", date)
	opened, err := r.open(ctx, "/reporting/v3/report-downloads?"+query.Encode(), accept, r.settings.MaxFile)
	if err != nil {
		return Download{}, err
	}
	if opened.body == nil {
		return r.notDownloaded(ctx, opened.answer, name, end)
	}
	defer func() { _ = opened.body.Close() }()
	return r.save(opened, format, into)
}

// save checks that the answer is a report of that format, and writes it out.
func (r *Reports) save(opened *streamed, format ReportFormat, into io.Writer) (Download, error) {
	if opened.length > r.settings.MaxFile {
		opened.body.left = 0 // the first byte tells the same
	}
	first, rest, err := peeked(opened.body)
	if err != nil {
		return Download{}, err
	}
	if err := opened.fits(format, first); err != nil {
		return Download{}, err
	}
	sum := sha256.New()
	written := &writer{into: io.MultiWriter(into, sum)}
	if _, err := io.Copy(written, rest); err != nil {
		if written.failed != nil {
			return Download{}, fmt.Errorf("write report: %w", written.failed)
		}
		return Download{}, err
	}
	return Download{Status: ReportCompleted, Bytes: written.count, SHA256: hex.EncodeToString(sum.Sum(nil)), CorrelationID: opened.correlationID}, nil
}

// writer tells errors of the writing from those of the reading.
type writer struct {
	into   io.Writer
	count  int64
	failed error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.into.Write(p)
	w.count += int64(n)
	w.failed = err
	return n, err
}

// fits holds the announced type and the first byte to the format. The other format is a matter of the subscription; anything else (a
// page of a proxy, an empty file, JSON) is no report, and may be one the next time.
func (s *streamed) fits(format ReportFormat, first byte) error {
	kinds := map[string]ReportFormat{"text/csv": ReportCSV, "application/csv": ReportCSV, "application/xml": ReportXML, "text/xml": ReportXML,
		"": format, "application/octet-stream": format} // those two leave it to the content
	announced, isReport := kinds[s.contentType]
	looks := ReportCSV
	if first == '<' {
		looks = ReportXML
	}
	switch {
	case !isReport, first == 0, first == '{', announced != looks:
		return readAgain(unreadable(s.answer))
	case announced != format:
		return s.fault(fault.Value, CodeReportFormat, "the gateway makes the report as "+string(announced)+", not as "+string(format))
	}
	return nil
}

// notDownloaded finds out what an answer without a file means. A missing file may be one that is still to come or one that never
// will: only the list knows.
func (r *Reports) notDownloaded(ctx context.Context, answer answer, name string, end time.Time) (Download, error) {
	if answer.status != http.StatusNotFound {
		return Download{}, reportRefusal(answer)
	}
	entry, found, err := r.listed(ctx, name, end)
	if err != nil {
		return Download{}, err
	}
	switch {
	case found && entry.Status == ReportNoData:
		return Download{Status: ReportNoData, CorrelationID: answer.correlationID}, nil
	case found && entry.Status == ReportError:
		return Download{}, answer.fault(fault.Conflict, CodeReportFailed, "the gateway could not make the report: order it again there")
	}
	f := answer.fault(fault.Busy, CodeReportNotReady, "the report is not there yet")
	if found {
		f.Message = "the report is not there yet: " + sentence(string(entry.Status))
	}
	f.RetryAfter = max(answer.retryAfter, r.settings.NotReadyPause)
	return Download{}, f
}

// listed looks a file up in the list. Periods end on the file's date in any time zone on earth, and may be as long as a month.
func (r *Reports) listed(ctx context.Context, name string, end time.Time) (ReportEntry, bool, error) {
	entries, err := r.ListReports(ctx, end.AddDate(0, 0, -33), end.AddDate(0, 0, 2), name)
	if err != nil {
		return ReportEntry{}, false, err
	}
	for _, entry := range entries {
		if entry.Date == end.Format(time.DateOnly) {
			return entry, true, nil
		}
	}
	return ReportEntry{}, false, nil
}

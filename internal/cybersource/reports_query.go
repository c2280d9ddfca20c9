package cybersource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// ReportKind names a JSON query by the last part of its path.
type ReportKind string

// The queries that settlement reads.
const (
	PurchaseRefundDetails ReportKind = "purchase-refund-details" // in pages
	ChargebackDetails     ReportKind = "chargeback-details"
	RetrievalDetails      ReportKind = "retrieval-details"
	NetFundings           ReportKind = "net-fundings"
	PaymentBatchSummaries ReportKind = "payment-batch-summaries"
)

// ReportQuery asks for what happened in [Start, End).
type ReportQuery struct {
	Kind       ReportKind
	Start, End time.Time
	// BySubmission counts purchases and refunds by the time they were submitted for settlement; otherwise by that of the request.
	BySubmission bool
}

// maxReportPages bounds the pages of one query: more than any day has, and an end to a gateway that never says that it is done.
const maxReportPages = 10_000

// QueryReport runs a query and gives each page of the answer, as it came, to visit, one after the other; it returns how many there
// were. An account without chargebacks or retrieval requests has no page, and that is no error. Reading a page fails with a fault
// (see DownloadReport); what visit returns ends the query and is returned as it is. What visit leaves unread is read to its end, so
// that an answer that was cut short is told from a whole one.
func (r *Reports) QueryReport(ctx context.Context, query ReportQuery, visit func(page io.Reader) error) (int, error) {
	values := r.period(query.Start, query.End)
	switch query.Kind {
	case PurchaseRefundDetails:
		values.Set("viewBy", "requestDate")
		if query.BySubmission {
			values.Set("viewBy", "submissionDate")
		}
		return r.pages(ctx, query.Kind, values, visit)
	case PaymentBatchSummaries:
		values.Set("rollUp", "day")
	case ChargebackDetails, RetrievalDetails, NetFundings:
	default:
		return 0, bug("there is no such query of reports")
	}
	opened, err := r.ask(ctx, query.Kind, values)
	if opened == nil || err != nil {
		return 0, err
	}
	defer func() { _ = opened.body.Close() }()
	first, page, err := peeked(opened.body)
	if err != nil {
		return 0, err
	}
	if first != '{' {
		return 0, readAgain(unreadable(opened.answer))
	}
	if err := visit(page); err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, page)
	return 1, err
}

// ask sends a query. Neither an answer nor an error means that there is nothing.
func (r *Reports) ask(ctx context.Context, kind ReportKind, values url.Values) (*streamed, error) {
	opened, err := r.open(ctx, "/reporting/v3/"+string(kind)+"?"+values.Encode(), acceptHAL, r.settings.MaxPage)
	switch {
	case err != nil:
		return nil, err
	case opened.body != nil && isJSON(opened.contentType):
		return opened, nil
	case opened.body != nil:
		_ = opened.body.Close()
		return nil, readAgain(unreadable(opened.answer))
	case opened.status == http.StatusNotFound && (kind == ChargebackDetails || kind == RetrievalDetails) && isObject(opened.answer.body):
		return nil, nil // that is how the gateway says none
	default:
		return nil, reportRefusal(opened.answer)
	}
}

// isJSON: some answers come without a type.
func isJSON(media string) bool {
	return media == "" || media == "application/hal+json" || media == "application/json"
}

// pages asks page by page, until one is not full. A page is read before it is passed on, because its end decides whether
// there is another.
func (r *Reports) pages(ctx context.Context, kind ReportKind, values url.Values, visit func(io.Reader) error) (int, error) {
	limit := r.settings.PageSize
	values.Set("limit", strconv.Itoa(limit))
	var last [sha256.Size]byte
	for number := range maxReportPages {
		values.Set("offset", strconv.Itoa(number*limit))
		opened, err := r.ask(ctx, kind, values)
		if err != nil {
			return number, err
		}
		page, err := io.ReadAll(opened.body)
		_ = opened.body.Close()
		if err != nil {
			return number, err
		}
		results, err := pageResults(opened.answer, page)
		if err != nil {
			return number, err
		}
		sum := sha256.Sum256(withoutOffset(page))
		if results > 0 && sum == last {
			return number, opened.fault(fault.Bug, "PAGE_REPEATED", "the gateway answers with the same page again")
		}
		last = sum
		if err := visit(bytes.NewReader(page)); err != nil {
			return number, err
		}
		if results < limit {
			return number + 1, nil
		}
	}
	return maxReportPages, &fault.Fault{Kind: fault.Bug, System: System, Code: "TOO_MANY_RESULTS", Message: "the query has no end"}
}

// pageResults is how many requests a page says that it holds. A page that does not say is counted.
func pageResults(answer answer, page []byte) (int, error) {
	var decoded struct {
		Results     *text             `json:"pageResults"`
		Requests    []json.RawMessage `json:"requestDetails"`
		Settlements []json.RawMessage `json:"settlements"`
	}
	if !isObject(page) || json.Unmarshal(page, &decoded) != nil {
		return 0, readAgain(unreadable(answer))
	}
	if decoded.Results == nil {
		return max(len(decoded.Requests), len(decoded.Settlements)), nil
	}
	results, err := strconv.Atoi(string(*decoded.Results))
	if err != nil || results < 0 {
		return 0, readAgain(unreadable(answer))
	}
	return results, nil
}

// withoutOffset is what of a page must differ from the page before.
func withoutOffset(page []byte) []byte {
	var decoded struct {
		Settlements json.RawMessage `json:"settlements"`
	}
	if json.Unmarshal(page, &decoded) != nil || len(decoded.Settlements) == 0 {
		return page
	}
	return decoded.Settlements
}

package world

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Plants is what a day's reports get wrong; the ledgers stay right. Entries name transactions.
type Plants struct {
	Missing   []string     `json:"missing,omitempty"`
	Extra     int          `json:"extra,omitempty"`
	AmountOff []OffPlanted `json:"amountOff,omitempty"`
	Duplicate []string     `json:"duplicate,omitempty"`
}

// OffPlanted is a row that is reported with another amount.
type OffPlanted struct {
	ID string `json:"id"`
	By string `json:"by"` // may be negative
}

// ClosedDay is a day whose batch was closed.
type ClosedDay struct {
	Date    string `json:"date"`
	Planted struct {
		Extra []string `json:"extra"` // transactions that nothing answers to
	} `json:"planted"`
}

// CloseDay closes the batch of a business date and makes its reports, or makes them anew: with what came since, and these plants alone.
func (w *World) CloseDay(ctx context.Context, date string, plants Plants) (ClosedDay, error) {
	var day ClosedDay
	err := w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/settle?date="+url.QueryEscape(date), "", plants, &day, http.StatusOK)
	return day, err
}

// Dispute is one action of a chargeback as the gateway's ledger has it.
type Dispute struct {
	Case      string          `json:"case"`
	Kind      string          `json:"kind"`
	Action    string          `json:"action"` // open, won or lost
	Reference string          `json:"reference"`
	Moved     decimal.Decimal `json:"moved"` // negative where it was taken; without the fee
	Fee       decimal.Decimal `json:"fee"`
	Currency  string          `json:"currency"`
	Day       string          `json:"day"` // whose reports show it
}

// OpenDispute has the cardholder's bank dispute an order's payment, which must be in a batch.
func (w *World) OpenDispute(ctx context.Context, order, fee string) (Dispute, error) {
	return w.dispute(ctx, map[string]string{"reference": order, "fee": fee})
}

// EndDispute has the bank decide a case: won or lost.
func (w *World) EndDispute(ctx context.Context, caseID, action string) (Dispute, error) {
	return w.dispute(ctx, map[string]string{"case": caseID, "action": action})
}

func (w *World) dispute(ctx context.Context, body map[string]string) (Dispute, error) {
	var dispute Dispute
	err := w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/chargebacks", "", body, &dispute, http.StatusCreated)
	return dispute, err
}

// Settled is what the gateway's ledger has of one day and currency.
type Settled struct {
	Transactions []Transaction // sales, captures, refunds and credits in the batches of the day
	Disputes     []Dispute     // actions that the day's reports show, requests for copies left out
}

// Settled reads a day from the gateway's ledger.
func (w *World) Settled(ctx context.Context, date, currency string) (Settled, error) {
	var ledger struct {
		Transactions []Transaction `json:"transactions"`
		Disputes     []Dispute     `json:"disputes"`
	}
	if err := w.want(ctx, http.MethodGet, w.Gateway+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return Settled{}, err
	}
	return Settled{
		Transactions: slices.DeleteFunc(ledger.Transactions, func(t Transaction) bool { return t.BatchDate != date || t.Currency != currency }),
		Disputes: slices.DeleteFunc(ledger.Disputes, func(d Dispute) bool {
			return d.Day != date || d.Currency != currency || d.Kind != "chargeback"
		}),
	}, nil
}

// Day is a settlement day as the API shows it.
type Day struct {
	State       string         `json:"state"`
	Why         string         `json:"why"`
	Rows        int            `json:"rows"`
	Differences int            `json:"differences"`
	States      map[string]int `json:"states"`
	Postings    []struct {
		Currency  string `json:"currency"`
		Sequence  int    `json:"sequence"`
		Reference string `json:"reference"`
		Number    string `json:"number"`
	} `json:"postings"`
}

// StartedDay tells which process settles a day.
type StartedDay struct {
	WorkflowID string `json:"workflowId"`
}

// Settle starts a settlement day as finance does.
func (w *World) Settle(ctx context.Context, date string, dryRun bool) (StartedDay, error) {
	var started StartedDay
	err := w.safely(ctx, http.MethodPost, w.day(date)+"/run", Finance, map[string]any{"dryRun": dryRun}, &started, http.StatusAccepted)
	return started, err
}

func (w *World) day(date string) string { return w.API + "/v1/settlements/" + url.PathEscape(date) }

// Day reads a settlement day.
func (w *World) Day(ctx context.Context, date string) (Day, error) {
	var day Day
	err := w.safely(ctx, http.MethodGet, w.day(date), Finance, nil, &day, http.StatusOK)
	return day, err
}

// Discrepancy is a row of a day's discrepancy report.
type Discrepancy struct {
	State, OrderID, TransactionID, Reported, Expected string
}

// Discrepancies reads a day's discrepancy report.
func (w *World) Discrepancies(ctx context.Context, date string) ([]Discrepancy, error) {
	content, err := w.report(ctx, date, "csv")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, errors.Join(errors.New("the discrepancy report is no CSV with a line of names"), err)
	}
	column := func(row []string, name string) string {
		at := slices.Index(rows[0], name)
		if at < 0 {
			return ""
		}
		return row[at]
	}
	var list []Discrepancy
	for _, row := range rows[1:] {
		list = append(list, Discrepancy{
			State: column(row, "state"), OrderID: column(row, "order"), TransactionID: column(row, "transaction"),
			Reported: column(row, "reported"), Expected: column(row, "expected"),
		})
	}
	return list, nil
}

// Page reads the page of a day that finance reads.
func (w *World) Page(ctx context.Context, date string) (string, error) {
	content, err := w.report(ctx, date, "html")
	return string(content), err
}

func (w *World) report(ctx context.Context, date, format string) ([]byte, error) {
	answer, err := w.Call(ctx, http.MethodGet, w.day(date)+"/discrepancies?format="+format, Finance, nil)
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("the discrepancy report was answered %d: %s", answer.Status, bytes.TrimSpace(answer.Body))
	}
	return answer.Body, err
}

// ParkedOf are the open parked items of a process.
func (w *World) ParkedOf(ctx context.Context, workflowID string) ([]ParkedItem, error) {
	items, err := w.attention(ctx, "limit=500")
	return slices.DeleteFunc(items, func(item ParkedItem) bool { return item.WorkflowID != workflowID }), err
}

// GLPosting is an entry in the ERP's general ledger: debits positive, credits negative.
type GLPosting struct {
	Module    string
	Date      string
	Currency  string
	Reference string
	Lines     []struct {
		AccountCode string
		Amount      decimal.Decimal
	}
}

// Postings are the entries of the ERP's general ledger.
func (w *World) Postings(ctx context.Context) ([]GLPosting, error) {
	var ledger struct {
		Postings []GLPosting `json:"postings"`
	}
	err := w.want(ctx, http.MethodGet, w.ERP.URL+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK)
	return ledger.Postings, err
}

// Journals are the entries whose reference starts in a way: CYB and the date for a settlement day.
func (w *World) Journals(ctx context.Context, start string) ([]GLPosting, error) {
	all, err := w.Postings(ctx)
	return slices.DeleteFunc(all, func(p GLPosting) bool { return p.Module != "GL" || !strings.HasPrefix(p.Reference, start) }), err
}

// ByAccount sums entries by account, debits positive; accounts that are even are left out.
func ByAccount(postings []GLPosting, currency string) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for _, p := range postings {
		for _, line := range p.Lines {
			if p.Currency == currency {
				sums[line.AccountCode] = sums[line.AccountCode].Add(line.Amount)
			}
		}
	}
	for account, sum := range sums {
		if sum.IsZero() {
			delete(sums, account)
		}
	}
	return sums
}

// Chargeback is a dispute as the API shows it.
type Chargeback struct {
	CaseID  string `json:"caseId"`
	OrderID string `json:"orderId"`
	State   string `json:"state"` // open, won or lost
}

// Chargeback reads a dispute.
func (w *World) Chargeback(ctx context.Context, caseID string) (Chargeback, error) {
	var chargeback Chargeback
	err := w.safely(ctx, http.MethodGet, w.API+"/v1/chargebacks/"+url.PathEscape(caseID), Finance, nil, &chargeback, http.StatusOK)
	return chargeback, err
}

// Parcel is what the ERP's clerk sends. Without lines it is all that is left.
type Parcel struct {
	OrderNumber    string
	Carrier        string
	TrackingNumber string
	Lines          []ParcelLine `json:",omitempty"`
	Invoice        bool
}

// ParcelLine is a quantity of one line of the sales order, counted from 1.
type ParcelLine struct {
	SalesOrderLine int
	Quantity       json.Number
}

// Ship has the ERP's clerk send a parcel and gives its number.
func (w *World) Ship(ctx context.Context, parcel Parcel) (string, error) {
	var made struct{ ShipmentNumber string }
	err := w.want(ctx, http.MethodPost, w.ERP.URL+"/_sandbox/shipments", "", parcel, &made, http.StatusOK, http.StatusCreated)
	return strings.TrimSpace(made.ShipmentNumber), err
}

// CreditMemo has the ERP's clerk credit an order, for which the buyer is owed the amount; "" is all of it.
func (w *World) CreditMemo(ctx context.Context, order, amount string) (string, error) {
	body := map[string]any{"OrderNumber": order}
	if amount != "" {
		body["Amount"] = json.Number(amount)
	}
	var made struct{ CreditMemoNumber string }
	err := w.want(ctx, http.MethodPost, w.ERP.URL+"/_sandbox/credit-memos", "", body, &made, http.StatusOK, http.StatusCreated)
	return strings.TrimSpace(made.CreditMemoNumber), err
}

// Parcels are what the shop was told of the parcels of an order: their tracking numbers, in order.
func (w *World) Parcels(ctx context.Context, order string) ([]string, error) {
	var ledger struct {
		Callbacks []struct {
			Event    string          `json:"event"`
			OrderID  string          `json:"orderId"`
			Verified bool            `json:"verified"`
			Body     json.RawMessage `json:"body"`
			At       time.Time       `json:"at"`
		} `json:"callbacks"`
	}
	if err := w.want(ctx, http.MethodGet, w.Shop+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return nil, err
	}
	var numbers []string
	for _, callback := range ledger.Callbacks {
		if callback.OrderID != order || callback.Event != "order.shipped" || !callback.Verified {
			continue
		}
		var body struct {
			Data struct {
				Shipment struct {
					Tracking string `json:"tracking"`
				} `json:"shipment"`
			} `json:"data"`
		}
		if err := json.Unmarshal(callback.Body, &body); err != nil {
			return nil, fmt.Errorf("read what the shop was told of order %s: %w", order, err)
		}
		numbers = append(numbers, body.Data.Shipment.Tracking)
	}
	return numbers, nil
}

package settlement

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// State is what matching says of a row or an operation.
type State string

// The states. Matched rows are counted only; all others are differences.
const (
	Matched          State = "matched"
	AmountDiffers    State = "amount_differs"
	CurrencyDiffers  State = "currency_differs"
	DirectionDiffers State = "direction_differs" // the row goes the other way than its operation
	UnknownRow       State = "unknown_row"       // no operation of the journal
	Duplicate        State = "duplicate"         // the same request again, in this day or after another day took it
	Late             State = "late"              // right, but its operation was due on an earlier day
	MissingRow       State = "missing_row"       // an operation that its due report does not show
	TotalDiffers     State = "total_differs"     // the gateway's own total is not that of the rows
)

// Difference is one thing that is not as the journal has it. It holds opaque references only.
type Difference struct {
	State         State                        `json:"state"`
	Category      canonical.SettlementCategory `json:"category"`
	Reported      canonical.Money              `json:"reported"` // of the row; without currency where there is none
	Expected      canonical.Money              `json:"expected"` // of the operation; without currency where there is none
	OrderID       string                       `json:"orderId,omitempty"`
	Operation     string                       `json:"operation,omitempty"` // key
	TransactionID string                       `json:"transactionId,omitempty"`
	Reference     string                       `json:"reference,omitempty"`
	BatchID       string                       `json:"batchId,omitempty"`
	Report        report.Kind                  `json:"report,omitempty"`
	Line          int                          `json:"line,omitempty"`
	DueOn         string                       `json:"dueOn,omitempty"`     // when the operation should have been reported
	SettledOn     string                       `json:"settledOn,omitempty"` // the day that took the row before
	Counts        [2]int                       `json:"counts,omitzero"`     // of a total: rows reported, rows stated
}

// Currency of the difference: that of the row where there is one.
func (d *Difference) Currency() string {
	if d.Reported.Currency != "" {
		return d.Reported.Currency
	}
	return d.Expected.Currency
}

// Amount is the money that is there beyond what the journal knows, negative where some lacks: reported less expected; all of a row whose
// operation is in another currency or goes the other way; nothing of a row that is not taken, or only late.
func (d *Difference) Amount() decimal.Decimal {
	difference := d.Reported.Amount
	switch d.State {
	case Duplicate, Late:
		return decimal.Zero
	case CurrencyDiffers, DirectionDiffers:
	default:
		difference = difference.Sub(d.Expected.Amount)
	}
	if WayOf(d.Category) == Expense {
		return difference.Neg()
	}
	return difference
}

// Cause is the likely cause, for a person.
func (d *Difference) Cause() string {
	switch d.State {
	case AmountDiffers:
		return "The gateway settled another amount than was asked for: a partial settlement, a change by hand in the Business Center, or a tip or shipping adjustment."
	case CurrencyDiffers:
		return "The gateway settled in another currency: conversion at the point of sale, or a merchant account of another currency."
	case DirectionDiffers:
		return "The row takes money where the operation gives it, or the other way round: an operation done by hand under the same id."
	case UnknownRow:
		if d.Reference == "" {
			return "No operation has this transaction, and the row has no reference: a sale or refund made outside of Tenderline."
		}
		return "No operation has this transaction, nor this reference and amount: made outside of Tenderline (Business Center, terminal), by another deployment, or an outcome that never came back."
	case Duplicate:
		if d.SettledOn != "" {
			return fmt.Sprintf("The day %s already took this row: the report was delivered again, or overlaps with that day's.", d.SettledOn)
		}
		return "The report shows the same request more than once."
	case Late:
		return fmt.Sprintf("It was due on %s: the batch was closed late, or the acquirer held the transaction back.", d.DueOn)
	case MissingRow:
		if d.SettledOn != "" {
			return "An earlier delivery of this day's report showed it, this one does not: it was made anew without the row, or is not complete."
		}
		return fmt.Sprintf("The report of %s should show it: not batched yet, refused by the processor after the capture, or the report is not complete.", d.DueOn)
	case TotalDiffers:
		return "The gateway's own total of the day is not that of the rows: the report is not complete, or shows rows twice."
	default:
		return ""
	}
}

// Advice is what to do, for a person.
func (d *Difference) Advice() string {
	switch d.State {
	case AmountDiffers:
		return "Compare the transaction in the Business Center with the order. Refund or charge the difference, or correct the receipt, then clear the suspense account."
	case CurrencyDiffers:
		return "Find the rate in the acquirer's statement, post the difference to the exchange account and clear the suspense account."
	case DirectionDiffers:
		return "Look the transaction up in the Business Center and post what really happened by hand."
	case UnknownRow:
		return "Look the transaction up in the Business Center. If it belongs to an order, attach it; if not, refund it or book it, then clear the suspense account."
	case Duplicate:
		return "Nothing is posted for it. If the deposit holds it twice, ask the acquirer to return it."
	case Late:
		return "Nothing to do: it is posted with this day."
	case MissingRow:
		if d.SettledOn != "" {
			return "Fetch the report again. If the row stays away, ask the gateway's support what became of the transaction, then clear the suspense account."
		}
		return "Wait for the next report. If it is still missing then, look the transaction up and capture again, or ask the processor why it was not settled."
	case TotalDiffers:
		return "Fetch the report again. If it stays, ask the gateway's support for the batch."
	default:
		return ""
	}
}

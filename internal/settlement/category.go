package settlement

import (
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// Categories beyond those of the canonical model. Amounts of settlement lines are never negative, so what can go both ways has two.
const (
	Void             canonical.SettlementCategory = "void"      // a transaction that was taken back before it settled
	Unsettled        canonical.SettlementCategory = "unsettled" // a row whose status says that no money moved
	Retrieval        canonical.SettlementCategory = "retrieval" // a request for documents
	FeeInterchange   canonical.SettlementCategory = "fee_interchange"
	FeeDiscount      canonical.SettlementCategory = "fee_discount"
	FeeAssessment    canonical.SettlementCategory = "fee_assessment"
	FeePerItem       canonical.SettlementCategory = "fee_per_item"
	FeeService       canonical.SettlementCategory = "fee_service"
	FeeReversal      canonical.SettlementCategory = "fee_reversal"      // a fee that is given back
	FeeWithheld      canonical.SettlementCategory = "fee_withheld"      // fees that an AP invoice books: they only leave the clearing of fees
	FeeReturned      canonical.SettlementCategory = "fee_returned"      // the other way
	AdjustmentCredit canonical.SettlementCategory = "adjustment_credit" // an adjustment in the merchant's favour
	DepositDebit     canonical.SettlementCategory = "deposit_debit"     // the acquirer took money from the bank account
	Other            canonical.SettlementCategory = "other"             // money out of a kind that is not known
	OtherCredit      canonical.SettlementCategory = "other_credit"      // money in
	Rounding         canonical.SettlementCategory = "rounding"          // differences within the tolerance, to the merchant's cost
	RoundingCredit   canonical.SettlementCategory = "rounding_credit"   // in the merchant's favour
	Suspense         canonical.SettlementCategory = "suspense"          // differences that nobody has explained yet: less money than booked
	SuspenseCredit   canonical.SettlementCategory = "suspense_credit"   // more money than booked
	FX               canonical.SettlementCategory = "fx"                // a loss by exchange rates
	FXCredit         canonical.SettlementCategory = "fx_credit"         // a gain
)

// Way says which way a category moves the merchant's money.
type Way int

// The ways. Elsewhere is money that left the acquirer for the bank: it is no part of the day's net.
const (
	Nowhere   Way = 0
	Income    Way = 1
	Expense   Way = -1
	Elsewhere Way = 2
)

// ways holds every category that is known.
var ways = map[canonical.SettlementCategory]Way{
	canonical.SettlementSale: Income, canonical.SettlementRefund: Expense, canonical.SettlementFee: Expense, canonical.SettlementChargeback: Expense,
	canonical.SettlementChargebackReversal: Income, canonical.SettlementChargebackFee: Expense, canonical.SettlementAdjustment: Expense,
	canonical.SettlementDeposit: Elsewhere, DepositDebit: Elsewhere, Void: Nowhere, Unsettled: Nowhere, Retrieval: Nowhere,
	FeeInterchange: Expense, FeeDiscount: Expense, FeeAssessment: Expense, FeePerItem: Expense, FeeService: Expense, FeeReversal: Income,
	FeeWithheld: Expense, FeeReturned: Income, AdjustmentCredit: Income, Other: Expense, OtherCredit: Income, Rounding: Expense, RoundingCredit: Income,
	Suspense: Expense, SuspenseCredit: Income, FX: Expense, FXCredit: Income,
}

// WayOf tells which way a category moves the merchant's money; an unknown one nowhere.
func WayOf(c canonical.SettlementCategory) Way { return ways[c] }

// Categorize says what a row is as a whole. Entries tells of its parts.
func Categorize(row *report.Row) canonical.SettlementCategory {
	switch row.Type {
	case report.Transaction:
		return transactionCategory(row)
	case report.FeeCharge:
		if row.Direction == report.In {
			return FeeReversal
		}
		return canonical.SettlementFee
	case report.Dispute:
		switch {
		case row.Direction == report.In:
			return canonical.SettlementChargebackReversal
		case row.Direction == report.Out:
			return canonical.SettlementChargeback
		case row.Case != nil && row.Case.Retrieval:
			return Retrieval
		default:
			return Unsettled
		}
	case report.Deposit:
		switch row.Direction {
		case report.In:
			return canonical.SettlementDeposit
		case report.Out:
			return DepositDebit
		default:
			return Unsettled
		}
	default:
		return Unsettled
	}
}

func transactionCategory(row *report.Row) canonical.SettlementCategory {
	switch row.Direction { //nolint:exhaustive // what moves no money follows
	case report.In:
		if row.Applications != 0 && !row.Applications.Has(report.Bill) {
			return OtherCredit
		}
		return canonical.SettlementSale
	case report.Out:
		if row.Applications != 0 && !row.Applications.Has(report.Credit) {
			return Other // a capture of a negative amount
		}
		return canonical.SettlementRefund
	}
	if row.Applications.Has(report.Void) {
		return Void
	}
	return Unsettled
}

// entry is one amount of a row, in minor units, with its category.
type entry struct {
	category canonical.SettlementCategory
	money    canonical.Money
}

// feeCategories are the kinds of fees.
var feeCategories = map[report.FeeKind]canonical.SettlementCategory{
	report.FeeInterchange: FeeInterchange, report.FeeDiscount: FeeDiscount, report.FeeAssessment: FeeAssessment, report.FeePerItem: FeePerItem, report.FeeService: FeeService,
}

// entries parts a row that is no transaction into its amounts: a dispute has its own fee and adjustment, a fee its kinds where they are
// wanted and add up to the total, a payout what was withheld from it where fees come from there.
func entries(row *report.Row, feeKinds, feesFromFunds bool) []entry {
	all := []entry{{Categorize(row), row.Amount}}
	switch {
	case row.Type == report.FeeCharge && feeKinds && row.Fee != nil:
		if parts := feeEntries(row); parts != nil {
			return parts
		}
	case row.Type == report.Dispute && row.Case != nil:
		if fee := row.Case.Fee; !fee.IsZero() {
			all = append(all, sided(fee, canonical.SettlementChargebackFee, FeeReversal))
		}
		if adjustment := row.Case.Adjustment; !adjustment.IsZero() {
			all = append(all, sided(negated(adjustment), canonical.SettlementAdjustment, AdjustmentCredit))
		}
	case row.Type == report.Deposit && row.Funds != nil && feesFromFunds && row.Direction != report.Neither:
		if fee := row.Funds.Fee; !fee.IsZero() {
			all = append(all, sided(fee, canonical.SettlementFee, FeeReversal))
		}
		if adjustment := row.Funds.Adjustment; !adjustment.IsZero() {
			all = append(all, sided(negated(adjustment), canonical.SettlementAdjustment, AdjustmentCredit))
		}
	}
	return all
}

// feeEntries gives a fee by its kinds; nil where they do not add up to what was charged.
func feeEntries(row *report.Row) []entry {
	sum := canonical.Money{Currency: row.Amount.Currency}
	parts := make([]entry, 0, len(row.Fee.Parts))
	for _, part := range row.Fee.Parts {
		sum.Amount = sum.Amount.Add(part.Amount.Amount)
		parts = append(parts, sided(part.Amount, feeCategories[part.Kind], FeeReversal))
	}
	if row.Direction == report.In {
		sum = negated(sum)
	}
	if !sum.Equal(row.Amount) || len(parts) == 0 {
		return nil
	}
	return parts
}

func negated(m canonical.Money) canonical.Money {
	return canonical.Money{Amount: m.Amount.Neg(), Currency: m.Currency}
}

// sided gives an amount its category by its sign.
func sided(m canonical.Money, positive, negative canonical.SettlementCategory) entry {
	if m.Amount.IsNegative() {
		return entry{negative, negated(m)}
	}
	return entry{positive, m}
}

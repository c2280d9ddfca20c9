package canonical

import "github.com/shopspring/decimal"

// Settlement is what one merchant's reports say of one business date, in one currency.
type Settlement struct {
	MerchantID string           `json:"merchantId" expr:"merchantId"`
	Date       string           `json:"date" expr:"date"` // settlement (batch) date, YYYY-MM-DD
	Currency   string           `json:"currency" expr:"currency"`
	BatchID    string           `json:"batchId,omitempty" expr:"batchId"`
	Lines      []SettlementLine `json:"lines" expr:"lines"`
}

// SettlementLine is one categorized row of a settlement; Amount is never negative, its Category says which way it went.
type SettlementLine struct {
	Category      SettlementCategory `json:"category" expr:"category"`
	Amount        decimal.Decimal    `json:"amount" expr:"amount"`
	TransactionID string             `json:"transactionId,omitempty" expr:"transactionId"`
	OrderID       string             `json:"orderId,omitempty" expr:"orderId"`
	CardType      string             `json:"cardType,omitempty" expr:"cardType"`
	Keys          map[string]string  `json:"keys,omitempty" expr:"keys"` // of an aggregated line: the values it is kept apart by, such as "merchantDefinedData.2"
}

// SettlementCategory says what a settlement row is.
type SettlementCategory string

// The categories of settlement rows.
const (
	SettlementSale               SettlementCategory = "sale"
	SettlementRefund             SettlementCategory = "refund"
	SettlementFee                SettlementCategory = "fee"
	SettlementChargeback         SettlementCategory = "chargeback"
	SettlementChargebackReversal SettlementCategory = "chargeback_reversal"
	SettlementChargebackFee      SettlementCategory = "chargeback_fee"
	SettlementAdjustment         SettlementCategory = "adjustment"
	SettlementDeposit            SettlementCategory = "deposit"
)

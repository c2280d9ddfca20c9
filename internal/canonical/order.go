package canonical

import (
	"time"

	"github.com/shopspring/decimal"
)

// Order is a shop's checkout as it is posted to POST /v1/orders. Amounts are in Currency.
type Order struct {
	OrderID             string            `json:"orderId" expr:"orderId"`
	Channel             string            `json:"channel" expr:"channel"`
	PlacedAt            time.Time         `json:"placedAt" expr:"placedAt"`
	Currency            string            `json:"currency" expr:"currency"`
	CustomerPONumber    string            `json:"customerPoNumber,omitempty" expr:"customerPoNumber"`
	Customer            Customer          `json:"customer" expr:"customer"`
	BillTo              Address           `json:"billTo" expr:"billTo"`
	ShipTo              Address           `json:"shipTo" expr:"shipTo"`
	Lines               []LineItem        `json:"lines" expr:"lines"`
	Shipping            decimal.Decimal   `json:"shipping" expr:"shipping"`
	Discount            decimal.Decimal   `json:"discount" expr:"discount"`
	Total               decimal.Decimal   `json:"total" expr:"total"`
	Payment             PaymentMethod     `json:"payment" expr:"payment"`
	Device              Device            `json:"device" expr:"device"`
	MerchantDefinedData map[string]string `json:"merchantDefinedData,omitempty" expr:"merchantDefinedData"` // field number "1".."100" to value
	Custom              map[string]string `json:"custom,omitempty" expr:"custom"`                           // free fields of shop or CRM, for mappings
}

// Customer is the buyer. ErpCode is set where the shop knows the ERP's customer code.
type Customer struct {
	ID        string `json:"id" expr:"id"`
	ErpCode   string `json:"erpCode,omitempty" expr:"erpCode"`
	Company   string `json:"company,omitempty" expr:"company"`
	Email     string `json:"email" expr:"email"`
	FirstName string `json:"firstName" expr:"firstName"`
	LastName  string `json:"lastName" expr:"lastName"`
	Phone     string `json:"phone,omitempty" expr:"phone"`
}

// Address is a postal address: Region is the ISO 3166-2 subdivision without its country ("CA"), Country ISO 3166-1 alpha-2.
type Address struct {
	Name       string `json:"name" expr:"name"`
	Line1      string `json:"line1" expr:"line1"`
	Line2      string `json:"line2,omitempty" expr:"line2"`
	City       string `json:"city" expr:"city"`
	Region     string `json:"region,omitempty" expr:"region"`
	PostalCode string `json:"postalCode,omitempty" expr:"postalCode"`
	Country    string `json:"country" expr:"country"`
}

// LineItem is one order line. UnitPrice is net of tax; Discount and Tax are amounts for the whole line.
type LineItem struct {
	SKU         string          `json:"sku" expr:"sku"`
	Description string          `json:"description" expr:"description"`
	Quantity    decimal.Decimal `json:"quantity" expr:"quantity"`
	UnitPrice   decimal.Decimal `json:"unitPrice" expr:"unitPrice"`
	Discount    decimal.Decimal `json:"discount" expr:"discount"`
	Tax         decimal.Decimal `json:"tax" expr:"tax"`
}

// PaymentMethod is how the order is paid: a token, never a card number.
type PaymentMethod struct {
	Token    Token         `json:"token" expr:"token"`
	Capture  CapturePolicy `json:"capture" expr:"capture"`
	SaveCard bool          `json:"saveCard,omitempty" expr:"saveCard"`
}

// Token stands for a card at the gateway.
type Token struct {
	Type  TokenType `json:"type" expr:"type"`
	Value string    `json:"value" expr:"value"`
}

// TokenType says which of the gateway's tokens a Token is.
type TokenType string

// The token types of the order document.
const (
	TokenTransient            TokenType = "transient"            // Microform or Unified Checkout JWT, lives 15 minutes
	TokenCustomer             TokenType = "customer"             // TMS customer, its default instrument
	TokenPaymentInstrument    TokenType = "paymentInstrument"    // TMS payment instrument
	TokenInstrumentIdentifier TokenType = "instrumentIdentifier" // TMS instrument identifier
)

// CapturePolicy says when an authorized payment is captured.
type CapturePolicy string

// The capture policies of the order document.
const (
	CaptureImmediate          CapturePolicy = "immediate"           // authorization and capture in one request where policy allows
	CaptureAfterAuthorization CapturePolicy = "after_authorization" // two requests
	CaptureOnShipment         CapturePolicy = "on_shipment"         // per shipment
)

// Device is what the browser told about itself, for Decision Manager.
type Device struct {
	IPAddress            string `json:"ipAddress,omitempty" expr:"ipAddress"`
	FingerprintSessionID string `json:"fingerprintSessionId,omitempty" expr:"fingerprintSessionId"`
	UserAgent            string `json:"userAgent,omitempty" expr:"userAgent"`
}

// Money pairs an amount of this order with the order's currency.
func (o Order) Money(amount decimal.Decimal) Money { return NewMoney(amount, o.Currency) }

// Extended is quantity times unit price, rounded to the currency's minor units, before discount and tax.
func (l LineItem) Extended(currency string) decimal.Decimal {
	return RoundAmount(l.Quantity.Mul(l.UnitPrice), currency)
}

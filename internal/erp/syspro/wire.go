package syspro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// wireAnswer is the body of a success. Field names are matched without regard to case, unknown ones are ignored.
type wireAnswer interface {
	decode(body []byte) error
}

// answer is what every success carries.
type answer struct {
	Status string
}

func (a *answer) decode(body []byte) error { return decodeAnswer(body, a, a) }

// decodeAnswer reads one JSON object into into, whose envelope common is. A body that says Error under a 2xx status is no success.
func decodeAnswer(body []byte, into any, common *answer) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		if len(trimmed) == 0 {
			return fmt.Errorf("read answer: %w", io.ErrUnexpectedEOF)
		}
		if !json.Valid(body) {
			return errNoFacade
		}
		return errors.New("read answer: no JSON object")
	}
	if err := json.Unmarshal(body, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset >= int64(len(body)) {
			return fmt.Errorf("read answer: %w", io.ErrUnexpectedEOF)
		}
		return errors.New("read answer: not the agreed shape") // the decoder's own text quotes the body
	}
	if common.Status != "" && !strings.EqualFold(common.Status, "Success") {
		return errors.New("read answer: status is not Success")
	}
	return nil
}

func isBrokenOff(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

// errNoFacade: what answered was not the facade, but a proxy in front of it, say.
var errNoFacade = errors.New("read answer: not JSON")

// number is a decimal as the facade writes it: a JSON number or a string, "" and null for none.
type number struct {
	decimal.Decimal
	Set bool
}

// plainNumber leaves out exponents: a few bytes of "1e999999999" make a decimal that no sum can hold.
var plainNumber = regexp.MustCompile(`^[+-]?(\d{1,24})(\.\d{1,18})?$`)

func (n *number) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(strings.Trim(string(data), `"`))
	if text == "" || text == "null" {
		*n = number{}
		return nil
	}
	if !plainNumber.MatchString(text) {
		return errors.New("not a plain decimal")
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		return errors.New("not a plain decimal")
	}
	*n = number{Decimal: value, Set: true}
	return nil
}

// money writes an amount as a JSON number with its currency's minor units. One with more digits goes out as it is, for the ERP to refuse:
// a rounded amount would be another one.
func money(amount decimal.Decimal, currency string) json.Number {
	if !canonical.RoundAmount(amount, currency).Equal(amount) {
		return json.Number(amount.String())
	}
	return json.Number(canonical.FormatAmount(amount, currency))
}

// same tells whether an amount and currency that the ERP holds are the ones of a document. A currency the ERP does not tell, or an amount,
// proves nothing; what the document leaves to the ERP can't differ.
func same(held, wanted number, heldCurrency, wantedCurrency string) bool {
	return (!wanted.Set || (held.Set && held.Equal(wanted.Decimal))) &&
		(wantedCurrency == "" || strings.EqualFold(heldCurrency, wantedCurrency))
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// required fails for an answer that leaves out what names the document.
func required(name, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("read answer: %s is missing", name)
	}
	return nil
}

type wireCustomer struct {
	answer
	CustomerCode    string
	Currency        string
	CreditLimit     number
	CreditCheckFlag string
	CreditStatus    string
	OnHold          bool
	CurrentBalance  number
	OpenOrderValue  number
	AvailableCredit number
	TermsCode       string
}

func (w *wireCustomer) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return required("CustomerCode", w.CustomerCode)
}

type wireStock struct {
	answer
	Items []struct {
		StockCode  string
		Warehouses []struct {
			Warehouse    string
			AvailableQty number
		}
		TotalAvailable number
	}
}

func (w *wireStock) decode(body []byte) error { return decodeAnswer(body, w, &w.answer) }

type wireOrder struct {
	answer
	SalesOrder   string
	OrderNumber  string
	CustomerCode string
	OrderStatus  OrderStatus
	OnHold       bool
	OrderTotal   number
	Currency     string
	LastInvoice  string
	LineItems    []wireOrderLine
	CustomFields map[string]any

	HoldReason, CancelReasonCode string
	LastModified                 time.Time
}

type wireOrderLine struct {
	LineNumber          int
	SalesOrderLine      int
	StockCode           string
	Quantity            number
	QuantityAllocated   number
	QuantityBackOrdered number
	QuantityShipped     number
}

func (w *wireOrder) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return errors.Join(required("SalesOrder", w.SalesOrder), required("OrderStatus", string(w.OrderStatus)))
}

func (w *wireOrder) canonical() canonical.SalesOrder {
	order := canonical.SalesOrder{
		Number:       w.SalesOrder,
		OrderNumber:  w.OrderNumber,
		CustomerCode: w.CustomerCode,
		Status:       string(w.OrderStatus),
		OnHold:       w.OnHold || w.OrderStatus == StatusSuspense,
		Total:        w.OrderTotal.Decimal,
		Currency:     w.Currency,
		Invoice:      w.LastInvoice,
	}
	for _, line := range w.LineItems {
		order.Lines = append(order.Lines, canonical.SalesOrderLine{
			LineNumber: line.LineNumber, StockCode: line.StockCode, Quantity: line.Quantity.Decimal,
			Allocated: line.QuantityAllocated.Decimal, BackOrdered: line.QuantityBackOrdered.Decimal, Shipped: line.QuantityShipped.Decimal,
		})
	}
	for name, value := range w.CustomFields {
		if text, ok := value.(string); ok {
			if order.Custom == nil {
				order.Custom = map[string]string{}
			}
			order.Custom[name] = text
		}
	}
	return order
}

type wireUpdate struct {
	answer
	SalesOrder  string
	OrderStatus OrderStatus
}

func (w *wireUpdate) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return errors.Join(required("SalesOrder", w.SalesOrder), required("OrderStatus", string(w.OrderStatus)))
}

type wireInvoice struct {
	answer
	InvoiceNumber string
	SalesOrder    string
	CustomerCode  string
	InvoiceTotal  number
	Balance       number
	Currency      string
	InvoiceStatus string
}

func (w *wireInvoice) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return required("InvoiceNumber", w.InvoiceNumber)
}

func (w *wireInvoice) canonical() canonical.Invoice {
	return canonical.Invoice{Number: w.InvoiceNumber, SalesOrder: w.SalesOrder, Total: w.InvoiceTotal.Decimal,
		Balance: w.Balance.Decimal, Currency: w.Currency, Status: w.InvoiceStatus}
}

type wirePayment struct {
	answer
	PaymentReference string
	SourceReference  string
	PaymentType      string
	CustomerCode     string
	JournalNumber    string
	Amount           number
	Currency         string
	Reversed         bool
	Allocations      []struct {
		InvoiceNumber string
		Applied       number
		Amount        number
	}
	UnappliedAmount number
}

func (w *wirePayment) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return required("PaymentReference", w.PaymentReference)
}

func (w *wirePayment) canonical() canonical.Receipt {
	receipt := canonical.Receipt{Reference: w.PaymentReference, Journal: w.JournalNumber, Amount: w.Amount.Decimal, Currency: w.Currency}
	if len(w.Allocations) > 0 {
		receipt.Invoice = w.Allocations[0].InvoiceNumber
	}
	return receipt
}

type wireCreditMemo struct {
	answer
	CreditMemoNumber string
	JournalNumber    string
	CustomerCode     string
	OriginalInvoice  string
	Amount           number
	Currency         string
	Reference        string

	SalesOrder, OrderNumber, Reason     string
	OriginalTransactionID, RefundStatus string
	TaxAmount                           number
	LastModified                        time.Time
}

func (w *wireCreditMemo) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return required("CreditMemoNumber", w.CreditMemoNumber)
}

func (w *wireCreditMemo) canonical() canonical.CreditMemo {
	return canonical.CreditMemo{Number: w.CreditMemoNumber, Reference: w.Reference, Invoice: w.OriginalInvoice,
		Amount: w.Amount.Decimal, Currency: w.Currency}
}

type wireCreditMemos struct {
	answer
	CreditMemos []wireCreditMemo
	NextCursor  string
	HasMore     bool
}

func (w *wireCreditMemos) decode(body []byte) error { return decodeAnswer(body, w, &w.answer) }

type wireJournal struct {
	answer
	Reference     string
	JournalNumber string
	JournalDate   string
	GlYear        int
	GlPeriod      int
	Currency      string
	TotalDebit    number
	Lines         []wireJournalLine
}

type wireJournalLine struct {
	AccountCode string
	Debit       number
	Credit      number
}

func (w *wireJournal) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return errors.Join(required("Reference", w.Reference), required("JournalNumber", w.JournalNumber))
}

type wirePeriods struct {
	answer
	Modules []struct {
		Module        string
		CurrentYear   int
		CurrentPeriod int
		Open          []string // C current, P previous, B the one before
	}
}

func (w *wirePeriods) decode(body []byte) error { return decodeAnswer(body, w, &w.answer) }

type wireAPInvoice struct {
	answer
	SupplierCode  string
	InvoiceNumber string
	JournalNumber string
	InvoiceTotal  number
	Currency      string
}

func (w *wireAPInvoice) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	return errors.Join(required("SupplierCode", w.SupplierCode), required("InvoiceNumber", w.InvoiceNumber))
}

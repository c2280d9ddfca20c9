package syspro

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Error codes of the facade that are used in more than one place.
const (
	codeMalformed       = "MALFORMED_JSON"
	codeMissing         = "MISSING_FIELD"
	codeInvalid         = "INVALID_FIELD"
	codeTooLong         = "FIELD_TOO_LONG"
	codeDuplicate       = "DUPLICATE_REFERENCE"
	codeStatusConflict  = "STATUS_CONFLICT"
	codeBusinessRule    = "BUSINESS_RULE"
	codeOrderNotFound   = "ORDER_NOT_FOUND"
	codeCustomerUnknown = "CUSTOMER_NOT_FOUND"
	codeStockUnknown    = "STOCK_NOT_FOUND"
	codeInvoiceUnknown  = "INVOICE_NOT_FOUND"
	codePaymentUnknown  = "PAYMENT_NOT_FOUND"
	codeAccountUnknown  = "ACCOUNT_NOT_FOUND"
	codeCurrency        = "CURRENCY_MISMATCH"
	codeTotal           = "TOTAL_MISMATCH"
	codeInsufficient    = "INSUFFICIENT_STOCK"
	codeOverpaid        = "INVOICE_OVERPAID"
	codePeriodClosed    = "PERIOD_CLOSED"
	codeERPError        = "ERP_ERROR"
)

// fault is one entry of the error envelope.
type fault struct {
	Code           string `json:"Code"`
	Message        string `json:"Message"`
	Field          string `json:"Field,omitempty"`
	Value          string `json:"Value,omitempty"`
	ErpErrorNumber string `json:"ErpErrorNumber,omitempty"`
	BusinessObject string `json:"BusinessObject,omitempty"`
	CurrentYear    int    `json:"CurrentYear,omitempty"`
	CurrentPeriod  int    `json:"CurrentPeriod,omitempty"`
	OrderStatus    string `json:"OrderStatus,omitempty"`
}

// problem is a refused request. A nil *problem is success.
type problem struct {
	status     int
	faults     []fault
	existing   any // of a DUPLICATE_REFERENCE: what is there, in the shape of the success body
	retryAfter int // seconds
}

func refuse(status int, code, format string, args ...any) *problem {
	return &problem{status: status, faults: []fault{{Code: code, Message: fmt.Sprintf(format, args...)}}}
}

func unprocessable(code, format string, args ...any) *problem {
	return refuse(http.StatusUnprocessableEntity, code, format, args...)
}

func notFound(code, format string, args ...any) *problem {
	return refuse(http.StatusNotFound, code, format, args...)
}

func duplicate(existing any, format string, args ...any) *problem {
	p := refuse(http.StatusConflict, codeDuplicate, format, args...)
	p.existing = existing
	return p
}

// at names the field and its value. Values of fields that may hold a secret aren't given here.
func (p *problem) at(field, value string) *problem {
	p.faults[0].Field, p.faults[0].Value = field, value
	return p
}

// by names the business object that the facade would have called.
func (p *problem) by(object, number string) *problem {
	p.faults[0].BusinessObject, p.faults[0].ErpErrorNumber = object, number
	return p
}

// freeze encodes Existing, which points into the state, while the lock is held.
func (p *problem) freeze() *problem {
	if p.existing != nil {
		if raw, err := json.Marshal(p.existing); err == nil {
			p.existing = json.RawMessage(raw)
		}
	}
	return p
}

type errorBody struct {
	Status    string  `json:"Status"`
	RequestID string  `json:"RequestId"`
	Errors    []fault `json:"Errors"`
	Existing  any     `json:"Existing,omitempty"`
}

func (p *problem) write(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(w, p.status, errorBody{
		Status: "Error", RequestID: w.Header().Get(headerRequestID), Errors: p.faults, Existing: p.existing,
	})
}

// writeFault gives an injected error the facade's form.
func writeFault(w http.ResponseWriter, r *http.Request, status int, reason string) {
	if w.Header().Get(headerRequestID) == "" {
		w.Header().Set(headerRequestID, requestID(r))
	}
	if reason == "" {
		reason = codeERPError
	}
	p := refuse(status, reason, "injected by the sandbox")
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || reason == "REQUEST_IN_PROGRESS" {
		p.retryAfter = 1
	}
	p.write(w)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	writeRaw(w, status, body.Bytes())
}

func writeRaw(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell when the caller went
}

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// withRequestID echoes X-Request-Id, or makes one, and answers unknown routes in the facade's form.
func withRequestID(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerRequestID, requestID(r))
		if _, pattern := mux.Handler(r); pattern == "" {
			refuse(http.StatusNotFound, codeInvalid, "no such endpoint: %s %s", r.Method, r.URL.Path).write(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func requestID(r *http.Request) string {
	if id := r.Header.Get(headerRequestID); id != "" && len(id) <= maxRequestID && printable(id) {
		return id
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return false
		}
	}
	return true
}

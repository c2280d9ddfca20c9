package sagepro

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// The codes of faults, those of the other ERPs where they have the same meaning.
const (
	codeKeyReused        = "IDEMPOTENCY_KEY_REUSED" // the same key with another document
	codeDuplicate        = "DUPLICATE_REFERENCE"    // another document of the same name
	codeMalformed        = "MALFORMED_DOCUMENT"
	codeMissingField     = "MISSING_FIELD"
	codeInvalidField     = "INVALID_FIELD"
	codeTooLong          = "FIELD_TOO_LONG"
	codeTotal            = "TOTAL_MISMATCH"
	codeCurrency         = "CURRENCY_MISMATCH"
	codeCustomer         = "CUSTOMER_NOT_FOUND"
	codeStock            = "STOCK_NOT_FOUND"
	codeOrder            = "ORDER_NOT_FOUND"
	codeInvoice          = "INVOICE_NOT_FOUND"
	codeOnHold           = "CUSTOMER_ON_HOLD"
	codeCredit           = "CREDIT_LIMIT_EXCEEDED" //nolint:gosec // no credential
	codeInsufficient     = "INSUFFICIENT_STOCK"
	codePeriod           = "PERIOD_CLOSED"
	codeStatus           = "STATUS_CONFLICT"
	codeNotCancellable   = "ORDER_NOT_CANCELLABLE"
	codeAmbiguous        = "AMBIGUOUS_REFERENCE"
	codeLocked           = "RECORD_LOCKED" // a person has the record open, or another transaction has it
	codeDeadlock         = "DEADLOCK"
	codeBusy             = "ERP_BUSY" // period close, reindex, restore: it lasts
	codeLogin            = "LOGIN_REFUSED"
	codeSite             = "SITE_MISMATCH" // the database has not what names or mappings ask for
	codeRates            = "NO_RATES"      // the site keeps none
	codeNumbers          = "NO_FREE_NUMBER"
	codeCommitUnanswered = "COMMIT_UNANSWERED"
	codeDatabase         = "DATABASE_ERROR"
)

func (c *Client) refuse(kind fault.Kind, code, message string, fields ...fault.Field) *fault.Fault {
	return &fault.Fault{Kind: kind, System: c.config.Name, Code: code, Message: message, Fields: fields}
}

func (c *Client) bug(message string) *fault.Fault {
	return &fault.Fault{Kind: fault.Bug, System: c.config.Name, Message: message}
}

// notFound answers a look-up that found nothing.
func (c *Client) notFound(code, message string) *fault.Fault {
	return c.refuse(fault.NotFound, code, message)
}

// absent turns a look-up that found nothing into the refusal of the mutation that needed it.
func absent(err error) error {
	if f := fault.As(err); f != nil && f.Kind == fault.NotFound {
		refused := *f
		refused.Kind = fault.MissingReference
		return &refused
	}
	return err
}

// different refuses to adopt what merely has the same name.
func (c *Client) different(what string) *fault.Fault {
	return c.refuse(fault.Conflict, codeDuplicate, what)
}

// failed turns an error of a database, before anything was committed, into its fault. Faults pass.
func (c *Client) failed(err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	f := &fault.Fault{System: c.config.Name, Err: err}
	var lacks missingColumn
	if errors.As(err, &lacks) {
		c.site.Store(nil) // the next try sees what people have made since
		f.Kind, f.Code, f.Message = fault.MissingReference, codeSite, lacks.Error()
		return f
	}
	switch c.failure(err) {
	case failedConnection:
		f.Kind, f.Code, f.Message = fault.Connection, outbound.CodeNotSent, "the database can't be reached, or broke the work off; nothing was committed"
		switch {
		case errors.Is(err, context.Canceled):
			f.Code = outbound.CodeCancelled
		case errors.Is(err, context.DeadlineExceeded):
			f.Code = outbound.CodeTimeout
		}
	case failedLogin:
		f.Kind, f.Code, f.Message = fault.Credentials, codeLogin, "the database refuses the login, or the login lacks a right"
	case failedDeadlock:
		f.Kind, f.Code, f.Message = fault.Busy, codeDeadlock, "the database gave way to another transaction; nothing was committed"
	case failedLock:
		f.Kind, f.Code, f.Message = fault.Busy, codeLocked, "another transaction holds a row for too long; nothing was committed"
	case failedExclusive:
		f.Kind, f.Code = fault.Busy, codeBusy
		f.Message = "the ERP is in exclusive use, as at a period close or a reindex, or its database can't be opened by this login; nothing was committed"
		f.RetryAfter = c.config.BusyPause
	case failedUnique:
		f.Kind, f.Code, f.Message = fault.Busy, codeDuplicate, "somebody else has just made a row of the same key; nothing was committed"
	case failedValue:
		f.Kind, f.Code, f.Message = fault.Value, codeInvalidField, "the database refuses a value: "+c.said(err)
	case failedSchema:
		c.site.Store(nil)
		f.Kind, f.Code, f.Message = fault.MissingReference, codeSite, "the database has not what was asked for: "+c.said(err)
	case failedRule:
		f.Kind, f.Code, f.Message = fault.DeclinedByPolicy, codeRule, "a rule of the site says no: "+c.said(err)
	default:
		f.Kind, f.Code, f.Message = fault.Bug, codeDatabase, "the database answered what was not expected; nothing was committed"
	}
	return f
}

// failure classes an error by the dialect, then by what all drivers have in common.
func (c *Client) failure(err error) failure {
	if known := c.dialect.failure(err); known != failedOtherwise {
		return known
	}
	if brokenConnection(err) || errors.Is(err, sql.ErrTxDone) {
		return failedConnection
	}
	return failedOtherwise
}

// commitFailed tells what an error of COMMIT means: refused by the database, or its answer was lost and nobody knows.
func (c *Client) commitFailed(err error) error {
	if errors.Is(err, sql.ErrTxDone) { // the caller's time was up before COMMIT was sent, and database/sql rolled back
		return c.failed(err)
	}
	switch c.dialect.failure(err) {
	case failedDeadlock, failedLock, failedExclusive, failedUnique, failedValue, failedRule:
		return c.failed(err)
	default:
		f := c.refuse(fault.UnknownOutcome, codeCommitUnanswered, "the commit was sent, but its answer was lost")
		f.Err = err
		return f
	}
}

const maxText = 200

// namesValue fits the part of a database's sentence that repeats a value, which may be a person's.
var namesValue = regexp.MustCompile(`(?i)(\bvalue:?|\btype [a-z ]+:) ?['"(].*$`)

// said is the first line of the database's sentence, bounded, without values that it repeats.
func (c *Client) said(err error) string {
	sentence, _, _ := strings.Cut(c.dialect.said(err), "\n")
	sentence = namesValue.ReplaceAllString(sentence, "$1 …")
	if canonical.HoldsCardNumber(sentence) {
		return "…"
	}
	if runes := []rune(sentence); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return sentence
}

package cybersource

import (
	"bufio"
	"encoding/xml"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The definitions of reports that are made here.
const (
	classPaymentBatch = "PaymentBatchDetailClass"
	classFee          = "FeeDetailClass"
	classChargeback   = "ChargebackAndRetrievalDetailClass"
	classDeposit      = "DepositDetailClass"
	classFunding      = "FundingDetailClass"
)

const reportVersion = "1.10"

// table is one report definition: its columns, and how a day fills them.
type table interface {
	number() string
	standard() []string
	knows(field string) bool
	empty(v *dayView) bool
	write(w *bufio.Writer, sub *reportSubscription, v *dayView) error
}

// tables are all definitions. It is never written.
var tables = map[string]table{
	classPaymentBatch: &tableOf[reportRow]{id: "210", title: "PaymentBatchDetail", columns: batchColumns(), rows: (*dayView).lines},
	classFee:          &tableOf[reportRow]{id: "650", title: "FeeDetail", columns: feeColumns, rows: (*dayView).requests},
	classChargeback:   &tableOf[disputeEvent]{id: "640", title: "ChargebackAndRetrievalDetail", columns: disputeColumns, rows: (*dayView).disputeLines},
	classDeposit:      &tableOf[payout]{id: "652", title: "DepositDetail", columns: depositColumns, rows: (*dayView).payouts},
	classFunding:      &tableOf[payout]{id: "653", title: "FundingDetail", columns: fundingColumns, rows: (*dayView).payouts},
}

// columnOf is one field of a report. id is Group.Field; the column's name is the field alone, or the name of old.
type columnOf[R any] struct {
	id       string
	classic  string // "" is the field's name in snake case
	value    func(v *dayView, r *R) string
	optional bool // only where a subscription asks for it
}

type tableOf[R any] struct {
	id, title string
	columns   []columnOf[R]
	rows      func(*dayView) iter.Seq[R]
}

func (t *tableOf[R]) number() string { return t.id }

func (t *tableOf[R]) standard() []string {
	var ids []string
	for _, column := range t.columns {
		if !column.optional {
			ids = append(ids, column.id)
		}
	}
	return ids
}

func (t *tableOf[R]) knows(field string) bool { return t.column(field) != nil }

func (t *tableOf[R]) column(id string) *columnOf[R] {
	for i := range t.columns {
		if t.columns[i].id == id {
			return &t.columns[i]
		}
	}
	return nil
}

func (t *tableOf[R]) empty(v *dayView) bool {
	for range t.rows(v) {
		return false
	}
	return true
}

func (t *tableOf[R]) write(w *bufio.Writer, sub *reportSubscription, v *dayView) error {
	var columns []*columnOf[R]
	for _, id := range sub.fields() {
		if column := t.column(id); column != nil {
			columns = append(columns, column)
		}
	}
	if sub.MimeType == mimeXML {
		return t.writeXML(w, sub, v, columns)
	}
	return t.writeCSV(w, sub, v, columns)
}

// writeReport writes a whole file, or a file that ends within its last row.
func writeReport(w io.Writer, sub *reportSubscription, v *dayView) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := tables[sub.Definition].write(out, sub, v); err != nil {
		return err
	}
	return out.Flush()
}

// name is the column's heading.
func (c *columnOf[R]) name(sub *reportSubscription) string {
	_, field, _ := strings.Cut(c.id, ".")
	switch {
	case !sub.Classic && !sub.Snake:
		return field
	case c.classic != "":
		return c.classic
	default:
		return snakeOf(field)
	}
}

// snakeOf is RequestID as request_id.
func snakeOf(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		starts := unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if starts {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// writeCSV: a line about the file, which keeps its commas up to the column count, the names, and the rows.
func (t *tableOf[R]) writeCSV(w *bufio.Writer, sub *reportSubscription, v *dayView, columns []*columnOf[R]) error {
	about := []string{v.day.MerchantID, sub.Name, t.title, reportVersion, utc(v.start) + " to " + utc(v.end)}
	for len(about) < len(columns) {
		about = append(about, "")
	}
	values := make([]string, len(columns))
	for i, column := range columns {
		values[i] = column.name(sub)
	}
	var line []byte
	line = appendCSV(appendCSV(line, about), values)
	for row := range t.rows(v) {
		if _, err := w.Write(line); err != nil { // one behind, so that the last one is known
			return err
		}
		for i, column := range columns {
			values[i] = column.value(v, &row)
		}
		line = appendCSV(line[:0], values)
	}
	if v.day.Plants.Truncate {
		line = line[:len(line)/2]
	}
	_, err := w.Write(line)
	return err
}

func appendCSV(line []byte, values []string) []byte {
	for i, value := range values {
		if i > 0 {
			line = append(line, ',')
		}
		if strings.ContainsAny(value, ",\"\r\n") {
			value = `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
		}
		line = append(line, value...)
	}
	return append(line, '\r', '\n')
}

// writeXML: fields of the group Request are attributes of the row, every other group is an element of its own.
func (t *tableOf[R]) writeXML(w *bufio.Writer, sub *reportSubscription, v *dayView, columns []*columnOf[R]) error {
	x := &xmlWriter{w: w}
	x.raw(`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<!DOCTYPE Report SYSTEM "https://api.cybersource.com/reporting/v3/dtds/ctdr_1_10.dtd">` + "\n<Report")
	x.attribute("Name", sub.Name)
	x.attribute("Version", reportVersion)
	x.attribute("MerchantID", v.day.MerchantID)
	x.attribute("ReportStartDate", utc(v.start))
	x.attribute("ReportEndDate", utc(v.end))
	x.raw(">\n <Requests>\n")
	for row := range t.rows(v) {
		x.raw("  <Request")
		for _, column := range columns {
			if group, field, _ := strings.Cut(column.id, "."); group == "Request" {
				x.attribute(xmlAttribute(field), column.value(v, &row))
			}
		}
		x.raw(">")
		x.elements(groupsOf(columns, v, &row))
		x.raw("</Request>\n")
	}
	if !v.day.Plants.Truncate {
		x.raw(" </Requests>\n</Report>\n")
	}
	return x.err
}

// xmlAttribute: the time of a request has another name in XML.
func xmlAttribute(field string) string {
	if field == "TransactionDate" {
		return "RequestDate"
	}
	return field
}

// xmlField is one value below its group.
type xmlField struct{ group, name, value string }

func groupsOf[R any](columns []*columnOf[R], v *dayView, row *R) []xmlField {
	var fields []xmlField
	for _, column := range columns {
		group, field, _ := strings.Cut(column.id, ".")
		value := column.value(v, row)
		if group != "Request" && value != "" {
			fields = append(fields, xmlField{group, field, value})
		}
	}
	return fields
}

type xmlWriter struct {
	w   *bufio.Writer
	err error
}

func (x *xmlWriter) raw(text string) {
	if x.err == nil {
		_, x.err = x.w.WriteString(text)
	}
}

func (x *xmlWriter) text(text string) {
	if x.err == nil {
		x.err = xml.EscapeText(x.w, []byte(text))
	}
}

func (x *xmlWriter) attribute(name, value string) {
	x.raw(" " + name + `="`)
	x.text(value)
	x.raw(`"`)
}

func (x *xmlWriter) element(name, value string) {
	x.raw("<" + name + ">")
	x.text(value)
	x.raw("</" + name + ">")
}

// elements writes the groups in the order of their first field.
func (x *xmlWriter) elements(fields []xmlField) {
	var order []string
	members := map[string][]xmlField{}
	for _, field := range fields {
		if members[field.group] == nil {
			order = append(order, field.group)
		}
		members[field.group] = append(members[field.group], field)
	}
	for _, group := range order {
		switch group {
		case "Application":
			x.applications(members[group][0].value)
		case "PaymentMethod":
			x.raw("<PaymentMethod><Card>")
			x.members(members[group], "")
			x.raw("</Card></PaymentMethod>")
		case definedGroup:
			x.raw("<MerchantDefinedData>")
			x.members(members[group], "MerchantDefinedData")
			x.raw("</MerchantDefinedData>")
		default:
			x.raw("<" + group + ">")
			x.members(members[group], "")
			x.raw("</" + group + ">")
		}
	}
}

// members writes fields; those with the numbered prefix become field1, field2 ...
func (x *xmlWriter) members(fields []xmlField, numbered string) {
	for _, field := range fields {
		name := field.name
		if rest, found := strings.CutPrefix(name, numbered); found && numbered != "" {
			name = "field" + rest
		}
		x.element(name, field.value)
	}
}

func (x *xmlWriter) applications(names string) {
	x.raw("<ApplicationReplies>")
	for _, name := range strings.Split(names, ",") {
		x.raw("<ApplicationReply")
		x.attribute("Name", name)
		x.raw(">")
		x.element("RCode", "1")
		x.element("RFlag", "SOK")
		x.element("RMsg", messageOK)
		x.raw("</ApplicationReply>")
	}
	x.raw("</ApplicationReplies>")
}

const definedGroup = "Merchant-DefinedDataFields"

// classicBatchFields are the columns of the files of old, as recorded.
var classicBatchFields = []string{"Batch.BatchID", "Request.MerchantID", "Batch.BatchDate", "Request.RequestID", "Request.MerchantReferenceNumber",
	"PaymentData.TransactionReferenceNumber", "PaymentMethod.CardType", "PaymentData.CurrencyCode", "PaymentData.Amount", "Application.Name",
	"Batch.Status", "Request.TransactionDate"}

// xmlBatchFields are what the recorded XML shows.
var xmlBatchFields = []string{"Request.MerchantReferenceNumber", "Request.TransactionDate", "Request.RequestID", "Request.MerchantID", "Request.Source",
	"Request.User", "BillTo.FirstName", "BillTo.LastName", "PaymentMethod.AccountSuffix", "PaymentMethod.CardType", "PaymentMethod.ExpirationMonth",
	"PaymentMethod.ExpirationYear", "Application.Name", "PaymentData.PaymentRequestID", "PaymentData.PaymentProcessor", "PaymentData.Amount",
	"PaymentData.CurrencyCode", "PaymentData.AuthorizationCode", "PaymentData.TransactionReferenceNumber", "Batch.BatchID", "Batch.BatchDate", "Batch.Status"}

const shownDefined = 10

func batchColumns() []columnOf[reportRow] {
	columns := []columnOf[reportRow]{
		{id: "Batch.BatchID", value: func(_ *dayView, r *reportRow) string { return r.batchID }},
		{id: "Request.MerchantID", value: merchantOf[reportRow]},
		{id: "Batch.BatchDate", value: func(_ *dayView, r *reportRow) string { return utc(r.batchAt) }},
		{id: "Request.RequestID", value: func(_ *dayView, r *reportRow) string { return r.id }},
		{id: "Request.MerchantReferenceNumber", classic: "merchant_ref_number", value: func(_ *dayView, r *reportRow) string { return r.reference }},
		{id: "PaymentData.TransactionReferenceNumber", classic: "TransactionReferenceNumber", value: func(_ *dayView, r *reportRow) string { return r.reconciliation }},
		{id: "PaymentMethod.CardType", classic: "payment_type", value: func(_ *dayView, r *reportRow) string { return r.paymentName() }},
		{id: "PaymentData.CurrencyCode", classic: "currency", value: func(_ *dayView, r *reportRow) string { return r.currency }},
		{id: "PaymentData.Amount", value: func(_ *dayView, r *reportRow) string { return r.amount() }},
		{id: "Application.Name", classic: "ics_applications", value: func(_ *dayView, r *reportRow) string { return strings.Join(r.applications(), ",") }},
		{id: "Batch.Status", value: func(*dayView, *reportRow) string { return statusBatched }},
		{id: "Request.TransactionDate", value: func(_ *dayView, r *reportRow) string { return utc(r.at) }},
		{id: "PaymentData.PaymentRequestID", value: func(_ *dayView, r *reportRow) string { return r.authorization }},
		{id: "PaymentMethod.AccountSuffix", optional: true, value: func(_ *dayView, r *reportRow) string { return r.card.Suffix }},
		{id: "PaymentMethod.ExpirationMonth", optional: true, value: func(_ *dayView, r *reportRow) string { return r.card.ExpirationMonth }},
		{id: "PaymentMethod.ExpirationYear", optional: true, value: func(_ *dayView, r *reportRow) string { return r.card.ExpirationYear }},
		{id: "PaymentData.PaymentProcessor", optional: true, value: func(*dayView, *reportRow) string { return "vdcvantiv" }},
		{id: "PaymentData.AuthorizationCode", optional: true, value: func(*dayView, *reportRow) string { return "888888" }},
		{id: "Request.Source", optional: true, value: func(*dayView, *reportRow) string { return "REST API" }},
		{id: "Request.User", optional: true, value: merchantOf[reportRow]},
		{id: "BillTo.FirstName", optional: true, value: func(_ *dayView, r *reportRow) string { return r.info().BillTo.FirstName }},
		{id: "BillTo.LastName", optional: true, value: func(_ *dayView, r *reportRow) string { return r.info().BillTo.LastName }},
	}
	for number := 1; number <= 100; number++ {
		key := strconv.Itoa(number)
		columns = append(columns, columnOf[reportRow]{id: definedGroup + ".MerchantDefinedData" + key, optional: number > shownDefined,
			value: func(_ *dayView, r *reportRow) string { return r.defined(key) }})
	}
	return columns
}

func merchantOf[R any](v *dayView, _ *R) string { return v.day.MerchantID }

// info is what was sent with the payment; nothing of a payment that is not in the ledger.
func (r *reportRow) info() *transactionDetails {
	if r.details == nil {
		return &transactionDetails{}
	}
	return r.details
}

func (r *reportRow) defined(key string) string {
	for _, field := range r.info().MerchantDefined {
		if field.Key == key {
			return field.Value
		}
	}
	return ""
}

// feeUnits shows a part of a row's fee.
func feeUnits(part func(rowFee) int64) func(*dayView, *reportRow) string {
	return func(_ *dayView, r *reportRow) string { return formatUnits(part(r.fee()), r.currency) }
}

func rowCurrency(_ *dayView, r *reportRow) string { return r.currency }

// feeColumns is never written.
var feeColumns = []columnOf[reportRow]{
	{id: "Request.MerchantID", value: merchantOf[reportRow]},
	{id: "Request.RequestID", value: func(_ *dayView, r *reportRow) string { return r.id }},
	{id: "Request.MerchantReferenceNumber", value: func(_ *dayView, r *reportRow) string { return r.reference }},
	{id: "Fee.BillingType", value: func(*dayView, *reportRow) string { return "interchangePlus" }},
	{id: "Fee.BillingCycle", value: func(*dayView, *reportRow) string { return "daily" }},
	{id: "Fee.InterchangeAmount", value: feeUnits(func(f rowFee) int64 { return f.interchange })},
	{id: "Fee.InterchangeCurrency", value: rowCurrency},
	{id: "Fee.DiscountAmount", value: feeUnits(func(f rowFee) int64 { return f.discount })},
	{id: "Fee.DiscountCurrency", value: rowCurrency},
	{id: "Fee.AssessmentAmount", value: feeUnits(func(rowFee) int64 { return 0 })},
	{id: "Fee.AssessmentCurrency", value: rowCurrency},
	{id: "Fee.PerItemFeeAmount", value: feeUnits(rowFee.items)},
	{id: "Fee.PerItemFeeCurrency", value: rowCurrency},
	{id: "Fee.TotalFeeAmount", value: feeUnits(rowFee.total)},
	{id: "Fee.TotalFeeCurrency", value: rowCurrency},
	{id: "Fee.SettlementAmount", value: func(_ *dayView, r *reportRow) string { return formatUnits(r.units, r.currency) }},
	{id: "Fee.SettlementCurrency", value: rowCurrency},
	{id: "Fee.SettlementTime", value: func(_ *dayView, r *reportRow) string { return utc(r.batchAt) }},
	{id: "Fee.SettlementTimeZone", value: func(*dayView, *reportRow) string { return "GMT" }},
}

func (v *dayView) disputeLines() iter.Seq[disputeEvent] {
	return func(yield func(disputeEvent) bool) {
		for _, event := range v.disputes {
			if !yield(event) {
				return
			}
		}
	}
}

// nature is the kind of case in the reports' words.
func (e *disputeEvent) nature() string {
	switch {
	case e.Retrieval:
		return "Retrieval"
	case e.Action == disputeWon:
		return "Chargeback Reversal"
	default:
		return "Chargeback"
	}
}

// impact says whether and which way an action moves money.
func (e *disputeEvent) impact() (moves, kind string) {
	switch {
	case e.moved() == 0:
		return "N", "none"
	case e.Action == disputeWon:
		return "Y", "credit"
	default:
		return "Y", "debit"
	}
}

// resolvedTo is B (the bank) or M (the merchant) once the case has ended.
func (e *disputeEvent) resolvedTo() string {
	return map[string]string{disputeWon: "M", disputeLost: "B"}[e.Action]
}

// disputeColumns is never written.
var disputeColumns = []columnOf[disputeEvent]{
	{id: "Request.MerchantID", value: merchantOf[disputeEvent]},
	{id: "Request.RequestID", value: func(_ *dayView, e *disputeEvent) string { return e.TransactionID }},
	{id: "Request.MerchantReferenceNumber", value: func(_ *dayView, e *disputeEvent) string { return e.Reference }},
	{id: "ChargebackAndRetrieval.CaseNumber", value: func(_ *dayView, e *disputeEvent) string { return e.Case }},
	{id: "ChargebackAndRetrieval.CaseTime", value: func(_ *dayView, e *disputeEvent) string { return utc(e.OpenedAt) }},
	{id: "ChargebackAndRetrieval.CaseType", value: func(_ *dayView, e *disputeEvent) string { return e.nature() }},
	{id: "ChargebackAndRetrieval.TransactionType", value: func(_ *dayView, e *disputeEvent) string { return e.Action }},
	{id: "ChargebackAndRetrieval.ChargebackAmount", value: func(_ *dayView, e *disputeEvent) string { return formatUnits(e.Amount, e.Currency) }},
	{id: "ChargebackAndRetrieval.ChargebackCurrency", value: func(_ *dayView, e *disputeEvent) string { return e.Currency }},
	{id: "ChargebackAndRetrieval.ChargebackTime", value: func(_ *dayView, e *disputeEvent) string { return utc(e.At) }},
	{id: "ChargebackAndRetrieval.ChargebackReasonCode", value: func(_ *dayView, e *disputeEvent) string { return e.Reason }},
	{id: "ChargebackAndRetrieval.FinancialImpact", value: func(_ *dayView, e *disputeEvent) string { moves, _ := e.impact(); return moves }},
	{id: "ChargebackAndRetrieval.FinancialImpactType", value: func(_ *dayView, e *disputeEvent) string { _, kind := e.impact(); return kind }},
	{id: "ChargebackAndRetrieval.FeeAmount", value: func(_ *dayView, e *disputeEvent) string { return formatUnits(e.Fee, e.Currency) }},
	{id: "ChargebackAndRetrieval.FeeCurrency", value: func(_ *dayView, e *disputeEvent) string { return e.Currency }},
	{id: "ChargebackAndRetrieval.RespondByDate", value: func(_ *dayView, e *disputeEvent) string { return e.RespondBy.Format(time.DateOnly) }},
	{id: "ChargebackAndRetrieval.ResolvedToIndicator", value: func(_ *dayView, e *disputeEvent) string { return e.resolvedTo() }},
	{id: "ChargebackAndRetrieval.ResolutionTime", value: func(_ *dayView, e *disputeEvent) string {
		if e.resolvedTo() == "" {
			return ""
		}
		return utc(e.At)
	}},
}

// payout is the money of one day and currency on its way to the bank, or from it.
type payout struct {
	identifier, currency string
	units, fees          int64
	at                   time.Time
}

// payouts are the deposits that the day's reports show: one for each day and currency with any money.
func (v *dayView) payouts() iter.Seq[payout] {
	return func(yield func(payout) bool) {
		for _, day := range v.deposits {
			for _, one := range day.deposit() {
				one.at = v.end.Add(-time.Second)
				if !yield(one) {
					return
				}
			}
		}
	}
}

func (v *dayView) deposit() []payout {
	var list []payout
	sums := v.totals(false)
	for _, key := range sortedTotals(sums) {
		sum := sums[key]
		if sum.net() != 0 {
			list = append(list, payout{identifier: "DEP" + compactDate(v.day.Date) + key.currency, currency: key.currency, units: sum.net(), fees: sum.fees + sum.disputeFees})
		}
	}
	return list
}

func payoutUnits(_ *dayView, p *payout) string { return formatUnits(p.units, p.currency) }

// depositColumns is never written.
var depositColumns = []columnOf[payout]{
	{id: "Deposit.MerchantID", value: merchantOf[payout]},
	{id: "Deposit.Identifier", value: func(_ *dayView, p *payout) string { return p.identifier }},
	{id: "Deposit.Time", value: func(_ *dayView, p *payout) string { return utc(p.at) }},
	{id: "Deposit.Amount", value: payoutUnits},
	{id: "Deposit.Currency", value: func(_ *dayView, p *payout) string { return p.currency }},
	{id: "Deposit.Category", value: func(*dayView, *payout) string { return "Settlement" }},
	{id: "Deposit.Method", value: func(*dayView, *payout) string { return "ACH" }},
	{id: "Deposit.Status", value: func(*dayView, *payout) string { return "S" }},
	{id: "Deposit.Type", value: func(_ *dayView, p *payout) string {
		if p.units < 0 {
			return "Debit"
		}
		return "Credit"
	}},
	{id: "Deposit.MerchantBankAcctLast4", value: func(*dayView, *payout) string { return "6789" }},
	{id: "Deposit.MerchantBankName", value: func(*dayView, *payout) string { return "Demo Bank" }},
}

// fundingColumns is never written.
var fundingColumns = []columnOf[payout]{
	{id: "Request.MerchantID", value: merchantOf[payout]},
	{id: "Funding.FundingIdentificationNumber", value: func(_ *dayView, p *payout) string { return p.identifier }},
	{id: "Funding.FundingDate", value: func(_ *dayView, p *payout) string { return utc(p.at) }},
	{id: "Funding.FundingAmount", value: payoutUnits},
	{id: "Funding.FundingCurrency", value: func(_ *dayView, p *payout) string { return p.currency }},
	{id: "Funding.FeeAmount", value: func(_ *dayView, p *payout) string { return formatUnits(p.fees, p.currency) }},
	{id: "Funding.FeeCurrency", value: func(_ *dayView, p *payout) string { return p.currency }},
	{id: "Funding.FeeDescription", value: func(*dayView, *payout) string { return "Withheld from the day's settlement" }},
	{id: "Funding.Status", value: func(*dayView, *payout) string { return "S" }},
	{id: "Funding.FundingBankName", value: func(*dayView, *payout) string { return "Demo Bank" }},
	{id: "Funding.FundingAccountSuffix", value: func(*dayView, *payout) string { return "6789" }},
}

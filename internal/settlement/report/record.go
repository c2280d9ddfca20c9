package report

import (
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// record is what a row of any form says, before it is understood.
type record struct {
	line         int
	values       [numFields]string
	applications Applications // of XML, beside the field
	defined      []Defined
}

func (r *record) reset(line int) {
	r.values = [numFields]string{}
	r.next(line)
}

// next begins a record that sets the same values as the one before.
func (r *record) next(line int) {
	r.line, r.applications = line, 0
	r.defined = r.defined[:0]
}

// remembered is what the texts of the row before meant: batch dates and applications hardly change from row to row.
type remembered struct {
	batchText, applicationText string
	batch                      time.Time
	applications               Applications
}

// batchTime reads the time of a batch.
func (m *remembered) batchTime(text string) (time.Time, bool) {
	if text != m.batchText {
		at, ok := moment(text)
		if !ok {
			return time.Time{}, false
		}
		m.batchText, m.batch = strings.Clone(text), at
	}
	return m.batch, true
}

func (m *remembered) applicationsOf(text string) Applications {
	if text != m.applicationText {
		m.applicationText, m.applications = strings.Clone(text), applications(text)
	}
	return m.applications
}

// put takes a value in, unless it holds a card number. The first value of a field stands.
func (r *Reader) put(to resolved, value string) error {
	if strings.IndexByte(value, 0) >= 0 {
		return r.fail(RuleEncoding, titleOf(to))
	}
	if holdsCard(value) {
		if to.column == nil || !to.column.secret {
			return r.fail(RuleCardNumber, titleOf(to))
		}
		r.drift.Withheld[to.column.title]++
		return nil
	}
	switch {
	case value == "" || to.field == fieldNone || to.field == fieldIgnored:
	case to.field == fieldDefined:
		r.record.defined = append(r.record.defined, Defined{Key: to.key, Value: value})
	case r.record.values[to.field] == "":
		r.record.values[to.field] = value
	}
	return nil
}

func titleOf(to resolved) string {
	switch {
	case to.field == fieldDefined:
		return "MerchantDefinedData" + to.key
	case to.column == nil:
		return ""
	case to.column.title == "":
		return to.column.names[0]
	default:
		return to.column.title
	}
}

// build makes the row of the record.
func (r *Reader) build() (Row, error) {
	v := &r.record.values
	row := Row{
		Line: r.record.line, MerchantID: v[fieldMerchantID], RequestID: v[fieldRequestID], PaymentRequestID: v[fieldPaymentRequestID],
		Reference: v[fieldReference], TransactionReference: v[fieldTransactionReference], Status: v[fieldStatus], BatchID: v[fieldBatchID],
		PaymentType: v[fieldPaymentType], Defined: r.record.defined,
	}
	if row.CardType = cardType(v[fieldCardType]); row.CardType == "" {
		row.CardType = cardType(row.PaymentType)
	}
	row.TransactionTime = r.optionalTime(fieldTransactionTime, "TransactionDate")
	var err error
	switch r.kind {
	case PaymentBatches:
		err = r.transaction(&row)
	case PurchasesRefunds:
		if err = r.transaction(&row); err == nil && v[fieldFee] != "" {
			err = r.queueFee(row)
		}
	case Fees:
		err = r.fee(&row)
	case Chargebacks, ChargebackCases, RetrievalCases:
		err = r.dispute(&row)
	case Deposits, Fundings:
		err = r.funds(&row)
	case NetFundings:
		err = r.netFunding(&row)
	case BatchSummaries:
		err = r.batchSummary(&row)
	}
	return row, err
}

func (r *Reader) transaction(row *Row) error {
	row.Type = Transaction
	if row.RequestID == "" {
		return r.fail(RuleRequired, "RequestID")
	}
	if text := r.record.values[fieldBatchDate]; text != "" {
		at, ok := r.before.batchTime(text)
		if !ok {
			return r.fail(RuleTime, "BatchDate")
		}
		row.BatchDate = at
	}
	units, scale, err := r.amount(fieldAmount, fieldCurrency, "Amount")
	if err != nil {
		return err
	}
	row.Applications = r.record.applications | r.before.applicationsOf(r.record.values[fieldApplications])
	if row.Applications == 0 {
		row.Applications = applications(r.record.values[fieldTransactionType])
	}
	switch {
	case row.Applications.Has(Void) || isFailed(row.Status):
		row.Direction = Neither
	case row.Applications.Has(Credit):
		row.Direction = Out // unsigned amounts and signed ones alike
	case row.Applications.Has(Bill) || r.signed:
		if row.Direction = In; units < 0 {
			row.Direction = Out
		}
	case units < 0:
		row.Direction = Out
	default:
		return r.fail(RuleDirection, "Application.Name")
	}
	row.Amount = moneyOf(abs(units), scale, r.record.values[fieldCurrency])
	return nil
}

// isFailed tells of a status that settles nothing. The statuses are not published: every other one counts as settling.
func isFailed(status string) bool {
	switch status {
	case "", "BATCHED", "TRANSMITTED", "SETTLED":
		return false
	}
	switch strings.ToUpper(status) {
	case "F", "P", "FAILED", "REJECTED", "VOIDED", "CANCELLED", "ERROR", "PENDING":
		return true
	}
	return false
}

func abs(units int64) int64 {
	if units < 0 {
		return -units
	}
	return units
}

// feeParts are the columns that say what a fee is made of.
var feeParts = []struct {
	kind             FeeKind
	amount, currency field
	title            string
}{
	{FeeInterchange, fieldInterchange, fieldInterchangeCurrency, "InterchangeAmount"},
	{FeeDiscount, fieldDiscount, fieldDiscountCurrency, "DiscountAmount"},
	{FeeAssessment, fieldAssessment, fieldAssessmentCurrency, "AssessmentAmount"},
	{FeePerItem, fieldPerItem, fieldPerItemCurrency, "PerItemFeeAmount"},
	{FeeService, fieldService, fieldNone, "ServiceFeeAmount"},
}

func (r *Reader) fee(row *Row) error {
	row.Type, row.Status = FeeCharge, ""
	if row.RequestID == "" {
		return r.fail(RuleRequired, "RequestID")
	}
	units, scale, err := r.amount(fieldAmount, fieldCurrency, "TotalFeeAmount")
	if err != nil {
		return err
	}
	return r.feeOf(row, units, scale, r.record.values[fieldCurrency])
}

func (r *Reader) feeOf(row *Row, units int64, scale int32, currency string) error {
	row.Amount, row.Direction = moneyOf(abs(units), scale, currency), Out
	if units < 0 {
		row.Direction = In // given back
	}
	fee := &Fee{BillingType: r.record.values[fieldBillingType], BillingCycle: r.record.values[fieldBillingCycle]}
	for _, part := range feeParts {
		text := r.record.values[part.amount]
		if own := r.record.values[part.currency]; text == "" || own != "" && own != currency {
			continue // a part in another currency can't be a part of this total
		}
		units, rule := minor(text, scale)
		if rule == RuleMinorUnits {
			r.drift.Unread[part.title]++ // acquirers state parts finer than they charge them; the total is what is charged
			continue
		}
		if rule != "" {
			return r.fail(rule, part.title)
		}
		if units != 0 {
			fee.Parts = append(fee.Parts, FeePart{Kind: part.kind, Amount: moneyOf(units, scale, currency)})
		}
	}
	if r.record.values[fieldSettlement] != "" {
		units, scale, err := r.amount(fieldSettlement, fieldSettlementCurrency, "SettlementAmount")
		if err != nil {
			return err
		}
		fee.Settlement = moneyOf(units, scale, r.record.values[fieldSettlementCurrency])
	}
	row.Fee = fee
	return nil
}

// queueFee makes the fee of a transaction a row of its own.
func (r *Reader) queueFee(transaction Row) error {
	units, scale, err := r.amount(fieldFee, fieldFeeCurrency, "totalFee")
	if err != nil || units == 0 {
		return err
	}
	row := transaction
	row.Type, row.Applications, row.Status = FeeCharge, 0, ""
	if err := r.feeOf(&row, units, scale, r.record.values[fieldFeeCurrency]); err != nil {
		return err
	}
	r.queue = append(r.queue[:0], row)
	return nil
}

func (r *Reader) dispute(row *Row) error {
	v := &r.record.values
	row.Type = Dispute
	c := &Case{
		Number: v[fieldNumber], Kind: v[fieldKind], Action: v[fieldAction], ReasonCode: v[fieldReasonCode], Resolution: v[fieldResolution], FinancialBy: v[fieldImpactType],
	}
	if c.Number == "" {
		return r.fail(RuleRequired, "CaseNumber")
	}
	if c.Action == "" {
		c.Action = v[fieldTransactionType] // the file has no action: the type of transaction tells the stages of a case apart
	}
	var err error
	if c.Time, err = r.neededTime("ChargebackTime"); err != nil {
		return err
	}
	c.RespondBy = r.optionalTime(fieldRespondBy, RespondBy)
	units, scale, err := r.amount(fieldAmount, fieldCurrency, "ChargebackAmount")
	if err != nil {
		return err
	}
	row.Amount = moneyOf(abs(units), scale, v[fieldCurrency])
	c.Retrieval = r.kind == RetrievalCases || strings.Contains(normal(c.Kind), "retrieval")
	if row.Direction, err = r.disputeDirection(c, units); err != nil {
		return err
	}
	if c.Fee, err = r.side(fieldFee, fieldFeeCurrency, "FeeAmount"); err != nil {
		return err
	}
	if c.Adjustment, err = r.side(fieldAdjustment, fieldAdjustmentCurrency, "AdjustmentAmount"); err != nil {
		return err
	}
	row.Case = c
	return nil
}

// disputeDirection: the sign of the query, or the file's financial impact, says which way the money went; a file that says only that
// there is an impact leaves it to the words of the case.
func (r *Reader) disputeDirection(c *Case, units int64) (Direction, error) {
	switch r.record.values[fieldSign] {
	case "-":
		return r.unlessRetrieval(c, Out), nil
	case "+":
		return r.unlessRetrieval(c, In), nil
	case "":
	default:
		return "", r.fail(RuleDirection, "sign")
	}
	switch strings.ToLower(c.FinancialBy) {
	case "debit":
		return Out, nil
	case "credit":
		return In, nil
	case "none":
		return Neither, nil
	}
	switch strings.ToUpper(r.record.values[fieldImpact]) {
	case "N":
		return Neither, nil
	case "", "Y":
	default:
		return "", r.fail(RuleDirection, "FinancialImpact")
	}
	words := normal(c.Kind + c.Action)
	if units < 0 && !strings.Contains(words, "reversal") {
		return Out, nil
	}
	if strings.Contains(words, "reversal") || strings.Contains(words, "representment") {
		return r.unlessRetrieval(c, In), nil
	}
	return r.unlessRetrieval(c, Out), nil
}

func (r *Reader) unlessRetrieval(c *Case, d Direction) Direction {
	if c.Retrieval {
		return Neither
	}
	return d
}

func (r *Reader) funds(row *Row) error {
	v := &r.record.values
	row.Type = Deposit
	f := &Funds{Identifier: v[fieldNumber], Kind: v[fieldKind]}
	var err error
	if f.Time, err = r.neededTime("Time"); err != nil {
		return err
	}
	units, scale, err := r.amount(fieldAmount, fieldCurrency, "Amount")
	if err != nil {
		return err
	}
	row.Amount, row.Direction = moneyOf(abs(units), scale, v[fieldCurrency]), In
	if units < 0 {
		row.Direction = Out
	}
	if isFailed(row.Status) {
		row.Direction = Neither
	}
	if f.Fee, err = r.side(fieldFee, fieldFeeCurrency, "FeeAmount"); err != nil {
		return err
	}
	if f.Adjustment, err = r.side(fieldAdjustment, fieldAdjustmentCurrency, "AdjustmentAmount"); err != nil {
		return err
	}
	row.Funds = f
	return nil
}

func (r *Reader) netFunding(row *Row) error {
	classes := map[string]SumClass{"PURCHASES": SumSales, "REFUNDS": SumRefunds, "FEES": SumFees, "CHARGEBACKS": SumChargebacks}
	class, known := classes[strings.ToUpper(r.record.values[fieldKind])]
	if !known {
		return r.fail(RuleDirection, "type")
	}
	return r.sum(row, class, fieldTotalAmount, fieldCount, "conveyedAmount")
}

func (r *Reader) batchSummary(row *Row) error {
	credits := *row
	if err := r.sum(&credits, SumRefunds, fieldCreditAmount, fieldCreditCount, "creditAmount"); err != nil {
		return err
	}
	r.queue = append(r.queue[:0], credits)
	return r.sum(row, SumSales, fieldSalesAmount, fieldSalesCount, "salesAmount")
}

func (r *Reader) sum(row *Row, class SumClass, amount, count field, title string) error {
	units, scale, err := r.amount(amount, fieldCurrency, title)
	if err != nil {
		return err
	}
	n := 0
	if text := r.record.values[count]; text != "" {
		if n, err = strconv.Atoi(text); err != nil || n < 0 {
			return r.fail(RuleCount, title)
		}
	}
	row.Type, row.Direction = Total, Neither
	row.Amount = moneyOf(abs(units), scale, r.record.values[fieldCurrency])
	row.Sum = &Sum{Class: class, SubType: r.record.values[fieldSubType], Count: n}
	return nil
}

// amount reads a needed amount in minor units of its currency.
func (r *Reader) amount(amount, currency field, title string) (int64, int32, error) {
	text, code := r.record.values[amount], r.record.values[currency]
	if text == "" {
		return 0, 0, r.fail(RuleRequired, title)
	}
	if code == "" {
		return 0, 0, r.fail(RuleRequired, "currency of "+title)
	}
	scale, ok := r.scales.of(code)
	if !ok {
		return 0, 0, r.fail(RuleCurrency, "currency of "+title)
	}
	units, rule := minor(text, scale)
	if rule != "" {
		return 0, 0, r.fail(rule, title)
	}
	return units, scale, nil
}

// side reads an amount beside the row's; a missing one is the zero value.
func (r *Reader) side(amount, currency field, title string) (canonical.Money, error) {
	if r.record.values[amount] == "" {
		return canonical.Money{}, nil
	}
	if r.record.values[currency] == "" {
		r.record.values[currency] = r.record.values[fieldCurrency]
	}
	units, scale, err := r.amount(amount, currency, title)
	if err != nil || units == 0 {
		return canonical.Money{}, err
	}
	return moneyOf(units, scale, r.record.values[currency]), nil
}

func (r *Reader) neededTime(title string) (time.Time, error) {
	text := r.record.values[fieldTime]
	if text == "" {
		return time.Time{}, r.fail(RuleRequired, title)
	}
	at, ok := moment(text)
	if !ok {
		return time.Time{}, r.fail(RuleTime, title)
	}
	return at, nil
}

// optionalTime reads a time that nothing depends on: one that can't be read is drift.
func (r *Reader) optionalTime(f field, title string) time.Time {
	text := r.record.values[f]
	if text == "" {
		return time.Time{}
	}
	at, ok := moment(text)
	if !ok {
		r.drift.Unread[title]++
	}
	return at
}

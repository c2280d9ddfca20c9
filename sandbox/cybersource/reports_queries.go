package cybersource

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	maxQueryPage     = 2000
	defaultQueryPage = 2000
)

// sortedTotals gives the keys in a fixed order.
func sortedTotals(sums map[totalKey]*dayTotals) []totalKey {
	return slices.SortedFunc(maps.Keys(sums), func(a, b totalKey) int {
		return cmp.Or(cmp.Compare(a.currency, b.currency), cmp.Compare(a.method, b.method))
	})
}

// query runs a JSON query of the reporting services: it checks what all of them take, and locks.
func (s *Server) query(answer func(c *call, query url.Values, start, end time.Time) reply) handler {
	return func(c *call) reply {
		query := c.URL.Query()
		if refused := otherOrganization(c, query); refused != nil {
			return *refused
		}
		start, end, wrong := periodAsked(query, c.now)
		if len(wrong) > 0 {
			return *reportInvalid(wrong...)
		}
		s.mu.RLock()
		defer s.mu.RUnlock()
		return answer(c, query, start, end)
	}
}

// purchaseRefundDetails is GET /reporting/v3/purchase-refund-details: arrays that are joined by requestId.
func (s *Server) purchaseRefundDetails(c *call, query url.Values, start, end time.Time) reply {
	offset, limit, wrong := pageAsked(query)
	by := orElse(query.Get("viewBy"), "requestDate")
	if by != "requestDate" && by != "submissionDate" {
		wrong = append(wrong, wrongField("viewBy", "The view is requestDate or submissionDate"))
	}
	method := orElse(query.Get("paymentSubtype"), "ALL")
	if !slices.Contains([]string{"ALL", "VI", "MC", "AX", "DI", "DP"}, method) {
		wrong = append(wrong, wrongField("paymentSubtype", "The payment subtype is not known"))
	}
	if len(wrong) > 0 {
		return *reportInvalid(wrong...)
	}
	page := queryPage{start: start, end: end, submission: by == "submissionDate", method: method, skip: offset, left: limit}
	for _, day := range s.books.reporting.merchantDays(c.merchant) {
		if page.left > 0 {
			page.take(s.transactionsView(day))
		}
	}
	return reply{status: http.StatusOK, body: page.body(c.merchant, offset, limit)}
}

func pageAsked(query url.Values) (offset, limit int, wrong []fieldError) {
	limit = defaultQueryPage
	var err error
	if text := query.Get("offset"); text != "" {
		if offset, err = strconv.Atoi(text); err != nil || offset < 0 {
			wrong = append(wrong, wrongField("offset", "The offset is not a number from 0"))
		}
	}
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxQueryPage {
			wrong = append(wrong, wrongField("limit", "The limit is not a number from 1 to 2000"))
		}
	}
	return offset, limit, wrong
}

// queryPage picks a page out of the rows of all days.
type queryPage struct {
	start, end time.Time
	submission bool
	method     string
	skip, left int
	rows       []reportRow
}

// take adds a day's rows. Generated rows are reached by their number where all of them fit, so that the last page of a day of
// millions costs as much as the first.
func (p *queryPage) take(v *dayView) {
	for _, row := range v.reported {
		p.add(row)
	}
	first := 0
	if p.method == "ALL" && v.day.Rows > 0 && p.within(p.timeOf(v, 0)) && p.within(p.timeOf(v, v.day.Rows-1)) {
		first = min(p.skip, v.day.Rows)
		p.skip -= first
	}
	for i := first; i < v.day.Rows && p.left > 0; i++ {
		if p.within(p.timeOf(v, i)) {
			p.add(v.generated(i))
		}
	}
}

// timeOf is the time that a generated row is looked for by.
func (p *queryPage) timeOf(v *dayView, i int) time.Time {
	if p.submission {
		return v.day.ClosedAt
	}
	return v.generatedAt(i)
}

func (p *queryPage) within(at time.Time) bool { return !at.Before(p.start) && at.Before(p.end) }

func (p *queryPage) add(row reportRow) {
	at := row.at
	if p.submission {
		at = row.batchAt
	}
	if p.left == 0 || !p.within(at) || p.method != "ALL" && p.method != row.method() {
		return
	}
	if p.skip > 0 {
		p.skip--
		return
	}
	p.rows = append(p.rows, row)
	p.left--
}

func (p *queryPage) body(merchant string, offset, limit int) object {
	requests, settlements, authorizations, fees, others, statuses := []object{}, []object{}, []object{}, []object{}, []object{}, []object{}
	for i := range p.rows {
		row := &p.rows[i]
		requests = append(requests, object{"requestId": row.id, "cybersourceMerchantId": merchant, "processorMerchantId": processorMerchant,
			"groupName": "", "transactionReferenceNumber": row.reconciliation, "merchantReferenceNumber": row.reference})
		settlements = append(settlements, row.settlement())
		if row.authorization != "" {
			authorizations = append(authorizations, object{"requestId": row.id, "transactionReferenceNumber": row.reconciliation, "time": utc(row.at),
				"authorizationRequestId": row.authorization, "amount": formatUnits(row.units, row.currency), "currencyCode": row.currency, "code": "888888", "rcode": "1"})
		}
		fees = append(fees, row.feeAndFunding())
		others = append(others, object{"requestId": row.id, "merchantData1": row.defined("1"), "merchantData2": row.defined("2"),
			"merchantData3": row.defined("3"), "merchantData4": row.defined("4"), "firstName": row.info().BillTo.FirstName, "lastName": row.info().BillTo.LastName})
		statuses = append(statuses, object{"requestId": row.id, "status": "SETTLED", "settlementTime": utc(row.batchAt), "reasonCode": "", "errorText": ""})
	}
	return object{"offset": offset, "limit": limit, "pageResults": len(p.rows), "requestDetails": requests, "settlements": settlements,
		"authorizations": authorizations, "feeAndFundingDetails": fees, "others": others, "settlementStatuses": statuses}
}

const processorMerchant = "000123456789012"

func (r *reportRow) settlement() object {
	kind, paymentType := "Purchase", "credit card"
	if !r.incoming() {
		kind = "Refund"
	}
	if r.bank {
		paymentType = "check"
	}
	return object{"requestId": r.id, "transactionType": kind, "submissionTime": utc(r.at), "amount": formatUnits(r.units, r.currency),
		"currencyCode": r.currency, "paymentMethod": r.method(), "walletType": "", "paymentType": paymentType, "accountSuffix": r.card.Suffix,
		"cybersourceBatchTime": utc(r.batchAt), "cybersourceBatchId": r.batchID, "cardType": "", "debitNetwork": ""}
}

func (r *reportRow) feeAndFunding() object {
	fee := r.fee()
	rate, discount := "1.51", "0.20"
	if !r.incoming() {
		rate, discount = "0.00", "0.00"
	}
	amount := func(units int64) string { return formatUnits(units, r.currency) }
	return object{"requestId": r.id, "interchangePerItemFee": amount(fee.interchangeItem), "interchangeDescription": "CPS", "interchangePercentage": rate,
		"interchangePercentageAmount": amount(fee.interchange), "discountPercentage": discount, "discountAmount": amount(fee.discount),
		"discountPerItemFee": amount(fee.discountItem), "totalFee": amount(fee.total()), "feeCurrency": r.currency, "duesAssessments": amount(0),
		"fundingAmount": amount(r.funding()), "fundingCurrency": r.currency}
}

// disputeDetails is GET /reporting/v3/chargeback-details or retrieval-details. An account without any answers 404.
func (s *Server) disputeDetails(retrieval bool) handler {
	return s.query(func(c *call, _ url.Values, start, end time.Time) reply {
		events := s.disputesWithin(c.merchant, retrieval, start, end)
		if len(events) == 0 {
			return *reportMissing("No chargebacks or retrievals were found")
		}
		shown := make([]object, len(events))
		for i, event := range events {
			shown[i] = event.detail()
		}
		name := "chargebackDetails"
		if retrieval {
			name = "retrievalDetails"
		}
		return reply{status: http.StatusOK, body: object{"organizationId": c.merchant, "startTime": utc(start), "endTime": utc(end), name: shown}}
	})
}

func (s *Server) disputesWithin(merchant string, retrieval bool, start, end time.Time) []*disputeEvent {
	var events []*disputeEvent
	for _, event := range s.books.reporting.disputes {
		if event.MerchantID == merchant && event.Retrieval == retrieval && !event.At.Before(start) && event.At.Before(end) {
			events = append(events, event)
		}
	}
	return events
}

// detail is an action in the queries. They always have a sign: an action that moves nothing has no amount.
func (e *disputeEvent) detail() object {
	sign, amount := "-", e.moved()
	if e.Action == disputeWon {
		sign = "+"
	}
	if e.Retrieval {
		amount = e.Amount
	}
	shown := object{"processorMerchantId": processorMerchant, "merchantName": e.MerchantID, "transactionReferenceNumber": e.Reconcile,
		"merchantReferenceNumber": e.Reference, "natureOfDispute": e.nature(), "alertType": e.nature(), "amount": formatUnits(amount, e.Currency),
		"sign": sign, "action": e.Action, "cardType": e.Method, "originalSettlementTime": utc(e.SettledAt), "trackingNumber": e.Case,
		"currencyCode": e.Currency, "requestId": e.TransactionID, "responseDueTime": utc(e.RespondBy), "time": utc(e.At), "actionDescription": "",
		"customerId": "", "reasonCode": e.Reason}
	if !e.Retrieval {
		shown["preDisputeFlag"] = "N"
	}
	return shown
}

// disputeSummaries is GET /reporting/v3/chargeback-summaries or retrieval-summaries: a count for each day.
func (s *Server) disputeSummaries(retrieval bool) handler {
	return s.query(func(c *call, _ url.Values, start, end time.Time) reply {
		counts := map[string]int{}
		for _, event := range s.disputesWithin(c.merchant, retrieval, start, end) {
			counts[event.At.Format(time.DateOnly)]++
		}
		if len(counts) == 0 {
			return *reportMissing("No chargebacks or retrievals were found")
		}
		shown := []object{}
		for _, date := range slices.Sorted(maps.Keys(counts)) {
			shown = append(shown, object{"count": counts[date], "time": date + "T00:00:00Z", "accountId": c.merchant})
		}
		name := "chargebackSummaries"
		if retrieval {
			name = "retrievalSummaries"
		}
		return reply{status: http.StatusOK, body: object{"organizationId": c.merchant, "startTime": utc(start), "endTime": utc(end), name: shown}}
	})
}

// daysWithin are the days whose batch was closed within a period.
func (s *Server) daysWithin(merchant string, start, end time.Time) []*dayView {
	var views []*dayView
	for _, day := range s.books.reporting.merchantDays(merchant) {
		if !day.ClosedAt.Before(start) && day.ClosedAt.Before(end) {
			views = append(views, s.transactionsView(day))
		}
	}
	return views
}

// netFundings is GET /reporting/v3/net-fundings.
func (s *Server) netFundings(c *call, _ url.Values, start, end time.Time) reply {
	summaries := []object{}
	totals := map[string]map[string]int64{"totalPurchases": {}, "totalRefunds": {}, "totalFees": {}, "totalChargebacks": {}, "netTotal": {}}
	all := map[totalKey]*dayTotals{}
	for _, view := range s.daysWithin(c.merchant, start, end) {
		for key, sum := range view.totals(true) {
			if all[key] == nil {
				all[key] = &dayTotals{}
			}
			all[key].add(sum)
		}
	}
	for _, key := range sortedTotals(all) {
		sum := all[key]
		for _, one := range []struct {
			kind, total string
			count       int
			units       int64
		}{
			{"PURCHASES", "totalPurchases", sum.salesCount, sum.sales}, {"REFUNDS", "totalRefunds", sum.refundsCount, sum.refunds},
			{"FEES", "totalFees", sum.feesCount, sum.fees + sum.disputeFees}, {"CHARGEBACKS", "totalChargebacks", sum.chargebacksCount, sum.chargebacks},
		} {
			totals[one.total][key.currency] += one.units
			if one.count > 0 {
				amount := formatUnits(one.units, key.currency)
				summaries = append(summaries, object{"type": one.kind, "paymentSubType": key.method, "conveyedCount": one.count, "conveyedAmount": amount,
					"settledCount": one.count, "fundedCount": one.count, "fundedAmount": amount, "currencyCode": key.currency})
			}
		}
		totals["netTotal"][key.currency] += sum.net()
	}
	body := object{"startTime": utc(start), "endTime": utc(end), "netFundingSummaries": summaries}
	for name, byCurrency := range totals {
		list := []object{}
		for _, code := range slices.Sorted(maps.Keys(byCurrency)) {
			list = append(list, object{"currency": code, "value": formatUnits(byCurrency[code], code)})
		}
		body[name] = list
	}
	return reply{status: http.StatusOK, body: body}
}

func (t *dayTotals) add(other *dayTotals) {
	t.sales, t.refunds, t.fees = t.sales+other.sales, t.refunds+other.refunds, t.fees+other.fees
	t.chargebacks, t.reversals, t.disputeFees = t.chargebacks+other.chargebacks, t.reversals+other.reversals, t.disputeFees+other.disputeFees
	t.salesCount, t.refundsCount = t.salesCount+other.salesCount, t.refundsCount+other.refundsCount
	t.feesCount, t.chargebacksCount = t.feesCount+other.feesCount, t.chargebacksCount+other.chargebacksCount
}

// batchSummaries is GET /reporting/v3/payment-batch-summaries.
func (s *Server) batchSummaries(c *call, query url.Values, start, end time.Time) reply {
	rollUp := orElse(query.Get("rollUp"), "day")
	var wrong []fieldError
	if !slices.Contains([]string{"day", "week", "month"}, rollUp) {
		wrong = append(wrong, wrongField("rollUp", "The roll-up is day, week or month"))
	}
	if !slices.Contains([]string{"", "account_rollup", "all_merchant", "selected_merchant"}, query.Get("breakdown")) {
		wrong = append(wrong, wrongField("breakdown", "The breakdown is not known"))
	}
	firstDay := 1
	if text := query.Get("startDayOfWeek"); text != "" {
		var err error
		if firstDay, err = strconv.Atoi(text); err != nil || firstDay < 1 || firstDay > 7 {
			wrong = append(wrong, wrongField("startDayOfWeek", "The day of the week is 1 to 7"))
		}
	}
	if len(wrong) > 0 {
		return *reportInvalid(wrong...)
	}
	buckets := map[time.Time]map[totalKey]*dayTotals{}
	for _, view := range s.daysWithin(c.merchant, start, end) {
		from := bucketStart(view.start.In(s.cfg.TimeZone), rollUp, firstDay)
		if buckets[from] == nil {
			buckets[from] = map[totalKey]*dayTotals{}
		}
		for key, sum := range view.totals(true) {
			if buckets[from][key] == nil {
				buckets[from][key] = &dayTotals{}
			}
			buckets[from][key].add(sum)
		}
	}
	shown := []object{}
	for _, from := range slices.SortedFunc(maps.Keys(buckets), time.Time.Compare) {
		for _, key := range sortedTotals(buckets[from]) {
			sum := buckets[from][key]
			if sum.salesCount+sum.refundsCount == 0 {
				continue // disputes are in no batch
			}
			shown = append(shown, object{"currencyCode": key.currency, "paymentSubTypeDescription": key.method, "startTime": utc(from),
				"endTime": utc(bucketEnd(from, rollUp)), "salesCount": sum.salesCount, "salesAmount": formatUnits(sum.sales, key.currency),
				"creditCount": sum.refundsCount, "creditAmount": formatUnits(sum.refunds, key.currency), "accountName": c.merchant, "accountId": c.merchant,
				"merchantId": c.merchant, "merchantName": c.merchant})
		}
	}
	return reply{status: http.StatusOK, body: object{"startTime": utc(start), "endTime": utc(end), "paymentBatchSummaries": shown}}
}

// bucketStart is where the day, week or month of a day begins. Day 1 of the week is Sunday.
func bucketStart(day time.Time, rollUp string, firstDay int) time.Time {
	switch rollUp {
	case "week":
		return day.AddDate(0, 0, -(int(day.Weekday())-firstDay+1+7)%7)
	case "month":
		return day.AddDate(0, 0, 1-day.Day())
	default:
		return day
	}
}

func bucketEnd(from time.Time, rollUp string) time.Time {
	switch rollUp {
	case "week":
		return from.AddDate(0, 0, 7)
	case "month":
		return from.AddDate(0, 1, 0)
	default:
		return from.AddDate(0, 0, 1)
	}
}

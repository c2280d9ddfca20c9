package report

import "strings"

// field is a value that rows are built from; it indexes a record.
type field int

const (
	fieldNone field = iota
	fieldRequestID
	fieldPaymentRequestID
	fieldReference
	fieldTransactionReference
	fieldMerchantID
	fieldProcessorMerchantID
	fieldBatchID
	fieldBatchDate
	fieldStatus
	fieldTransactionTime
	fieldPaymentType
	fieldCardType
	fieldAmount
	fieldCurrency
	fieldApplications
	fieldTransactionType
	fieldSign
	fieldNumber
	fieldKind
	fieldAction
	fieldTime
	fieldRespondBy
	fieldReasonCode
	fieldResolution
	fieldImpact
	fieldImpactType
	fieldCaseID
	fieldARN
	fieldFee
	fieldFeeCurrency
	fieldAdjustment
	fieldAdjustmentCurrency
	fieldBillingType
	fieldBillingCycle
	fieldInterchange
	fieldInterchangeCurrency
	fieldDiscount
	fieldDiscountCurrency
	fieldAssessment
	fieldAssessmentCurrency
	fieldPerItem
	fieldPerItemCurrency
	fieldService
	fieldSettlement
	fieldSettlementCurrency
	fieldSalesCount
	fieldSalesAmount
	fieldCreditCount
	fieldCreditAmount
	fieldSubType
	fieldCount
	fieldTotalAmount
	numFields

	// fieldDefined is any of the numbered merchantDefinedData columns.
	fieldDefined = numFields
	// fieldIgnored is known and not needed.
	fieldIgnored = numFields + 1
)

// column says which names stand for a field, without case, blanks, underscores and hyphens.
type column struct {
	field  field
	title  string // for messages, as the reference names it
	names  []string
	groups []string // group prefixes that it may have; in XML: the parents
	needed bool
	secret bool // a number of the processor that may look like a card number by chance: left out then
}

// columnSet is all that a kind of report is read by.
type columnSet struct {
	columns  []column
	ignored  []string // groups whose members are known and not needed
	elements []string // in XML: the names of a row's element
	root     string   // in JSON: the array of the rows
	period   bool     // in JSON: startTime and endTime stand beside it
}

var (
	requestColumns = []column{
		{field: fieldRequestID, title: "RequestID", names: []string{"requestid", "transactionid"}, groups: []string{"request", "requestdetails"}},
		{field: fieldReference, title: "MerchantReferenceNumber", names: []string{"merchantreferencenumber", "merchantrefnumber", "merchantreferencecode", "merchantrefno"}, groups: []string{"request", "requestdetails"}},
		{field: fieldTransactionReference, title: "TransactionReferenceNumber", names: []string{"transactionreferencenumber", "transrefno", "transrefnumber", "transactionrefnumber"}, groups: []string{"request", "paymentdata", "paymentinfo", "batch", "requestdetails"}, secret: true},
		{field: fieldMerchantID, title: "MerchantID", names: []string{"merchantid", "cybersourcemerchantid", "organizationid", "accountid"}, groups: []string{"request", "deposit", "requestdetails"}},
		{field: fieldTransactionTime, title: "TransactionDate", names: []string{"transactiondate", "requestdate", "transactiontime", "submissiontime"}, groups: []string{"request", "settlements"}},
		{field: fieldPaymentType, title: "PaymentType", names: []string{"paymenttype", "paymentmethod"}, groups: []string{"request", "paymentmethod", "settlements"}},
		{field: fieldCardType, title: "CardType", names: []string{"cardtype"}, groups: []string{"paymentmethod", "card", "request", "settlements"}},
	}
	ignoredGroups = []string{
		"billto", "shipto", "shipping", "lineitem", "lineitems", "applicationreply", "applicationreplies", "riskdata", "risk", "profile", "profilelist", "travel", "traveldata",
		"device", "invoiceheaderinfo", "card", "paymentmethod", "paymentdata", "paymentinfo", "event", "events", "request", "check", "application", "others", "authorizations", "settlementstatuses",
	}
)

func request(needed ...field) []column {
	columns := make([]column, len(requestColumns))
	copy(columns, requestColumns)
	for i := range columns {
		for _, f := range needed {
			columns[i].needed = columns[i].needed || columns[i].field == f
		}
	}
	return columns
}

// money is an amount with its currency.
func money(amount, currency field, title, currencyTitle string, needed bool, groups ...string) []column {
	return []column{
		{field: amount, title: title, names: []string{normal(title)}, groups: groups, needed: needed},
		{field: currency, title: currencyTitle, names: []string{normal(currencyTitle)}, groups: groups, needed: needed},
	}
}

func text(f field, title, group string) column {
	return column{field: f, title: title, names: []string{normal(title)}, groups: []string{group}}
}

func needed(c column) column { c.needed = true; return c }
func secret(c column) column { c.secret = true; return c }

func join(sets ...[]column) []column {
	var all []column
	for _, set := range sets {
		all = append(all, set...)
	}
	return all
}

// columnSets are the names of every report, by gateway reference 6.2 to 6.7. It is never written.
var columnSets = map[Kind]columnSet{
	PaymentBatches: {
		elements: []string{"request"}, ignored: ignoredGroups,
		columns: join(request(fieldRequestID), []column{
			{field: fieldBatchID, title: "BatchID", names: []string{"batchid"}, groups: []string{"batch"}, needed: true},
			{field: fieldBatchDate, title: "BatchDate", names: []string{"batchdate"}, groups: []string{"batch"}, needed: true},
			{field: fieldStatus, title: "Status", names: []string{"status"}, groups: []string{"batch"}},
			{field: fieldPaymentRequestID, title: "PaymentRequestID", names: []string{"paymentrequestid"}, groups: []string{"paymentdata", "paymentinfo"}},
			{field: fieldAmount, title: "Amount", names: []string{"amount"}, groups: []string{"paymentdata", "paymentinfo", "batch"}, needed: true},
			{field: fieldCurrency, title: "CurrencyCode", names: []string{"currencycode", "currency"}, groups: []string{"paymentdata", "paymentinfo", "batch"}, needed: true},
			{field: fieldApplications, title: "Application.Name", names: []string{"icsapplications", "applications", "application", "name", "applicationname"}, groups: []string{"application", "request"}},
			{field: fieldTransactionType, title: "transaction_type", names: []string{"transactiontype"}, groups: []string{"request"}},
			{field: fieldIgnored, names: []string{"paymentprocessor"}, groups: []string{"paymentdata", "paymentinfo"}},
			{field: fieldIgnored, names: []string{"localizedrequestdate", "localizeddate"}, groups: []string{"request"}},
		}),
	},
	Fees: {
		elements: []string{"request", "fee"}, ignored: ignoredGroups,
		columns: join(request(fieldRequestID),
			money(fieldAmount, fieldCurrency, "TotalFeeAmount", "TotalFeeCurrency", true, "fee"),
			money(fieldInterchange, fieldInterchangeCurrency, "InterchangeAmount", "InterchangeCurrency", false, "fee"),
			money(fieldDiscount, fieldDiscountCurrency, "DiscountAmount", "DiscountCurrency", false, "fee"),
			money(fieldAssessment, fieldAssessmentCurrency, "AssessmentAmount", "AssessmentCurrency", false, "fee"),
			money(fieldPerItem, fieldPerItemCurrency, "PerItemFeeAmount", "PerItemFeeCurrency", false, "fee"),
			money(fieldSettlement, fieldSettlementCurrency, "SettlementAmount", "SettlementCurrency", false, "fee"),
			[]column{
				text(fieldService, "ServiceFeeAmount", "fee"), text(fieldBillingType, "BillingType", "fee"), text(fieldBillingCycle, "BillingCycle", "fee"),
				text(fieldTime, "SettlementTime", "fee"), text(fieldIgnored, "SettlementTimeZone", "fee"), text(fieldIgnored, "ClearedInterchangeLevel", "fee"),
				text(fieldIgnored, "PricedInterchangeLevel", "fee"), text(fieldIgnored, "DiscountRate", "fee"), text(fieldIgnored, "InterchangeRate", "fee"),
				text(fieldIgnored, "DowngradeReasonCode", "fee"), text(fieldIgnored, "ServiceFeeRate", "fee"), text(fieldIgnored, "SourceDescriptor", "fee"),
			}),
	},
	Chargebacks: {
		elements: []string{"request", "chargeback", "chargebackandretrieval"}, ignored: ignoredGroups,
		columns: join(request(),
			[]column{
				needed(text(fieldNumber, "CaseNumber", "chargeback")), needed(text(fieldKind, "CaseType", "chargeback")), needed(text(fieldImpact, "FinancialImpact", "chargeback")),
				needed(text(fieldTime, "ChargebackTime", "chargeback")), text(fieldTransactionType, "TransactionType", "chargeback"), text(fieldImpactType, "FinancialImpactType", "chargeback"),
				text(fieldIgnored, "CaseTime", "chargeback"), secret(text(fieldARN, "ARN", "chargeback")), secret(text(fieldCaseID, "CaseIdentifier", "chargeback")),
				text(fieldReasonCode, "ChargebackReasonCode", "chargeback"), text(fieldResolution, "ResolvedToIndicator", "chargeback"), text(fieldRespondBy, "RespondByDate", "chargeback"),
				text(fieldIgnored, "ChargebackMessage", "chargeback"), text(fieldIgnored, "ChargebackReasonCodeDescription", "chargeback"), text(fieldIgnored, "DocumentIndicator", "chargeback"),
				text(fieldIgnored, "MerchantCategoryCode", "chargeback"), text(fieldIgnored, "PartialIndicator", "chargeback"), text(fieldIgnored, "ResolutionTime", "chargeback"),
			},
			money(fieldAmount, fieldCurrency, "ChargebackAmount", "ChargebackCurrency", true, "chargeback"),
			money(fieldFee, fieldFeeCurrency, "FeeAmount", "FeeCurrency", false, "chargeback"),
			money(fieldAdjustment, fieldAdjustmentCurrency, "AdjustmentAmount", "AdjustmentCurrency", false, "chargeback")),
	},
	Deposits: {
		elements: []string{"deposit", "request"}, ignored: ignoredGroups,
		columns: join(request(),
			money(fieldAmount, fieldCurrency, "Amount", "Currency", true, "deposit"),
			[]column{
				needed(text(fieldNumber, "Identifier", "deposit")), needed(text(fieldTime, "Time", "deposit")), needed(text(fieldStatus, "Status", "deposit")), text(fieldKind, "Type", "deposit"),
				text(fieldIgnored, "Category", "deposit"), text(fieldIgnored, "Method", "deposit"), text(fieldIgnored, "ExchangeRate", "deposit"), text(fieldIgnored, "ExchangeRateDescription", "deposit"),
				text(fieldIgnored, "MerchantBankAcctLast4", "deposit"), text(fieldIgnored, "MerchantBankAcctName", "deposit"), text(fieldIgnored, "MerchantBankCode", "deposit"),
				text(fieldIgnored, "MerchantBankCountry", "deposit"), text(fieldIgnored, "MerchantBankName", "deposit"), text(fieldIgnored, "TransferMessage", "deposit"),
			}),
	},
	Fundings: {
		elements: []string{"funding", "request"}, ignored: ignoredGroups,
		columns: join(request(),
			money(fieldAmount, fieldCurrency, "FundingAmount", "FundingCurrency", true, "funding"),
			money(fieldFee, fieldFeeCurrency, "FeeAmount", "FeeCurrency", false, "funding"),
			money(fieldAdjustment, fieldAdjustmentCurrency, "AdjustmentAmount", "AdjustmentCurrency", false, "funding"),
			[]column{
				needed(text(fieldTime, "FundingDate", "funding")), text(fieldNumber, "FundingIdentificationNumber", "funding"), text(fieldStatus, "Status", "funding"), text(fieldKind, "AdjustmentType", "funding"),
				text(fieldIgnored, "FeeDescription", "funding"), text(fieldIgnored, "FundingProcessorMessage", "funding"), text(fieldIgnored, "ProcessorResponseCode", "funding"),
				text(fieldIgnored, "CurrencyExchangeRate", "funding"), text(fieldIgnored, "CurrencyExchangeDescription", "funding"), text(fieldIgnored, "FundingAccountSuffix", "funding"),
				text(fieldIgnored, "FundingBankCode", "funding"), text(fieldIgnored, "FundingBankCountry", "funding"), text(fieldIgnored, "FundingBankName", "funding"),
				text(fieldIgnored, "FundingTransferMessage", "funding"), text(fieldIgnored, "AdjustmentDescription", "funding"),
			}),
	},
	PurchasesRefunds: {
		root: "settlements", period: true, ignored: []string{"others", "authorizations", "settlementstatuses", "settlements", "requestdetails"},
		columns: join(request(fieldRequestID), []column{
			{field: fieldAmount, title: "amount", names: []string{"amount"}, groups: []string{"settlements"}, needed: true},
			{field: fieldCurrency, title: "currencyCode", names: []string{"currencycode"}, groups: []string{"settlements"}, needed: true},
			{field: fieldTransactionType, title: "transactionType", names: []string{"transactiontype"}, groups: []string{"settlements"}, needed: true},
			{field: fieldBatchID, title: "cybersourceBatchId", names: []string{"cybersourcebatchid"}, groups: []string{"settlements"}},
			{field: fieldBatchDate, title: "cybersourceBatchTime", names: []string{"cybersourcebatchtime"}, groups: []string{"settlements"}},
			{field: fieldPaymentRequestID, title: "authorizationRequestId", names: []string{"authorizationrequestid"}, groups: []string{"authorizations"}},
			{field: fieldProcessorMerchantID, title: "processorMerchantId", names: []string{"processormerchantid"}, groups: []string{"requestdetails"}, secret: true},
			{field: fieldStatus, title: "status", names: []string{"status"}, groups: []string{"settlementstatuses"}},
			{field: fieldFee, title: "totalFee", names: []string{"totalfee"}, groups: []string{"feeandfundingdetails"}},
			{field: fieldFeeCurrency, title: "feeCurrency", names: []string{"feecurrency"}, groups: []string{"feeandfundingdetails"}},
			{field: fieldInterchange, title: "interchangePercentageAmount", names: []string{"interchangepercentageamount"}, groups: []string{"feeandfundingdetails"}},
			{field: fieldDiscount, title: "discountAmount", names: []string{"discountamount"}, groups: []string{"feeandfundingdetails"}},
			{field: fieldAssessment, title: "duesAssessments", names: []string{"duesassessments"}, groups: []string{"feeandfundingdetails"}},
			{field: fieldIgnored, names: []string{"interchangeperitemfee", "interchangedescription", "interchangepercentage", "discountpercentage", "discountperitemfee", "fundingamount", "fundingcurrency"}, groups: []string{"feeandfundingdetails"}},
		}),
	},
	ChargebackCases: {root: "chargebackDetails", period: true, columns: caseColumns},
	RetrievalCases:  {root: "retrievalDetails", period: true, columns: caseColumns},
	NetFundings: {root: "netFundingSummaries", period: true, columns: []column{
		{field: fieldKind, title: "type", names: []string{"type"}, needed: true},
		{field: fieldSubType, title: "paymentSubType", names: []string{"paymentsubtype"}},
		{field: fieldCount, title: "conveyedCount", names: []string{"conveyedcount"}},
		{field: fieldTotalAmount, title: "conveyedAmount", names: []string{"conveyedamount"}, needed: true},
		{field: fieldCurrency, title: "currencyCode", names: []string{"currencycode"}, needed: true},
		{field: fieldIgnored, names: []string{"settledcount", "fundedcount", "fundedamount"}},
	}},
	BatchSummaries: {root: "paymentBatchSummaries", period: true, columns: []column{
		{field: fieldCurrency, title: "currencyCode", names: []string{"currencycode"}, needed: true},
		{field: fieldSubType, title: "paymentSubTypeDescription", names: []string{"paymentsubtypedescription"}},
		{field: fieldSalesCount, title: "salesCount", names: []string{"salescount"}, needed: true},
		{field: fieldSalesAmount, title: "salesAmount", names: []string{"salesamount"}, needed: true},
		{field: fieldCreditCount, title: "creditCount", names: []string{"creditcount"}, needed: true},
		{field: fieldCreditAmount, title: "creditAmount", names: []string{"creditamount"}, needed: true},
		{field: fieldMerchantID, title: "merchantId", names: []string{"merchantid"}},
		{field: fieldIgnored, names: []string{"starttime", "endtime", "accountname", "accountid", "merchantname"}},
	}},
}

var caseColumns = []column{
	{field: fieldRequestID, title: "requestId", names: []string{"requestid"}},
	{field: fieldReference, title: "merchantReferenceNumber", names: []string{"merchantreferencenumber"}},
	{field: fieldTransactionReference, title: "transactionReferenceNumber", names: []string{"transactionreferencenumber"}, secret: true},
	{field: fieldProcessorMerchantID, title: "processorMerchantId", names: []string{"processormerchantid"}, secret: true},
	{field: fieldKind, title: "natureOfDispute", names: []string{"natureofdispute"}, needed: true},
	{field: fieldAmount, title: "amount", names: []string{"amount"}, needed: true},
	{field: fieldCurrency, title: "currencyCode", names: []string{"currencycode"}, needed: true},
	{field: fieldSign, title: "sign", names: []string{"sign"}},
	{field: fieldAction, title: "action", names: []string{"action"}, needed: true},
	{field: fieldNumber, title: "trackingNumber", names: []string{"trackingnumber"}, needed: true},
	{field: fieldTime, title: "time", names: []string{"time"}, needed: true},
	{field: fieldRespondBy, title: "responseDueTime", names: []string{"responseduetime"}},
	{field: fieldReasonCode, title: "reasonCode", names: []string{"reasoncode"}},
	{field: fieldPaymentType, title: "cardType", names: []string{"cardtype"}},
	{field: fieldIgnored, names: []string{"merchantname", "alerttype", "originalsettlementtime", "actiondescription", "customerid", "representmentcptime", "applications", "eventrequestedtime", "predisputeflag"}},
}

// normal takes away what forms of a name differ in.
func normal(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '_' || r == '-' || r == '\t':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		default:
			return r
		}
	}, strings.TrimSpace(name))
}

// resolved is what a column of a report stands for.
type resolved struct {
	field  field
	column *column
	key    string // of fieldDefined
}

// resolve finds the column of a name with or without its group. In a file with groups, a member of a foreign group is not the
// bare column of that name: Event.Amount is not PaymentData.Amount.
func (s *columnSet) resolve(group, name string) resolved {
	group, name = normal(group), normal(name)
	if key := definedKey(group, name); key != "" {
		return resolved{field: fieldDefined, key: key}
	}
	for i := range s.columns {
		c := &s.columns[i]
		if (group == "" || contains(c.groups, group)) && contains(c.names, name) {
			return resolved{field: c.field, column: c}
		}
	}
	if contains(s.ignored, group) {
		return resolved{field: fieldIgnored}
	}
	return resolved{}
}

func contains(list []string, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}

// definedKey gives the number of a merchant defined field: MerchantDefinedData7, merchant_defined_data7, merchantData2, or field7 in
// an element MerchantDefinedData.
func definedKey(group, name string) string {
	number := ""
	switch {
	case strings.HasPrefix(name, "merchantdefineddatafield"):
		number = name[len("merchantdefineddatafield"):]
	case strings.HasPrefix(name, "merchantdefineddata"):
		number = name[len("merchantdefineddata"):]
	case strings.HasPrefix(name, "merchantdata"):
		number = name[len("merchantdata"):]
	case group == "merchantdefineddata" && strings.HasPrefix(name, "field"):
		number = name[len("field"):]
	}
	if len(number) == 0 || len(number) > 3 || number[0] == '0' {
		return ""
	}
	for _, digit := range []byte(number) {
		if digit < '0' || digit > '9' {
			return ""
		}
	}
	return number
}

// splitGroup parts "Fee.TotalFeeAmount".
func splitGroup(name string) (group, member string) {
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		return name[:at], name[at+1:]
	}
	return "", name
}

// known tells whether a name is one of the report's columns that are read.
func (s *columnSet) known(name string) bool {
	found := s.resolve(splitGroup(name))
	return found.field != fieldNone && found.field != fieldIgnored
}

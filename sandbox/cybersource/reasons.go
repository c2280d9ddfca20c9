package cybersource

// reason is what belongs to an errorInformation.reason: the code of the older APIs and of search results, its flag, the
// processor's response code and the text.
type reason struct {
	code     string
	flag     string
	response string
	message  string
}

const (
	messageMissing = "Declined - The request is missing one or more fields"
	messageInvalid = "Declined - One or more fields in the request contains invalid data"
	messageOK      = "Request was processed successfully."
	messageReview  = "The order is marked for review by Decision Manager"
	messageReject  = "The order has been rejected by Decision Manager"
)

// declines are the reasons of a DECLINED payment (HTTP 201). Reasons without a code of their own share the general one.
var declines = map[string]reason{
	"AVS_FAILED":                       {"200", "DAVSNO", "102", "Decline - The address verification failed."},
	"CONTACT_PROCESSOR":                {"201", "DCALL", "103", "Decline - The issuing bank has questions about the request."},
	"EXPIRED_CARD":                     {"202", "DCARDEXPIRED", "104", "Decline - Expired card. You might also receive this if the expiration date you provided does not match the date the issuing bank has on file."},
	"PROCESSOR_DECLINED":               {"203", "DCARDREFUSED", "110", "Decline - General decline of the card. No other information provided by the issuing bank."},
	"INSUFFICIENT_FUND":                {"204", "DCARDREFUSED", "111", "Decline - Insufficient funds in the account."},
	"STOLEN_LOST_CARD":                 {"205", "DCARDREFUSED", "112", "Decline - Stolen or lost card."},
	"ISSUER_UNAVAILABLE":               {"207", "DCARDREFUSED", "113", "Decline - Issuing bank unavailable."},
	"UNAUTHORIZED_CARD":                {"208", "DCARDREFUSED", "114", "Decline - Inactive card or card not authorized for card-not-present transactions."},
	"CVN_NOT_MATCH":                    {"209", "DCARDREFUSED", "115", "Decline - Card verification number did not match."},
	"EXCEEDS_CREDIT_LIMIT":             {"210", "DCARDREFUSED", "116", "Decline - The card has reached the credit limit."},
	"INVALID_CVN":                      {"211", "DCARDREFUSED", "117", "Decline - Invalid Card Verification Number (CVN)."},
	"BLACKLISTED_CUSTOMER":             {"221", "DCARDREFUSED", "118", "Decline - The customer matched an entry on the processor's negative file."},
	"SUSPENDED_ACCOUNT":                {"222", "DCARDREFUSED", "119", "Decline - Customer's account is frozen."},
	"CV_FAILED":                        {"230", "DCV", "120", "Decline - The card verification number check failed."},
	"INVALID_ACCOUNT":                  {"231", "DINVALIDCARD", "121", "Decline - Invalid account number"},
	"GENERAL_DECLINE":                  {"233", "DINVALIDDATA", "122", "Decline - General decline by the processor."},
	"CONSUMER_AUTHENTICATION_FAILED":   {"476", "DAUTHENTICATIONFAILED", "123", "Decline - Payer cannot be authenticated."},
	"CONSUMER_AUTHENTICATION_REQUIRED": {"478", "DCUSTOMERAUTHENTICATIONREQUIRED", "124", "Decline - Strong customer authentication required."},
	"DECISION_PROFILE_REJECT":          {"481", "DREJECT", "", messageReject},
	"SCORE_EXCEEDS_THRESHOLD":          {"481", "DSCORE", "", "Decline - The fraud score exceeds the threshold."},

	"BLOCKED_BY_CARDHOLDER":           {"203", "DCARDREFUSED", "125", "Decline - The cardholder has blocked this payment."},
	"DECLINED_CHECK":                  {"203", "DCARDREFUSED", "126", "Decline - The check was declined."},
	"PAYMENT_REFUSED":                 {"203", "DCARDREFUSED", "127", "Decline - The payment was refused."},
	"ACH_VERIFICATION_FAILED":         {"203", "DCARDREFUSED", "128", "Decline - The bank account could not be verified."},
	"ALLOWABLE_PIN_RETRIES_EXCEEDED":  {"203", "DCARDREFUSED", "129", "Decline - The allowed number of PIN retries was exceeded."},
	"PROCESSOR_ERROR":                 {"233", "DCARDREFUSED", "130", "Decline - The processor reported an error."},
	"CUSTOMER_WATCHLIST_MATCH":        {"203", "DCARDREFUSED", "131", "Decline - The customer matched an entry on a watch list."},
	"ADDRESS_COUNTRY_WATCHLIST_MATCH": {"203", "DCARDREFUSED", "132", "Decline - The country of the address is on a watch list."},
	"EMAIL_COUNTRY_WATCHLIST_MATCH":   {"203", "DCARDREFUSED", "133", "Decline - The country of the e-mail address is on a watch list."},
	"IP_COUNTRY_WATCHLIST_MATCH":      {"203", "DCARDREFUSED", "134", "Decline - The country of the IP address is on a watch list."},
	"DAGGREJECTED":                    {"203", "DAGGREJECTED", "135", "Decline - The aggregator rejected the payment."},
	"DAGGDENIED":                      {"203", "DAGGDENIED", "136", "Decline - The aggregator denied the payment."},
	"DSYSREJECTED":                    {"203", "DSYSREJECTED", "137", "Decline - The system rejected the payment."},
}

// reviews are the reasons of AUTHORIZED_PENDING_REVIEW and PENDING_REVIEW.
var reviews = map[string]reason{
	"AVS_FAILED":              {"200", "DAVSNO", "100", "Soft Decline - The authorization request was approved by the issuing bank but flagged because it did not pass the address verification check."},
	"CV_FAILED":               {"230", "DCV", "100", "Soft Decline - The authorization request was approved by the issuing bank but flagged because it did not pass the card verification number check."},
	"CONTACT_PROCESSOR":       {"201", "DCALL", "100", "Soft Decline - The issuing bank has questions about the request."},
	"DECISION_PROFILE_REVIEW": {"480", "DREVIEW", "100", messageReview},
}

// refusalMessages are the texts of reasons that come with HTTP 400 and 502.
var refusalMessages = map[string]string{
	"MISSING_FIELD":                  messageMissing,
	"INVALID_DATA":                   messageInvalid,
	"INVALID_AMOUNT":                 "Declined - The requested amount is not valid for the transaction",
	"INVALID_CARD_TYPE":              "Declined - The card type is invalid or does not correlate with the card number",
	"INVALID_MERCHANT_CONFIGURATION": "Declined - There is a problem with your merchant configuration",
	"PROCESSOR_UNAVAILABLE":          "Declined - Processor failure",
	"CARD_TYPE_NOT_ACCEPTED":         "Declined - The card type is not accepted by the payment processor",
	"NOT_SUPPORTED":                  "Declined - The request is not supported for the transaction",
	"EXCEEDS_AUTH_AMOUNT":            "Declined - The requested amount exceeds the originally authorized amount",
	"AUTH_ALREADY_REVERSED":          "Declined - The authorization has already been reversed",
	"TRANSACTION_ALREADY_SETTLED":    "Declined - The transaction has already been settled",
	"MISSING_AUTH":                   "Declined - You requested a capture or reversal, but there is no corresponding authorization",
	"CAPTURE_ALREADY_VOIDED":         "Declined - The capture has already been voided",
	"NOT_VOIDABLE":                   "Declined - The capture or credit is not voidable because it has already been submitted to your processor, or it has been voided before",
	"SYSTEM_ERROR":                   "Error - General system failure.",
	"SERVER_TIMEOUT":                 "Error - The request was received but there was a server timeout.",
	"SERVICE_TIMEOUT":                "Error - The request was received, but a service did not finish running in time.",
}

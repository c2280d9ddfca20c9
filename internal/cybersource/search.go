package cybersource

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

const (
	pageSize  = 100
	maxOffset = 2500 // transactions of one reference; more are a sign of a code that is not ours
)

// Search gives the transactions of a merchant reference, newest first. The index lags behind by seconds, sometimes more: an empty
// answer is no proof of absence. Failures change nothing and are never an UnknownOutcome.
func (c *Client) Search(ctx context.Context, query Query) ([]Transaction, error) {
	if err := checkCode(query.Code); err != nil {
		return nil, &fault.Fault{Kind: fault.Bug, System: System, Message: "the reference can't be searched for", Err: err}
	}
	text := "clientReferenceInformation.code:" + query.Code + " AND " + since(query.Since)
	var found []Transaction
	seen := map[string]bool{}
	for offset := 0; offset < maxOffset; offset += pageSize {
		page, err := c.searchPage(ctx, text, offset, pageSize)
		if err != nil {
			return nil, err
		}
		for _, summary := range page.Embedded.value.Summaries {
			transaction := summary.transaction()
			// A query may match parts of a reference, and paging over a growing index repeats entries.
			if transaction.Code == query.Code && transaction.ID != "" && !seen[transaction.ID] {
				seen[transaction.ID] = true
				found = append(found, transaction)
			}
		}
		if len(page.Embedded.value.Summaries) == 0 || offset+pageSize >= page.total() {
			return found, nil
		}
	}
	return nil, &fault.Fault{Kind: fault.Bug, System: System, Code: "TOO_MANY_RESULTS",
		Message: fmt.Sprintf("more than %d transactions have this reference", maxOffset)}
}

// since is the time clause of a query. The gateway keeps whole seconds, by its own clock: the clause starts well before our moment, or it
// would miss what was submitted in that very second. Its end lies in the future, so that clocks needn't agree.
func since(at time.Time) string {
	start := "NOW/DAY-180DAYS"
	if !at.IsZero() {
		start = strconv.FormatInt(at.Add(-clockSkew).UnixMilli(), 10)
	}
	return "submitTimeUtc:[" + start + " TO NOW/DAY+1DAY}"
}

// Transaction reads one transaction as it is now. It gives a NotFound fault for an id that is unknown, or too new: records appear
// minutes after the payment.
func (c *Client) Transaction(ctx context.Context, id string) (Detail, error) {
	if err := checkID(id); err != nil {
		return Detail{}, &fault.Fault{Kind: fault.Bug, System: System, Message: "the transaction can't be asked for", Err: err}
	}
	answer, err := c.read(ctx, call{method: http.MethodGet, path: "/tss/v2/transactions/" + url.PathEscape(id), accept: acceptHAL})
	if err != nil {
		return Detail{}, err
	}
	var decoded detailReply
	if !isObject(answer.body) || json.Unmarshal(answer.body, &decoded) != nil || decoded.ID == "" {
		return Detail{}, readAgain(unreadable(answer))
	}
	return decoded.detail(), nil
}

// Find asks what became of a request whose answer was lost: it searches, picks by Match, and reads the transaction itself, because only
// that tells held from authorized. It gives false where nothing is there yet; whether that means absence is for the caller, who
// knows how long ago the request left. A transaction that is in the index and not in the details yet is a Busy fault: ask again.
func (c *Client) Find(ctx context.Context, query Query, want Wanted) (Outcome, bool, error) {
	transactions, err := c.Search(ctx, query)
	if err != nil {
		return Outcome{}, false, err
	}
	refused := map[string]bool{}
	wantNow := want
	wantNow.Exclude = func(id string) bool { return refused[id] || want.Exclude != nil && want.Exclude(id) }
	for {
		transaction, found := Match(transactions, wantNow)
		if !found {
			return Outcome{}, false, nil
		}
		detail, err := c.Transaction(ctx, transaction.ID)
		if err != nil {
			return Outcome{}, false, notYet(err)
		}
		if detail.RefersTo(want.Related) {
			return OutcomeOf(transaction, detail), true, nil
		}
		refused[transaction.ID] = true
	}
}

// CodeDetailsLag is the code of a transaction that the search knows and the details don't yet.
const CodeDetailsLag = "DETAILS_NOT_YET"

// notYet keeps a missing record from reading as an absent transaction: the search has just named it.
func notYet(err error) error {
	f := fault.As(err)
	if f == nil || f.Kind != fault.NotFound {
		return err
	}
	return &fault.Fault{Kind: fault.Busy, System: System, Code: CodeDetailsLag, Message: "the transaction is found, its record is not there yet",
		HTTPStatus: f.HTTPStatus, RequestID: f.RequestID, RetryAfter: f.RetryAfter}
}

func (c *Client) searchPage(ctx context.Context, query string, offset, limit int) (searchReply, error) {
	body, err := encode(object{"save": false, "name": "tenderline", "timezone": "UTC", "query": query,
		"offset": offset, "limit": limit, "sort": "submitTimeUtc:desc"})
	if err != nil {
		return searchReply{}, bug("search can't be encoded")
	}
	answer, err := c.read(ctx, call{method: http.MethodPost, path: "/tss/v2/searches", body: body, accept: acceptJSON})
	if err != nil {
		return searchReply{}, err
	}
	var decoded searchReply
	if !isObject(answer.body) || json.Unmarshal(answer.body, &decoded) != nil || !decoded.complete(offset) {
		return searchReply{}, readAgain(unreadable(answer))
	}
	return decoded, nil
}

// read does a call that changes nothing outside.
func (c *Client) read(ctx context.Context, call call) (answer, error) {
	call.readOnly = true
	reply, err := c.do(ctx, call)
	switch {
	case err != nil:
		return answer{}, err
	case reply.status >= 200 && reply.status <= 299:
		return reply, nil
	case reply.status == http.StatusBadRequest:
		decoded, _ := decodeReply(reply.body)
		refusal := reply.fault(fault.Bug, decoded.reason(), "the gateway refuses a query of ours: "+decoded.message())
		refusal.Fields = fieldsOf(decoded.details())
		return answer{}, refusal
	default:
		return answer{}, readAgain(refusedByStatus(reply))
	}
}

// readAgain turns the unknown outcome of a call that only reads into what it is: something to repeat.
func readAgain(f *fault.Fault) error {
	if f.Kind == fault.UnknownOutcome {
		f.Kind = fault.Connection
	}
	return f
}

type searchReply struct {
	Total    *text `json:"totalCount"`
	Embedded part[struct {
		Summaries list[summary] `json:"transactionSummaries"`
	}] `json:"_embedded"`
}

// complete: an answer without a count, or with a count and nothing on its first page, is no answer to a search. Taking it for "nothing
// found" could send money twice.
func (r searchReply) complete(offset int) bool {
	if r.Total == nil {
		return false
	}
	count, err := strconv.Atoi(string(*r.Total))
	return err == nil && count >= 0 && (count == 0 || offset > 0 || len(r.Embedded.value.Summaries) > 0)
}

func (r searchReply) total() int {
	count, err := strconv.Atoi(string(*r.Total))
	if err != nil {
		return 0
	}
	return count
}

// summary is an entry of the search index. detailReply has the same blocks under the same names.
type summary struct {
	ID            text                       `json:"id"`
	SubmitTimeUTC text                       `json:"submitTimeUtc"` // the details spell it submitTimeUTC; encoding/json ignores case
	Application   part[applications]         `json:"applicationInformation"`
	Reference     part[referenceInformation] `json:"clientReferenceInformation"`
	Order         part[orderInformation]     `json:"orderInformation"`
	Payment       part[cardHolder]           `json:"paymentInformation"`
}

type referenceInformation struct {
	Code text `json:"code"`
}

type applications struct {
	Status       text                   `json:"status"`
	ReasonCode   text                   `json:"reasonCode"`
	RFlag        text                   `json:"rFlag"`
	RCode        text                   `json:"rCode"`
	Applications list[applicationReply] `json:"applications"`
}

type applicationReply struct {
	Name             text `json:"name"`
	ReasonCode       text `json:"reasonCode"`
	RFlag            text `json:"rFlag"`
	RCode            text `json:"rCode"`
	ReconciliationID text `json:"reconciliationId"`
}

func (s summary) transaction() Transaction {
	amount := s.Order.value.Amounts.value
	information := s.Application.value
	transaction := Transaction{
		ID:          string(s.ID),
		Code:        string(s.Reference.value.Code),
		SubmittedAt: instant(string(s.SubmitTimeUTC)),
		Amount:      money(string(amount.Total), string(amount.Currency)),
		ReasonCode:  string(information.ReasonCode),
		RFlag:       string(information.RFlag),
		RCode:       string(information.RCode),
		CardType:    cardType(s.Payment.value),
		CardSuffix:  cardSuffix(s.Payment.value),
	}
	for _, application := range information.Applications {
		transaction.Applications = append(transaction.Applications, Application{
			Name:             string(application.Name),
			ReasonCode:       string(application.ReasonCode),
			RFlag:            string(application.RFlag),
			RCode:            string(application.RCode),
			ReconciliationID: string(application.ReconciliationID),
		})
	}
	return transaction
}

type detailReply struct {
	summary
	RootID           text                   `json:"rootId"`
	ReconciliationID text                   `json:"reconciliationId"`
	Status           text                   `json:"status"`
	Error            part[errorInformation] `json:"errorInformation"`
	Processor        part[processor]        `json:"processorInformation"`
	Risk             part[riskInformation]  `json:"riskInformation"`
	Tokens           part[tokenInformation] `json:"tokenInformation"`
	Links            part[links]            `json:"_links"`
}

func (r detailReply) detail() Detail {
	amount := r.Order.value.Amounts.value
	detail := Detail{
		Transaction:          r.transaction(),
		Status:               upper(r.Status),
		Reason:               string(r.Error.value.Reason),
		Message:              sentence(string(r.Error.value.Message)),
		RootID:               string(r.RootID),
		Authorized:           money(string(amount.Authorized), string(amount.Currency)),
		RefundBalance:        money(string(amount.Balance), string(amount.Currency)),
		ReconciliationID:     string(r.ReconciliationID),
		ApprovalCode:         string(r.Processor.value.ApprovalCode),
		NetworkTransactionID: string(r.Processor.value.NetworkTransactionID),
		ProcessorCode:        string(r.Processor.value.ResponseCode),
		AVS:                  string(r.Processor.value.AVS.value.Code),
		CVN:                  string(r.Processor.value.CardVerification.value.Code),
		Risk:                 r.Risk.value.risk(),
		Tokens:               r.Tokens.value.tokens(),
	}
	if detail.Status == "" {
		detail.Status = upper(r.Application.value.Status)
	}
	for _, related := range r.Links.value["relatedTransactions"] {
		if id := lastSegment(string(related.Href)); id != "" {
			detail.Related = append(detail.Related, id)
		}
	}
	return detail
}

// RefersTo tells whether a follow-on belongs to the transaction. Where the record names no relation it can't be told, and
// reference, kind, amount and time must do.
func (d Detail) RefersTo(id string) bool {
	if id == "" || len(d.Related) == 0 || d.RootID == id {
		return true
	}
	for _, related := range d.Related {
		if related == id {
			return true
		}
	}
	return false
}

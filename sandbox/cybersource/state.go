package cybersource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

// Kinds of transactions. The first seven move money and are in the ledger.
const (
	kindAuth       = "auth"
	kindSale       = "sale"
	kindCapture    = "capture"
	kindRefund     = "refund"
	kindReversal   = "reversal"
	kindVoid       = "void"
	kindCredit     = "credit"
	kindDecision   = "decision"
	kindCaseAction = "case_action"
)

// transaction is one entry of the books. Its amount is what it asked for, or for an authorization what was approved.
type transaction struct {
	ID            string          `json:"id"`
	Kind          string          `json:"kind"`
	Status        string          `json:"status"` // the current one
	MerchantID    string          `json:"merchantId"`
	Amount        decimal.Decimal `json:"amount"`
	Currency      string          `json:"currency"`
	Reference     string          `json:"reference"`
	TransactionID string          `json:"transactionId,omitempty"`
	RelatedID     string          `json:"relatedId,omitempty"` // what it follows on
	RootID        string          `json:"rootId"`              // the payment at the start of the chain, or itself
	At            time.Time       `json:"at"`

	// Approved: the bank approved it, so that there is or was a hold.
	Approved bool `json:"approved,omitempty"`
	// Settlement is PENDING, BATCHED or VOIDED for what goes into a batch: sales, captures, refunds, credits.
	Settlement string `json:"settlement,omitempty"`
	BatchID    string `json:"batchId,omitempty"`
	BatchDate  string `json:"batchDate,omitempty"` // YYYY-MM-DD in the merchant's time zone
	// Review is OPEN while Decision Manager holds it, then ACCEPTED or REJECTED.
	Review string `json:"review,omitempty"`
	Reason string `json:"reason,omitempty"` // errorInformation.reason

	ReconciliationID     string        `json:"reconciliationId,omitempty"`
	ApprovalCode         string        `json:"approvalCode,omitempty"`
	NetworkTransactionID string        `json:"networkTransactionId,omitempty"`
	Applications         []application `json:"applications,omitempty"`

	Card       card `json:"card,omitzero"`
	Bank       bool `json:"bank,omitempty"`
	Sequence   int  `json:"sequence,omitempty"`   // of a capture among several
	Final      bool `json:"final,omitempty"`      // the last capture: what it left of the hold was released
	Increments int  `json:"increments,omitempty"` // incremental authorizations
	// IncrementIDs are the transactionIds of incremental authorizations, which have no transaction of their own.
	IncrementIDs []string `json:"incrementIds,omitempty"`
	FollowOn     string   `json:"followOn,omitempty"` // scenario that waits for a follow-on
	Expired      bool     `json:"expired,omitempty"`  // the bank let the hold go

	Details transactionDetails `json:"details,omitzero"`
}

// transactionDetails is what the transaction details service shows besides.
type transactionDetails struct {
	BillTo               address           `json:"billTo,omitzero"`
	ShipTo               address           `json:"shipTo,omitzero"`
	LineItems            []lineItem        `json:"lineItems,omitempty"`
	MerchantDefined      []merchantDefined `json:"merchantDefinedInformation,omitempty"`
	Buyer                buyerInfo         `json:"buyerInformation,omitzero"`
	Device               deviceInfo        `json:"deviceInformation,omitzero"`
	CommerceIndicator    string            `json:"commerceIndicator,omitempty"`
	CustomerID           string            `json:"customerId,omitempty"`
	PaymentInstrumentID  string            `json:"paymentInstrumentId,omitempty"`
	InstrumentIdentifier string            `json:"instrumentIdentifierId,omitempty"`
	Comments             []string          `json:"comments,omitempty"`
	Markings             []string          `json:"markings,omitempty"`
	MarkingEntries       []MarkingEntry    `json:"markingEntries,omitempty"`
}

// application is one service that ran for a transaction.
type application struct {
	Name       string `json:"name"`
	Status     string `json:"status,omitempty"`
	ReasonCode string `json:"reasonCode"`
	Flag       string `json:"rFlag"`
	RCode      string `json:"rCode"` // 1 done, 0 declined, -1 error
	Message    string `json:"rMessage"`
}

func (t *transaction) payment() bool { return t.Kind == kindAuth || t.Kind == kindSale }

// live says whether the money that the transaction moves is moving.
func (t *transaction) live() bool {
	return t.Settlement == statusPending || t.Settlement == statusBatched
}

// moneyKinds are the kinds of the ledger.
var moneyKinds = []string{kindAuth, kindSale, kindCapture, kindRefund, kindReversal, kindVoid, kindCredit}

// books keep everything. The Server's lock guards them.
type books struct {
	lastID        int64
	all           []*transaction // in the order of their ids
	byID          map[string]*transaction
	byReference   map[string][]*transaction // merchant and reference
	byTransaction map[string][]*transaction // merchant and transactionId
	byReconcile   map[string][]*transaction
	families      map[string][]*transaction // by root id, the root itself too
	unbatched     map[string]*transaction

	transients  map[string]*transientToken // by jti
	instruments map[string]*storedToken    // customers, payment instruments, instrument identifiers, addresses
	identifiers map[string]string          // prefix and suffix of a card -> instrument identifier

	marked map[string]MarkingEntry // merchant and e-mail -> the last marking that names it

	searches      map[string]*savedSearch
	subscriptions map[string]*subscription
	keys          []*webhookKey // oldest first: the last one signs
	tripped       map[string]bool

	reporting *reporting
}

func newBooks() *books {
	return &books{
		byID: map[string]*transaction{}, byReference: map[string][]*transaction{}, byTransaction: map[string][]*transaction{},
		byReconcile: map[string][]*transaction{}, families: map[string][]*transaction{}, unbatched: map[string]*transaction{},
		transients: map[string]*transientToken{}, instruments: map[string]*storedToken{}, identifiers: map[string]string{},
		marked:   map[string]MarkingEntry{},
		searches: map[string]*savedSearch{}, subscriptions: map[string]*subscription{}, tripped: map[string]bool{},
		reporting: newReporting(),
	}
}

// nextID gives the next id: 22 digits, unique over all kinds, increasing even where the clock goes back.
func (b *books) nextID(now time.Time) string {
	b.lastID = max(b.lastID+1, now.UnixMicro())
	return idOf(b.lastID)
}

// idOf is 7, then the microsecond in 16 digits, then 5 digits that look the part.
func idOf(micros int64) string {
	return fmt.Sprintf("7%016d%05d", micros, 3000+micros%997*6)
}

// microsOf is the inverse of idOf.
func microsOf(id string) int64 {
	var micros int64
	if len(id) == 22 {
		_, _ = fmt.Sscanf(id[1:17], "%d", &micros)
	}
	return micros
}

func byMerchant(merchant, key string) string { return merchant + "\x00" + key }

// add enters a new transaction, or one that is read back, into the books and their indexes.
func (b *books) add(t *transaction) {
	b.byID[t.ID] = t
	b.all = append(b.all, t)
	if n := len(b.all); n > 1 && b.all[n-2].ID > t.ID { // only while reading back
		slices.SortFunc(b.all, func(x, y *transaction) int { return strings.Compare(x.ID, y.ID) })
	}
	b.lastID = max(b.lastID, microsOf(t.ID))
	reference := byMerchant(t.MerchantID, t.Reference)
	b.byReference[reference] = append(b.byReference[reference], t)
	if t.TransactionID != "" {
		b.indexTransactionID(t, t.TransactionID)
	}
	for _, id := range t.IncrementIDs {
		b.indexTransactionID(t, id)
	}
	if t.ReconciliationID != "" {
		b.byReconcile[t.ReconciliationID] = append(b.byReconcile[t.ReconciliationID], t)
	}
	b.families[t.RootID] = append(b.families[t.RootID], t)
	for _, marking := range t.Details.MarkingEntries {
		b.mark(t.MerchantID, marking)
	}
	b.track(t)
}

func (b *books) indexTransactionID(t *transaction, id string) {
	key := byMerchant(t.MerchantID, id)
	b.byTransaction[key] = append(b.byTransaction[key], t)
}

// track keeps the set of what the next batch takes.
func (b *books) track(t *transaction) {
	if t.Settlement == statusPending {
		b.unbatched[t.ID] = t
		return
	}
	delete(b.unbatched, t.ID)
	b.reporting.track(t)
}

// find returns a merchant's transaction of one of the kinds, or nil.
func (b *books) find(merchant, id string, kinds ...string) *transaction {
	t := b.byID[id]
	if t == nil || t.MerchantID != merchant || !slices.Contains(kinds, t.Kind) {
		return nil
	}
	return t
}

// captured is what of a payment is captured and not voided: its live captures, and itself where it is a sale.
func (b *books) captured(payment *transaction) decimal.Decimal {
	return b.sum(payment, func(t *transaction) bool {
		return (t.Kind == kindCapture || t.Kind == kindSale) && t.live()
	})
}

// refunded is what of a payment's captures went back.
func (b *books) refunded(payment *transaction) decimal.Decimal {
	return b.sum(payment, func(t *transaction) bool { return t.Kind == kindRefund && t.live() })
}

func (b *books) reversed(payment *transaction) decimal.Decimal {
	return b.sum(payment, func(t *transaction) bool { return t.Kind == kindReversal })
}

// held is what the bank still holds of a payment for us.
func (b *books) held(payment *transaction) decimal.Decimal {
	if !payment.Approved {
		return decimal.Zero
	}
	return payment.Amount.Sub(b.captured(payment)).Sub(b.reversed(payment))
}

func (b *books) sum(payment *transaction, counts func(*transaction) bool) decimal.Decimal {
	total := decimal.Zero
	for _, t := range b.families[payment.RootID] {
		if counts(t) {
			total = total.Add(t.Amount)
		}
	}
	return total
}

// captures are the captures of a payment, voided ones too.
func (b *books) captures(payment *transaction) []*transaction {
	var found []*transaction
	for _, t := range b.families[payment.RootID] {
		if t.Kind == kindCapture {
			found = append(found, t)
		}
	}
	return found
}

// Entities of the state file.
const (
	entityTransaction  = "transaction"
	entityTransient    = "transient"
	entityStored       = "stored"
	entitySearch       = "search"
	entitySubscription = "subscription"
	entityKey          = "webhookKey"
	entitySigningKey   = "signingKey"
)

// replay takes an entity back from the state file.
func (s *Server) replay(kind, id string, doc json.RawMessage) error {
	switch kind {
	case entityTransaction:
		return into(doc, s.books.add)
	case entityTransient:
		return into(doc, func(t *transientToken) { s.books.transients[t.JTI] = t })
	case entityStored:
		return into(doc, s.books.addStored)
	case entitySearch:
		return into(doc, func(f *savedSearch) { s.books.searches[f.ID] = f })
	case entitySubscription:
		return into(doc, func(f *subscription) { s.books.subscriptions[f.WebhookID] = f })
	case entityKey:
		return into(doc, func(k *webhookKey) { s.books.keys = append(s.books.keys, k) })
	case entityDay:
		return into(doc, s.books.reporting.addDay)
	case entityDispute:
		return into(doc, s.books.reporting.addDispute)
	case entityReportChoice:
		return into(doc, s.books.reporting.addChoice)
	case entitySigningKey:
		return into(doc, func(k *signingKey) { s.flex.restore(k) })
	}
	return fmt.Errorf("unknown entity %q", kind)
}

func into[T any](doc json.RawMessage, take func(*T)) error {
	var read T
	if err := json.Unmarshal(doc, &read); err != nil {
		return err
	}
	take(&read)
	return nil
}

// store writes transactions that changed together, so that a killed process leaves all of them or none.
func (s *Server) store(changed ...*transaction) {
	entries := make([]control.Entry, 0, len(changed))
	for _, t := range changed {
		s.books.track(t)
		entries = append(entries, control.Entry{Kind: entityTransaction, ID: t.ID, Doc: t})
	}
	s.put(entries...)
}

func (s *Server) put(entries ...control.Entry) {
	if err := s.log.PutAll(entries...); err != nil {
		s.cfg.Logger.Error("write sandbox state", "error", err)
	}
}

package cybersource

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

// mountSandbox adds what this sandbox has of its own below /_sandbox/: no real system has any of it.
func (s *Server) mountSandbox(mux *http.ServeMux) {
	mux.HandleFunc("POST "+control.Prefix+"tokens", s.postToken)
	mux.HandleFunc("POST "+control.Prefix+"review", s.postReview)
	mux.HandleFunc("POST "+control.Prefix+"console", s.postConsole)
	mux.HandleFunc("POST "+control.Prefix+"expire", s.postExpire)
	mux.HandleFunc("POST "+control.Prefix+"settle", s.postSettle)
	mux.HandleFunc("POST "+control.Prefix+"chargebacks", s.postChargeback)
	mux.HandleFunc("POST "+control.Prefix+"emit", s.postEmit)
	mux.HandleFunc("GET "+control.Prefix+"balance", s.getBalance)
	mux.HandleFunc("GET "+control.Prefix+"deliveries", func(w http.ResponseWriter, _ *http.Request) {
		control.WriteJSON(w, http.StatusOK, object{"deliveries": s.outbox.deliveries()})
	})
}

// postToken is POST /_sandbox/tokens: what a browser would get from Microform.
func (s *Server) postToken(w http.ResponseWriter, r *http.Request) {
	var order tokenOrder
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, errors.New("the body is not a token order"))
		return
	}
	signed, token, err := s.mint(order)
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	control.WriteJSON(w, http.StatusCreated, object{
		"transientTokenJwt": signed, "jti": token.JTI, "expiresAt": utc(token.ExpiresAt), "scenario": token.Scenario,
		"card": object{"number": token.Card.masked(), "type": token.Card.Type, "expirationMonth": token.Card.ExpirationMonth, "expirationYear": token.Card.ExpirationYear},
	})
}

// postReview is POST /_sandbox/review: a reviewer decides a case in the Business Center.
func (s *Server) postReview(w http.ResponseWriter, r *http.Request) {
	var order struct {
		ID         string   `json:"id"`
		Reference  string   `json:"reference"` // in place of id: the newest open case of that reference
		Decision   string   `json:"decision"`
		ActionList []string `json:"actionList"`
		Comments   string   `json:"comments"`
		Silent     bool     `json:"silent"` // no webhook tells of it
	}
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.caseOf(order.ID, order.Reference)
	if t == nil {
		control.Refuse(w, http.StatusNotFound, errors.New("no such case"))
		return
	}
	s.silent = order.Silent
	defer func() { s.silent = false }()
	c := &call{merchant: t.MerchantID, now: s.cfg.Clock().UTC()}
	answer, refused := s.decide(c, t, strings.ToUpper(order.Decision), order.ActionList, order.Comments)
	if refused != nil {
		control.Refuse(w, http.StatusConflict, fmt.Errorf("%s: %s %v", refused.reason, refused.message, refused.details))
		return
	}
	control.WriteJSON(w, http.StatusOK, answer)
}

func (s *Server) caseOf(id, reference string) *transaction {
	if id != "" {
		if t := s.books.byID[id]; t != nil && (t.payment() || t.Kind == kindDecision) {
			return t
		}
		return nil
	}
	for _, merchant := range s.merchants() {
		for _, t := range slices.Backward(s.books.byReference[byMerchant(merchant, reference)]) {
			if t.Review == reviewOpen {
				return t
			}
		}
	}
	return nil
}

func (s *Server) merchants() []string { return slices.Sorted(maps.Keys(s.verifier.merchants)) }

// postEmit is POST /_sandbox/emit: it sends an event by hand, several times or late if asked, so that duplicates and
// wrong order can be tried.
func (s *Server) postEmit(w http.ResponseWriter, r *http.Request) {
	var order struct {
		EventType string          `json:"eventType"`
		ProductID string          `json:"productId"` // "" is the first product that has the event
		ID        string          `json:"id"`        // of a transaction, for the payload; or give a payload
		Payload   json.RawMessage `json:"payload"`
		Copies    int             `json:"copies"`  // 0 is 1
		DelayMS   int             `json:"delayMs"` // before the first attempt
	}
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	if order.ProductID == "" {
		if grouped := productsOf([]string{order.EventType}); len(grouped) > 0 {
			order.ProductID = grouped[0].ProductID
		}
	}
	if order.EventType == "" || order.Copies < 0 || order.Copies > 100 || order.DelayMS < 0 {
		control.Refuse(w, http.StatusBadRequest, errors.New("eventType is missing, or copies or delayMs is out of range"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.eventByHand(order.ProductID, order.EventType, order.ID, order.Payload)
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	sent := 0
	for _, sub := range s.books.sortedSubscriptions() {
		if !sub.hears(e.merchantID, e.product, e.name) {
			continue
		}
		for range max(order.Copies, 1) {
			s.outbox.sendAfter(sub, e, time.Duration(order.DelayMS)*time.Millisecond)
			sent++
		}
	}
	control.WriteJSON(w, http.StatusAccepted, object{"deliveries": sent})
}

func (s *Server) eventByHand(productID, name, id string, payload json.RawMessage) (event, error) {
	e := event{product: productID, name: name, merchantID: s.cfg.MerchantID, payload: payload}
	if len(payload) > 0 {
		e.payload = rawPayload(payload)
		return e, nil
	}
	t := s.books.byID[id]
	if t == nil {
		return e, errors.New("neither a payload nor the id of a transaction")
	}
	e.merchantID = t.MerchantID
	made := transactionPayload(t)
	if strings.HasPrefix(name, "risk.") {
		made = casePayload(t, "", nil)
	}
	raw, err := encode(made)
	e.payload = raw
	return e, err
}

// Ledger is the answer of GET /_sandbox/ledger.
type Ledger struct {
	Transactions []LedgerEntry  `json:"transactions"`
	Markings     []MarkingEntry `json:"markings"`
	Disputes     []DisputeEntry `json:"disputes"` // chargebacks and retrieval requests, action by action
}

// LedgerEntry is one movement of money, or the attempt of one.
type LedgerEntry struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // auth, sale, capture, refund, reversal, void, credit
	// Status is the current one. auth: AUTHORIZED, PARTIAL_AUTHORIZED, AUTHORIZED_PENDING_REVIEW, PENDING_REVIEW,
	// AUTHORIZED_RISK_DECLINED, PENDING_AUTHENTICATION, ACCEPTED, REJECTED, DECLINED, REVERSED. sale: AUTHORIZED, PENDING,
	// BATCHED, VOIDED, REVERSED, DECLINED. capture, refund, credit: PENDING, BATCHED, VOIDED, DECLINED.
	Status        string    `json:"status"`
	Amount        string    `json:"amount"` // of an authorization: what was approved
	Currency      string    `json:"currency"`
	Reference     string    `json:"reference"`
	TransactionID string    `json:"transactionId"`
	RelatedID     string    `json:"relatedId"`
	At            time.Time `json:"at"`
	// Held is what the bank still holds for an auth or sale.
	Held       string `json:"held,omitempty"`
	MerchantID string `json:"merchantId"`
	Reason     string `json:"reason,omitempty"`
	// Review is the case of a payment that was held: OPEN, ACCEPTED or REJECTED.
	Review string `json:"review,omitempty"`
	// BatchDate is the day, YYYY-MM-DD in the merchant's time zone, whose batch took it; "" until then.
	BatchDate string `json:"batchDate,omitempty"`
}

// Ledger gives everything that moved money, or was to, in order.
func (s *Server) Ledger() Ledger { return s.ledger() }

func (s *Server) ledger() Ledger {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries := make([]LedgerEntry, 0, len(s.books.all))
	for _, t := range s.books.all {
		if !slices.Contains(moneyKinds, t.Kind) {
			continue
		}
		entry := LedgerEntry{
			ID: t.ID, Kind: t.Kind, Status: t.Status, Amount: formatAmount(t.Amount, t.Currency), Currency: t.Currency, Reference: t.Reference,
			TransactionID: t.TransactionID, RelatedID: t.RelatedID, At: t.At, MerchantID: t.MerchantID, Reason: t.Reason, Review: t.Review, BatchDate: t.BatchDate,
		}
		if t.payment() {
			entry.Held = formatAmount(s.books.held(t), t.Currency)
		}
		entries = append(entries, entry)
	}
	return Ledger{Transactions: entries, Markings: s.books.markings(), Disputes: s.books.reporting.entries()}
}

// Balance is what became of the money of one reference in one currency: of the payments with that reference and of
// everything that follows on them, whatever reference that has.
type Balance struct {
	Currency string          `json:"currency"`
	Held     decimal.Decimal `json:"held"`     // at the bank, not captured
	Captured decimal.Decimal `json:"captured"` // captured or sold, not voided
	Voided   decimal.Decimal `json:"voided"`   // captured or sold, then voided
	Reversed decimal.Decimal `json:"reversed"`
	Refunded decimal.Decimal `json:"refunded"` // refunds not voided
	Credited decimal.Decimal `json:"credited"` // stand-alone credits not voided
	Net      decimal.Decimal `json:"net"`      // captured - refunded - credited
}

// getBalance is GET /_sandbox/balance?reference=.
func (s *Server) getBalance(w http.ResponseWriter, r *http.Request) {
	reference := r.URL.Query().Get("reference")
	if reference == "" {
		control.Refuse(w, http.StatusBadRequest, errors.New("reference is missing"))
		return
	}
	control.WriteJSON(w, http.StatusOK, object{"reference": reference, "balances": s.Balances(reference)})
}

// Balances sums the money of one reference, by currency.
func (s *Server) Balances(reference string) []Balance {
	s.mu.RLock()
	defer s.mu.RUnlock()
	byCurrency := map[string]*Balance{}
	for _, merchant := range s.merchants() {
		for _, root := range s.books.byReference[byMerchant(merchant, reference)] {
			if root.RootID != root.ID || root.Kind == kindDecision {
				continue
			}
			if byCurrency[root.Currency] == nil {
				byCurrency[root.Currency] = &Balance{Currency: root.Currency}
			}
			s.books.addTo(byCurrency[root.Currency], root)
		}
	}
	sums := []Balance{}
	for _, code := range slices.Sorted(maps.Keys(byCurrency)) {
		sum := byCurrency[code]
		sum.Net = sum.Captured.Sub(sum.Refunded).Sub(sum.Credited)
		sums = append(sums, *sum)
	}
	return sums
}

func (b *books) addTo(sum *Balance, root *transaction) {
	sum.Held = sum.Held.Add(b.held(root))
	sum.Captured = sum.Captured.Add(b.captured(root))
	sum.Reversed = sum.Reversed.Add(b.reversed(root))
	sum.Refunded = sum.Refunded.Add(b.refunded(root))
	sum.Voided = sum.Voided.Add(b.sum(root, func(t *transaction) bool {
		return (t.Kind == kindCapture || t.Kind == kindSale) && t.Settlement == statusVoided
	}))
	sum.Credited = sum.Credited.Add(b.sum(root, func(t *transaction) bool { return t.Kind == kindCredit && t.live() }))
}

package cybersource

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// The actions of a dispute.
const (
	disputeOpen = "Open"
	disputeWon  = "Won"
	disputeLost = "Lost"
)

const (
	respondWithin  = 20 * 24 * time.Hour
	defaultDispute = "10.4" // fraud, card absent
)

// disputeEvent is one action of a case. Opening a chargeback takes the money and the fee, winning it gives the money back, and
// neither losing it nor a retrieval request moves anything.
type disputeEvent struct {
	MerchantID    string    `json:"merchantId"`
	Case          string    `json:"caseNumber"`
	Action        string    `json:"action"`
	Retrieval     bool      `json:"retrieval,omitempty"`
	TransactionID string    `json:"transactionId"` // the capture or sale
	Reference     string    `json:"reference"`
	Reconcile     string    `json:"reconciliationId"`
	Method        string    `json:"method"`
	Currency      string    `json:"currency"`
	Amount        int64     `json:"amount"`        // disputed, in minor units
	Fee           int64     `json:"fee,omitempty"` // in minor units
	Reason        string    `json:"reason"`
	OpenedAt      time.Time `json:"openedAt"`
	At            time.Time `json:"at"`
	RespondBy     time.Time `json:"respondBy"`
	SettledAt     time.Time `json:"settledAt"`
	Day           string    `json:"day,omitempty"` // whose files show it; empty until that day is closed
}

func (e *disputeEvent) key() string { return byMerchant(e.MerchantID, e.Case+"\x00"+e.Action) }

// moved is the money that the action moves, in minor units.
func (e *disputeEvent) moved() int64 {
	if e.Retrieval || e.Action == disputeLost {
		return 0
	}
	return e.Amount
}

func (r *reporting) addDispute(event *disputeEvent) {
	r.disputes = append(r.disputes, event)
	slices.SortStableFunc(r.disputes, func(a, b *disputeEvent) int { return a.At.Compare(b.At) })
}

// waiting are the actions up to a moment that no day has shown.
func (r *reporting) waiting(merchant string, end time.Time) []*disputeEvent {
	var events []*disputeEvent
	for _, event := range r.disputes {
		if event.MerchantID == merchant && event.Day == "" && event.At.Before(end) {
			events = append(events, event)
		}
	}
	return events
}

// actionsOf are the actions of a case in order.
func (r *reporting) actionsOf(number string) []*disputeEvent {
	var events []*disputeEvent
	for _, event := range r.disputes {
		if event.Case == number {
			events = append(events, event)
		}
	}
	return events
}

// disputeOrder is the body of POST /_sandbox/chargebacks.
type disputeOrder struct {
	ID        string `json:"id"`        // a capture or sale, or the payment that was captured
	Reference string `json:"reference"` // in place of id
	Case      string `json:"case"`      // of won and lost, in place of both
	Kind      string `json:"kind"`      // chargeback (default) or retrieval
	Action    string `json:"action"`    // open (default), won or lost
	Amount    string `json:"amount"`    // default: all that is not disputed yet
	Fee       string `json:"fee"`       // charged with this action
	Reason    string `json:"reason"`    // the network's code; default 10.4
	RespondBy string `json:"respondBy"` // a date or a time; default in 20 days
}

// postChargeback is POST /_sandbox/chargebacks: a cardholder's bank disputes a settled payment, or the case ends.
func (s *Server) postChargeback(w http.ResponseWriter, r *http.Request) {
	order := disputeOrder{Kind: "chargeback", Action: "open"}
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	if !slices.Contains([]string{"chargeback", "retrieval"}, order.Kind) || !slices.Contains([]string{"open", "won", "lost"}, order.Action) {
		control.Refuse(w, http.StatusBadRequest, errors.New("kind is chargeback or retrieval, action is open, won or lost"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock().UTC().Truncate(time.Second)
	var event *disputeEvent
	var err error
	if order.Action == "open" {
		event, err = s.openDispute(&order, now)
	} else {
		event, err = s.endDispute(&order, now)
	}
	if err != nil {
		control.Refuse(w, http.StatusConflict, err)
		return
	}
	s.books.reporting.addDispute(event)
	s.put(control.Entry{Kind: entityDispute, ID: event.key(), Doc: event})
	control.WriteJSON(w, http.StatusCreated, event.shown())
}

// openDispute disputes what is settled of a payment and not disputed yet.
func (s *Server) openDispute(order *disputeOrder, now time.Time) (*disputeEvent, error) {
	t := s.disputable(order.ID, order.Reference)
	if t == nil {
		return nil, errors.New("no settled capture or sale of that id or reference")
	}
	row := s.rowOf(t)
	event := &disputeEvent{
		MerchantID: t.MerchantID, Case: s.nextCase(order.Kind), Action: disputeOpen, Retrieval: order.Kind == "retrieval", TransactionID: t.ID,
		Reference: t.Reference, Reconcile: t.ReconciliationID, Method: row.method(), Currency: t.Currency, Reason: orElse(order.Reason, defaultDispute),
		OpenedAt: now, At: now, RespondBy: now.Add(respondWithin), SettledAt: row.batchAt,
	}
	left := row.units - s.disputed(t.ID)
	event.Amount = left
	if order.Amount != "" {
		amount, ok := parseAmount(order.Amount, t.Currency)
		if !ok {
			return nil, errors.New("amount is not an amount")
		}
		event.Amount = unitsOf(amount, t.Currency)
	}
	if event.Amount <= 0 || event.Amount > left && !event.Retrieval {
		return nil, errors.New("there is not so much left to dispute")
	}
	if order.RespondBy != "" {
		by, err := momentOf(order.RespondBy)
		if err != nil {
			return nil, err
		}
		event.RespondBy = by
	}
	return event, event.charge(order.Fee)
}

// endDispute wins or loses an open chargeback.
func (s *Server) endDispute(order *disputeOrder, now time.Time) (*disputeEvent, error) {
	opened := s.openCase(order)
	if opened == nil {
		return nil, errors.New("no open chargeback of that case, id or reference")
	}
	if order.Amount != "" || order.RespondBy != "" {
		return nil, errors.New("amount and respondBy belong to the opening")
	}
	event := *opened
	event.Action, event.At, event.Day, event.Fee = disputeWon, now, "", 0
	if order.Action == "lost" {
		event.Action = disputeLost
	}
	event.Reason = orElse(order.Reason, opened.Reason)
	return &event, event.charge(order.Fee)
}

func (e *disputeEvent) charge(fee string) error {
	if fee == "" {
		return nil
	}
	amount, ok := parseAmount(fee, e.Currency)
	if !ok {
		return errors.New("fee is not an amount")
	}
	e.Fee = unitsOf(amount, e.Currency)
	return nil
}

func momentOf(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, errors.New("respondBy is neither a date nor a time")
}

// disputable is the newest settled capture or sale of a payment. Nobody disputes what is not on a statement yet.
func (s *Server) disputable(id, reference string) *transaction {
	var newest *transaction
	consider := func(t *transaction) {
		if (t.Kind == kindCapture || t.Kind == kindSale) && t.Settlement == statusBatched && (newest == nil || t.ID > newest.ID) {
			newest = t
		}
	}
	named := s.books.byID[id]
	switch {
	case named != nil && named.payment():
		for _, t := range s.books.families[named.RootID] {
			consider(t)
		}
	case named != nil:
		consider(named)
	case id == "" && reference != "":
		for _, merchant := range s.merchants() {
			for _, root := range s.books.byReference[byMerchant(merchant, reference)] {
				for _, t := range s.books.families[root.RootID] {
					consider(t)
				}
			}
		}
	}
	return newest
}

// disputed is what of a capture was charged back and not won.
func (s *Server) disputed(id string) int64 {
	var units int64
	for _, event := range s.books.reporting.disputes {
		switch {
		case event.TransactionID != id:
		case event.Action == disputeOpen:
			units += event.moved()
		case event.Action == disputeWon:
			units -= event.moved()
		}
	}
	return units
}

// openCase is the newest chargeback that an order names and that has not ended.
func (s *Server) openCase(order *disputeOrder) *disputeEvent {
	for _, event := range slices.Backward(s.books.reporting.disputes) {
		named := event.Case == order.Case
		if order.Case == "" {
			t := s.books.byID[event.TransactionID]
			root := s.books.byID[t.RootID]
			named = order.ID != "" && (order.ID == t.ID || order.ID == root.ID) ||
				order.ID == "" && order.Reference != "" && (order.Reference == event.Reference || order.Reference == root.Reference)
		}
		if named && !event.Retrieval && len(s.books.reporting.actionsOf(event.Case)) == 1 {
			return event
		}
	}
	return nil
}

// nextCase gives numbers that count up over the sandbox's life.
func (s *Server) nextCase(kind string) string {
	cases := map[string]bool{}
	for _, event := range s.books.reporting.disputes {
		cases[event.Case] = true
	}
	prefix := "CB"
	if kind == "retrieval" {
		prefix = "RR"
	}
	return fmt.Sprintf("%s-%06d", prefix, len(cases)+1)
}

// shown is an action on the control surface and in the ledger.
func (e *disputeEvent) shown() DisputeEntry {
	kind := "chargeback"
	if e.Retrieval {
		kind = "retrieval"
	}
	return DisputeEntry{Case: e.Case, Kind: kind, Action: strings.ToLower(e.Action), TransactionID: e.TransactionID, Reference: e.Reference,
		Amount: formatUnits(e.Amount, e.Currency), Moved: formatUnits(e.signedMove(), e.Currency), Fee: formatUnits(e.Fee, e.Currency), Currency: e.Currency,
		Reason: e.Reason, At: e.At, RespondBy: e.RespondBy, MerchantID: e.MerchantID, Day: e.Day}
}

// signedMove is negative where the money is taken.
func (e *disputeEvent) signedMove() int64 {
	if e.Action == disputeOpen {
		return -e.moved()
	}
	return e.moved()
}

// DisputeEntry is one action of a chargeback or retrieval request in the ledger.
type DisputeEntry struct {
	Case          string    `json:"case"`
	Kind          string    `json:"kind"`   // chargeback or retrieval
	Action        string    `json:"action"` // open, won or lost
	TransactionID string    `json:"transactionId"`
	Reference     string    `json:"reference"`
	Amount        string    `json:"amount"` // disputed
	Moved         string    `json:"moved"`  // by this action, negative where it is taken; without the fee
	Fee           string    `json:"fee"`
	Currency      string    `json:"currency"`
	Reason        string    `json:"reason"`
	At            time.Time `json:"at"`
	RespondBy     time.Time `json:"respondBy"`
	MerchantID    string    `json:"merchantId"`
	Day           string    `json:"day"` // whose report files show it, YYYY-MM-DD; "" until that day is closed
}

// entries lists all actions in the order of their times.
func (r *reporting) entries() []DisputeEntry {
	list := make([]DisputeEntry, len(r.disputes))
	for i, event := range r.disputes {
		list[i] = event.shown()
	}
	return list
}

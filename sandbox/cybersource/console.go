package cybersource

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tenderline/tenderline/sandbox/control"
)

// consoleOrder is what somebody does to a transaction by hand in the Business Center.
type consoleOrder struct {
	ID       string `json:"id"`       // of the payment, capture or refund
	Action   string `json:"action"`   // capture, void, refund, reverse
	Amount   string `json:"amount"`   // of a capture, refund or reversal; "" is all that is there
	Currency string `json:"currency"` // "" is the transaction's
	Silent   bool   `json:"silent"`   // no webhook tells of it
}

// postConsole is POST /_sandbox/console: what the Business Center does to a payment behind the merchant's back. The follow-on has the
// payment's own reference, and is held to the same rules as one over the API.
func (s *Server) postConsole(w http.ResponseWriter, r *http.Request) {
	var order consoleOrder
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.books.byID[order.ID]
	if t == nil {
		control.Refuse(w, http.StatusNotFound, errors.New("no such transaction"))
		return
	}
	s.silent = order.Silent
	defer func() { s.silent = false }()
	answer, refused := s.byHand(t, order)
	if refused != nil {
		control.Refuse(w, http.StatusConflict, fmt.Errorf("%s: %s %v", refused.reason, refused.message, refused.details))
		return
	}
	control.WriteJSON(w, http.StatusCreated, answer)
}

// byHand is the follow-on that the console asks for.
func (s *Server) byHand(t *transaction, order consoleOrder) (object, *refusal) {
	root := s.books.byID[t.RootID]
	if root == nil {
		return nil, invalid("id")
	}
	request := &paymentRequest{Reference: referenceInfo{Code: root.Reference}}
	amount := amountDetails{Total: order.Amount, Currency: orElse(order.Currency, t.Currency)}
	c := &call{Request: &http.Request{}, merchant: t.MerchantID, now: s.cfg.Clock().UTC()}
	c.SetPathValue("id", t.ID)
	switch order.Action {
	case "capture":
		amount.Total = orElse(order.Amount, formatAmount(s.books.held(root), t.Currency))
		request.Order.Amount = amount
		payment, captured, refused := s.checkCapture(c, request)
		if refused != nil {
			return nil, refused
		}
		return captureReply(s.capture(c, request, payment, captured)), nil
	case "refund":
		amount.Total = orElse(order.Amount, formatAmount(s.books.captured(root).Sub(s.books.refunded(root)), t.Currency))
		request.Order.Amount = amount
		original, refunded, refused := s.checkRefund(c, request, []string{kindSale, kindAuth, kindCapture})
		if refused != nil {
			return nil, refused
		}
		return refundReply(s.bookRefund(c, request, original, refunded)), nil
	case "reverse":
		amount.Total = orElse(order.Amount, formatAmount(s.books.held(root), t.Currency))
		request.Reversal.Amount = amount
		amountOf, refused := checkReversal(request)
		if refused != nil {
			return nil, refused
		}
		if !t.payment() {
			return nil, missing("id")
		}
		return s.reverse(c, request, t, amountOf, "ics_auth_reversal")
	case "void":
		return s.void(c, request, t)
	}
	return nil, invalid("action")
}

// postExpire is POST /_sandbox/expire: the bank lets the hold of an authorization go, as it does after some days.
func (s *Server) postExpire(w http.ResponseWriter, r *http.Request) {
	var order struct {
		ID string `json:"id"`
	}
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.books.byID[order.ID]
	if t == nil || !t.payment() {
		control.Refuse(w, http.StatusNotFound, errors.New("no such authorization"))
		return
	}
	held := s.books.held(t)
	if !held.IsPositive() {
		control.Refuse(w, http.StatusConflict, errors.New("nothing is held"))
		return
	}
	c := &call{merchant: t.MerchantID, now: s.cfg.Clock().UTC()}
	status := t.Status
	lapse := s.release(c, t, held, "ics_auto_full_auth_reversal")
	t.Expired = true
	if t.Review == reviewOpen { // a case stays open whatever the bank does
		t.Status = status
	}
	s.store(t)
	control.WriteJSON(w, http.StatusCreated, object{"id": t.ID, "status": t.Status, "released": formatAmount(held, t.Currency), "reversal": lapse.ID})
}
